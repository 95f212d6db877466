//! The page about a set of images: what is in it, what is wrong with it, and some of its images.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{Limits, counted, format_limits};
use convnext_data::{DuplicateGroup, Survey, SurveyedImage, Thumbnail};
use maud::{Markup, html};

use super::lists::{LISTED, files};
use super::whole_page::whole;

/// The page of what was found in a set of images.
pub(super) fn render(data: &str, survey: &Survey) -> String {
    let head = html! { p.claim { (data) } (facts(survey)) };
    let body = html! {
        (classes(survey))
        (sizes(survey))
        (unsound(survey))
        (duplicates(survey))
        (images(survey))
    };
    whole("Images", &head, &body)
}

pub(super) fn facts(survey: &Survey) -> Markup {
    const MEBIBYTE: f64 = (1 << 20) as f64;
    let readable = survey.images - survey.corrupt.len();
    let list = |counts: Vec<String>| counts.join(", ");
    let formats = survey.formats.iter().map(|(name, images)| format!("{images} {name}")).collect();
    let channels = survey.channels.iter().map(|(kind, images)| format!("{images} {kind}"));
    let types = survey.types.iter().map(|(kind, images)| format!("{images} {kind}"));
    html! {
        dl {
            dt { "images" } dd { (survey.images) ", of which " (readable) " can be read" }
            dt { "size of the files" } dd { (format!("{:.1} MiB", survey.bytes as f64 / MEBIBYTE)) }
            dt { "formats" } dd { (list(formats)) }
            dt { "pixels" } dd { (list(channels.collect())) }
            dt { "values" } dd { (list(types.collect())) (values(survey)) }
            @if survey.turned > 0 {
                dt { "turned by EXIF" }
                dd { (survey.turned) " (pipelines that ignore it see them lying or mirrored)" }
            }
        }
    }
}

/// Value ranges that the images use, in words, where they have more than 8 bit.
fn values(survey: &Survey) -> String {
    if survey.types.keys().all(|kind| kind == "8-bit") {
        return String::new();
    }
    let used: Vec<Limits> = survey.values.iter().map(|values| [values.least, values.most]).collect();
    format!(", from {} (shown from black to white, image by image)", format_limits(&used))
}

/// Images of each class in each part.
fn classes(survey: &Survey) -> Markup {
    html! {
        @if !survey.classes.is_empty() {
            h2 { "Classes" }
            div.scroll { table {
                thead { tr { th { "class" } @for part in &survey.parts { th { (part.name) } } } }
                tbody {
                    @for (class, name) in survey.classes.iter().enumerate() {
                        tr {
                            td.text { (name) }
                            @for part in &survey.parts { td { (part.images_per_class[class]) } }
                        }
                    }
                    tr.total { td.text { "all" } @for part in &survey.parts { td { (part.images) } } }
                }
            } }
            @for part in &survey.parts {
                @if let Some(ratio) = part.smallest_to_largest.filter(|&ratio| ratio < 0.5) {
                    p { (part.name) ": the smallest class has " (format!("{:.0} %", 100.0 * ratio)) " of the images of the largest." }
                }
            }
        }
    }
}

pub(super) fn sizes(survey: &Survey) -> Markup {
    let Some(sizes) = &survey.sizes else { return html! {} };
    let most = sizes.short_sides.iter().map(|range| range.images).max().unwrap_or(1).max(1);
    html! {
        h2 { "Sizes in pixels" }
        div.scroll { table {
            thead { tr { th { "" } th { "smallest" } th { "median" } th { "largest" } } }
            tbody {
                @for (name, spread) in
                    [("width", sizes.width), ("height", sizes.height), ("short side", sizes.short_side)]
                {
                    tr { td.text { (name) } td { (spread.min) } td { (spread.median) } td { (spread.max) } }
                }
            }
        } }
        h3 { "Short sides" }
        div.scroll { table {
            tbody {
                @for range in sizes.short_sides.iter().filter(|range| range.images > 0) {
                    tr {
                        td.text {
                            @match range.below {
                                Some(below) => { (range.from) " to " (below - 1) }
                                None => { (range.from) " and more" }
                            }
                        }
                        td { (range.images) }
                        td.text { meter min="0" max=(most) value=(range.images) {} }
                    }
                }
            }
        } }
    }
}

/// Files that cannot be read, and those that are damaged.
pub(super) fn unsound(survey: &Survey) -> Markup {
    html! {
        (files(["image", "images"], "cannot be read", &survey.corrupt))
        (files(["image", "images"], "can be read only in part", &survey.damaged))
    }
}

pub(super) fn duplicates(survey: &Survey) -> Markup {
    let described = |group: &DuplicateGroup| match (group.crosses_parts, group.crosses_classes) {
        (true, true) => "in different parts, under different classes: ",
        (true, false) => "in different parts: ",
        (false, true) => "under different classes: ",
        (false, false) => "",
    };
    let named = |image: &SurveyedImage| {
        let part = survey.parts.get(image.part).map_or("", |part| part.name.as_str());
        if survey.parts.len() > 1 { format!("{} ({part})", image.name) } else { image.name.clone() }
    };
    html! {
        @if !survey.duplicates.is_empty() {
            h2 { (counted(survey.duplicates.len(), "duplicate group", "duplicate groups")) }
            p.quiet { "What is learned from and measured on at the same time makes a measurement look too good." }
            ul {
                @for group in survey.duplicates.iter().take(LISTED) {
                    li { (described(group)) (group.images.iter().map(named).collect::<Vec<_>>().join(", ")) }
                }
                @if survey.duplicates.len() > LISTED { li { "and " (survey.duplicates.len() - LISTED) " more" } }
            }
        }
    }
}

/// The thumbnails, class by class.
fn images(survey: &Survey) -> Markup {
    let of = |class: Option<usize>| -> Vec<&Thumbnail> {
        survey.thumbnails.iter().filter(|thumbnail| thumbnail.image.class == class).collect()
    };
    let classes = (0..survey.classes.len()).map(Some).chain([None]);
    let groups = classes.map(|class| (class.map_or("Images", |class| &survey.classes[class]), of(class)));
    html! {
        @for (name, thumbnails) in groups.filter(|(_, thumbnails)| !thumbnails.is_empty()) {
            h2 { (name) }
            div.contact {
                @for Thumbnail { image, width, height, png } in thumbnails {
                    img src=(format!("data:image/png;base64,{}", STANDARD.encode(png)))
                        width=(width) height=(height) alt=(image.name) title=(image.name) loading="lazy";
                }
            }
        }
    }
}
