//! The page about images with masks: what is in them, what is wrong with them, and some of them under their labels.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{COLOURS, counted};
use convnext_data::{Decoding, Image, SegmentationSet, SegmentationSurvey, Survey, class_colours};
use convnext_segment::overlay;
use maud::{Markup, html};

use super::contact_sheet::{duplicates, facts, sizes, unsound};
use super::lists::{LISTED, files, names};
use super::whole_page::whole;

/// Longer side of an image on the page, in pixels.
const SIDE: usize = 160;

/// An image, and the same under its labels.
struct Shown {
    name: String,
    images: [Image; 2],
}

/// The page of what was found in images and masks, with at most so many images of each part.
pub(super) fn render(data: &str, survey: &Survey, masks: &SegmentationSurvey, shown: usize) -> String {
    let colours = class_colours(masks.data.as_ref().map_or(&[], |data| &data.palette), masks.classes.len());
    let head = html! { p.claim { (data) } (facts(survey)) };
    let body = html! {
        @if let Some(refusal) = &masks.refusal { h2 { "The masks do not say which class is where" } p { (refusal) } }
        @if !masks.decisions.is_empty() { h2 { "Decisions" } ul { @for said in &masks.decisions { li { (said) } } } }
        (classes(masks, &colours))
        (values(masks))
        (files(["mask", "masks"], "cannot be used", &masks.unusable))
        (names(["image", "images"], "without a mask", &masks.images_alone))
        (names(["mask", "masks"], "without an image", &masks.masks_alone))
        (sizes(survey))
        (unsound(survey))
        (duplicates(survey))
        @if let Some(data) = &masks.data {
            (images("train", &data.train, &colours, shown))
            (images("validation", &data.validation, &colours, shown))
            @if let Some(test) = &data.test { (images("test", test, &colours, shown)) }
        }
    };
    whole("Images and masks", &head, &body)
}

/// Pixels and images of each class in each part.
fn classes(masks: &SegmentationSurvey, colours: &[[u8; 3]]) -> Markup {
    html! {
        @if !masks.classes.is_empty() {
            h2 { "Classes" }
            div.scroll { table {
                thead {
                    tr {
                        th { "" } th.text { "class" }
                        @for part in &masks.parts { th { (part.name) " pixels" } th { "images" } }
                    }
                }
                tbody {
                    @for (class, name) in masks.classes.iter().enumerate() {
                        tr {
                            td { (swatch(colours[class])) } td.text { (name) }
                            @for part in &masks.parts {
                                td { (part.share(part.pixels_per_class[class])) } td { (part.images_per_class[class]) }
                            }
                        }
                    }
                    tr.total {
                        td { "" } td.text { "ignored" }
                        @for part in &masks.parts { td { (part.share(part.ignored_pixels)) } td { (part.images) " in all" } }
                    }
                }
            } }
        }
    }
}

/// A square of a colour.
pub(super) fn swatch([red, green, blue]: [u8; 3]) -> Markup {
    let style = format!("display:inline-block;width:1em;height:1em;background:rgb({red},{green},{blue})");
    html! { span style=(style) {} }
}

fn values(masks: &SegmentationSurvey) -> Markup {
    let all: u64 = masks.values.iter().map(|found| found.pixels).sum();
    let kinds = masks.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
    html! {
        h2 { "Values of the masks" }
        p { (kinds.collect::<Vec<_>>().join(", ")) }
        div.scroll.tall { table {
            thead { tr { th.text { "value" } th { "pixels" } th { "masks" } th.text { "class" } } }
            tbody {
                @for found in masks.values.iter().take(LISTED) {
                    tr {
                        td.text { (found.value) }
                        td { (format!("{:.2} %", 100.0 * found.pixels as f64 / all.max(1) as f64)) }
                        td { (found.masks) }
                        td.text {
                            @match &found.class {
                                Some(class) => { (class) }
                                None => { @if found.ignored { "ignored" } @else { "none" } }
                            }
                        }
                    }
                }
            }
        } }
        @if masks.values.len() > LISTED { p.quiet { "and " (masks.values.len() - LISTED) " more" } }
    }
}

/// Some images of a part, spread evenly over it, each beside itself under its labels.
fn images(name: &str, set: &SegmentationSet, colours: &[[u8; 3]], wanted: usize) -> Markup {
    let count = wanted.min(set.len());
    let places = (0..count).map(|piece| (2 * piece + 1) * set.len() / (2 * count));
    let shown: Vec<Shown> = places.filter_map(|at| show(set, at, colours)).collect();
    html! {
        @if !shown.is_empty() {
            h2 { (name) ": " (counted(shown.len(), "image", "images")) " under the colours of the classes" }
            div.contact {
                @for Shown { name, images } in &shown {
                    @for image in images {
                        img src=(format!("data:image/png;base64,{}", STANDARD.encode(image.png())))
                            width=(image.width()) height=(image.height()) alt=(name) title=(name) loading="lazy";
                    }
                }
            }
        }
    }
}

/// What cannot be read is listed elsewhere.
fn show(set: &SegmentationSet, at: usize, colours: &[[u8; 3]]) -> Option<Shown> {
    let image = set.images().image(at, &Decoding::new(COLOURS, set.orientation())).ok()?;
    let labels = set.label_map(at).ok().filter(|labels| labels.size() == image.size())?;
    let over = overlay(&image, &labels, colours);
    Some(Shown { name: set.images().name(at), images: [image.shrunk(SIDE), over.shrunk(SIDE)] })
}
