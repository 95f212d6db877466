//! The page about images with objects: what is in them, what is wrong with them, and some of them with boxes and masks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{COLOURS, counted};
use convnext_data::{
    AnnotationRemark, DataError, Decoding, DetectionSet, DetectionSurvey, Image, Survey, class_colours,
};
use convnext_detect::{DrawnObject, small_detection_overlay};
use maud::{Markup, html};

use super::contact_sheet::{duplicates, facts, sizes, unsound};
use super::lists::{files, names};
use super::mask_sheet::swatch;
use super::whole_page::whole;

/// Longer side of an image on the page, in pixels.
const SIDE: usize = 320;

/// The page of what was found in images and annotations, with at most so many images of each part.
pub(super) fn render(data: &str, survey: &Survey, objects: &DetectionSurvey, shown: usize) -> String {
    let colours = class_colours(&[], objects.classes.len());
    let head = html! { p.claim { (data) } (facts(survey)) };
    let said =
        objects.decisions.iter().cloned().chain(objects.remarks.iter().map(AnnotationRemark::sentence));
    let said: Vec<String> = said.collect();
    let body = html! {
        @if let Some(refusal) = &objects.refusal { h2 { "The annotations cannot be used" } p { (refusal) } }
        @if !said.is_empty() { h2 { "Decisions" } ul { @for said in &said { li { (said) } } } }
        (classes(objects, &colours))
        (parts(objects))
        (files(["image", "images"], "whose annotations cannot be used", &objects.unusable))
        (names(["image", "images"], "in no annotations", &objects.images_alone))
        (sizes(survey))
        (unsound(survey))
        (duplicates(survey))
        @if let Some(data) = &objects.data {
            (images("train", &data.train, &colours, shown))
            (images("validation", &data.validation, &colours, shown))
            @if let Some(test) = &data.test { (images("test", test, &colours, shown)) }
        }
    };
    whole("Images and objects", &head, &body)
}

/// Objects and images of each class in each part.
fn classes(objects: &DetectionSurvey, colours: &[[u8; 3]]) -> Markup {
    html! {
        @if !objects.classes.is_empty() {
            h2 { "Classes" }
            div.scroll { table {
                thead {
                    tr {
                        th { "" } th.text { "class" }
                        @for part in &objects.parts {
                            th { (part.name) } th { "small" } th { "medium" } th { "large" } th { "images" }
                        }
                    }
                }
                tbody {
                    @for (class, name) in objects.classes.iter().enumerate() {
                        tr {
                            td { (swatch(colours[class])) } td.text { (name) }
                            @for part in &objects.parts {
                                td { (part.objects_per_class[class]) }
                                @for count in part.sizes_per_class[class] { td { (count) } }
                                td { (part.images_per_class[class]) }
                            }
                        }
                    }
                }
            } }
            p.quiet { "Small objects have less than 32 x 32 pixels, large ones at least 96 x 96." }
        }
    }
}

/// Images and what they have of objects, in each part.
fn parts(objects: &DetectionSurvey) -> Markup {
    html! {
        @if !objects.parts.is_empty() {
            h2 { "Parts" }
            div.scroll { table {
                thead {
                    tr {
                        th.text { "part" } th { "images" } th { "without objects" } th { "objects" } th { "with masks" }
                        th { "crowds" } th { "in an image" }
                    }
                }
                tbody {
                    @for part in &objects.parts {
                        tr {
                            td.text { (part.name) } td { (part.images) } td { (part.empty_images) }
                            td { (part.objects_per_class.iter().sum::<u64>()) } td { (part.masks) } td { (part.crowds) }
                            @let [fewest, median, most] = part.objects_per_image;
                            td { (fewest) " to " (most) ", median " (median) }
                        }
                    }
                }
            } }
        }
    }
}

/// Some images of a part, spread evenly over it, with their objects.
fn images(name: &str, set: &DetectionSet, colours: &[[u8; 3]], wanted: usize) -> Markup {
    let count = wanted.min(set.len());
    let places = (0..count).map(|piece| (2 * piece + 1) * set.len() / (2 * count));
    let (mut shown, mut unshown) = (Vec::new(), Vec::new());
    for at in places {
        match show(set, at, colours) {
            Ok(image) => shown.push(image),
            Err(error) => unshown.push(error.to_string()),
        }
    }
    html! {
        @if !shown.is_empty() {
            h2 { (name) ": " (counted(shown.len(), "image", "images")) " with their objects; crowds are grey" }
            div.contact {
                @for (name, image) in &shown {
                    img src=(format!("data:image/png;base64,{}", STANDARD.encode(image.png())))
                        width=(image.width()) height=(image.height()) alt=(name) title=(name) loading="lazy";
                }
            }
        }
        @for error in &unshown { p.quiet { "Not shown: " (error) } }
    }
}

/// An image with its objects, and what is said of it.
fn show(set: &DetectionSet, at: usize, colours: &[[u8; 3]]) -> Result<(String, Image), DataError> {
    let image = set.images().image(at, &Decoding::new(COLOURS, set.orientation()))?;
    let image = set.cut(at, image)?;
    let drawn = DrawnObject::of_instances(set.instances(at), image.size(), colours);
    let image = small_detection_overlay(&image, &drawn, SIDE);
    Ok((
        format!("{}: {}", set.images().name(at), counted(set.instances(at).len(), "object", "objects")),
        image,
    ))
}
