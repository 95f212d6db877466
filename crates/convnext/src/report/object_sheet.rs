//! The page about images with objects: what is in them, what is wrong with them, and some of them with boxes and masks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{BoundingBox, COLOURS, ImageSize, counted};
use convnext_data::{Decoding, DetectionSet, DetectionSurvey, Image, Instance, Survey, class_colours};
use maud::{Markup, html};

use super::contact_sheet::{corrupt, duplicates, facts, sizes};
use super::mask_sheet::{files, names, swatch};
use super::whole_page::whole;

/// Longer side of an image on the page, in pixels.
const SIDE: usize = 320;

/// The page of what was found in images and annotations, with at most so many images of each part.
pub(super) fn render(data: &str, survey: &Survey, objects: &DetectionSurvey, shown: usize) -> String {
    let colours = class_colours(&[], objects.classes.len());
    let head = html! { p.claim { (data) } (facts(survey)) };
    let said =
        objects.decisions.iter().cloned().chain(objects.remarks.iter().map(|remark| remark.sentence()));
    let said: Vec<String> = said.collect();
    let body = html! {
        @if let Some(refusal) = &objects.refusal { h2 { "The annotations cannot be used" } p { (refusal) } }
        @if !said.is_empty() { h2 { "Decisions" } ul { @for said in &said { li { (said) } } } }
        (classes(objects, &colours))
        (parts(objects))
        (files("images whose annotations cannot be used", &objects.unusable))
        (names("images in no annotations", &objects.images_alone))
        (sizes(survey))
        (corrupt(survey))
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
    let shown: Vec<(String, Image)> = places.filter_map(|at| show(set, at, colours)).collect();
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
    }
}

/// What cannot be read is listed elsewhere.
fn show(set: &DetectionSet, at: usize, colours: &[[u8; 3]]) -> Option<(String, Image)> {
    let image = set.images().image(at, &Decoding::new(COLOURS, set.orientation())).ok()?;
    let image = set.cut(at, image);
    if image.size() != set.image_size(at) {
        return None;
    }
    let small = image.shrunk(SIDE);
    let factors =
        [small.width() as f64 / image.width() as f64, small.height() as f64 / image.height() as f64];
    let (width, height) = (small.width(), small.height());
    let mut bytes = small.into_bytes();
    let mut canvas = Canvas { bytes: &mut bytes, width, height, factors };
    for instance in set.instances(at) {
        let colour = if instance.is_crowd { [128; 3] } else { colours[instance.class] };
        canvas.tint(instance, image.size(), colour);
        canvas.frame(instance.bounds, colour);
    }
    let image = Image::new(width, height, COLOURS, bytes).ok()?;
    Some((
        format!("{}: {}", set.images().name(at), counted(set.instances(at).len(), "object", "objects")),
        image,
    ))
}

/// Pixels of a small image, and how much smaller it is.
struct Canvas<'a> {
    bytes: &'a mut [u8],
    width: usize,
    height: usize,
    factors: [f64; 2],
}

impl Canvas<'_> {
    /// Mixes the pixels of a mask with a colour.
    fn tint(&mut self, instance: &Instance, size: ImageSize, colour: [u8; 3]) {
        let Some(mask) = &instance.mask else { return };
        let rows = mask.run_lengths(size).rows();
        let along =
            |at: usize, factor: f64, side: usize| (((at as f64 + 0.5) / factor) as usize).min(side - 1);
        for y in 0..self.height {
            let row = along(y, self.factors[1], size.height) * size.width;
            for x in 0..self.width {
                if rows[row + along(x, self.factors[0], size.width)] {
                    let pixel = &mut self.bytes[(y * self.width + x) * COLOURS..][..COLOURS];
                    for (level, colour) in pixel.iter_mut().zip(colour) {
                        *level = ((u16::from(*level) + u16::from(colour)) / 2) as u8;
                    }
                }
            }
        }
    }

    /// Draws the frame of a box.
    fn frame(&mut self, bounds: BoundingBox, colour: [u8; 3]) {
        let [left, top, right, bottom] = bounds.scaled(self.factors).edges();
        let pixel = |edge: f64, side: usize| (edge.round().max(0.0) as usize).min(side - 1);
        let (left, right) = (pixel(left, self.width), pixel(right - 1.0, self.width));
        let (top, bottom) = (pixel(top, self.height), pixel(bottom - 1.0, self.height));
        for x in left..=right.max(left) {
            self.put(x, top, colour);
            self.put(x, bottom, colour);
        }
        for y in top..=bottom.max(top) {
            self.put(left, y, colour);
            self.put(right, y, colour);
        }
    }

    fn put(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        self.bytes[(y * self.width + x) * COLOURS..][..COLOURS].copy_from_slice(&colour);
    }
}
