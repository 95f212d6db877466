//! Images with the boxes and masks of objects, for people to look at.

use convnext_core::{BoundingBox, COLOURS, ImageSize};
use convnext_data::{Image, Instance, RunLengths};

use crate::detection::Detection;

/// Longer side of each part of a comparison, in pixels.
const SIDE: usize = 240;

/// Pixels between the parts of a comparison.
const GAP: usize = 4;

/// Pixels of an image's longer side for each pixel of a line, beyond the first.
const SIDE_PER_LINE: usize = 320;

/// Colour of crowds.
const CROWD: [u8; COLOURS] = [128; COLOURS];

/// An object as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnObject {
    /// Its box in pixels of the image.
    pub bounds: BoundingBox,
    /// Its pixels; `None` where it has a box alone.
    pub mask: Option<RunLengths>,
    /// Its colour.
    pub colour: [u8; COLOURS],
}

impl DrawnObject {
    /// Annotated objects of an image of this size, in the colours of their classes; with one class each in its own. Crowds are
    /// grey.
    pub fn of_instances(objects: &[Instance], size: ImageSize, colours: &[[u8; COLOURS]]) -> Vec<Self> {
        let drawn = |(place, object): (usize, &Instance)| Self {
            bounds: object.bounds,
            mask: object.mask.as_ref().map(|mask| mask.run_lengths(size)),
            colour: if object.is_crowd { CROWD } else { colour(object.class, place, colours) },
        };
        objects.iter().enumerate().map(drawn).collect()
    }

    /// Detections, in the colours of their classes; with one class each in its own. Those of the highest scores come last, and
    /// so lie on top.
    pub fn of_detections(detections: &[Detection], colours: &[[u8; COLOURS]]) -> Vec<Self> {
        let mut order: Vec<&Detection> = detections.iter().collect();
        order.sort_by(|one, other| one.score.total_cmp(&other.score));
        let drawn = |(place, found): (usize, &Detection)| Self {
            bounds: found.bounds,
            mask: found.mask.clone(),
            colour: colour(found.class, place, colours),
        };
        order.into_iter().enumerate().map(drawn).collect()
    }
}

/// The colour of an object: that of its class, or where there are no several classes one of its own.
fn colour(class: usize, place: usize, colours: &[[u8; COLOURS]]) -> [u8; COLOURS] {
    match colours.len() {
        0 | 1 => vivid(place),
        _ => colours.get(class).copied().unwrap_or(CROWD),
    }
}

/// A bright colour for each number, those of neighbours far apart: hues in steps of the golden ratio.
fn vivid(place: usize) -> [u8; COLOURS] {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let hue = 6.0 * (place as f64 * GOLDEN).fract();
    // Red is strongest at 0, green at 2 and blue at 4, each weak from a distance of two on.
    [0.0, 2.0, 4.0].map(|strongest: f64| {
        let distance = (hue - strongest).abs();
        (255.0 * (2.0 - distance.min(6.0 - distance)).clamp(0.0, 1.0)) as u8
    })
}

/// The image with the objects on it: masks half of each pixel, boxes as lines, of which large images have thicker ones.
///
/// # Panics
/// When a mask is of another size than the image.
pub fn detection_overlay(image: &Image, objects: &[DrawnObject]) -> Image {
    overlay_on(image, image.size(), objects)
}

/// The same on an image that is at most `side` pixels wide and high, which takes no more memory than that.
///
/// # Panics
/// As [`detection_overlay`].
pub fn small_detection_overlay(image: &Image, objects: &[DrawnObject], side: usize) -> Image {
    overlay_on(&image.shrunk(side), image.size(), objects)
}

/// Objects in pixels of an image of this size on the image as it is shown, which may be smaller.
fn overlay_on(shown: &Image, size: ImageSize, objects: &[DrawnObject]) -> Image {
    let mut canvas = Canvas::new(shown);
    for object in objects {
        if let Some(mask) = &object.mask {
            assert_eq!(mask.size(), size, "a mask of another size");
            canvas.blend(mask, object.colour);
        }
    }
    let ImageSize { height, width } = canvas.size;
    let scale = [width as f64 / size.width as f64, height as f64 / size.height as f64];
    for object in objects {
        canvas.outline(&object.bounds.scaled(scale), object.colour, 1 + height.max(width) / SIDE_PER_LINE);
    }
    canvas.into_image()
}

/// Image, truth and prediction side by side, each in a size to be looked at.
///
/// # Panics
/// As [`detection_overlay`].
pub fn detection_comparison(image: &Image, truth: &[DrawnObject], found: &[DrawnObject]) -> Image {
    let small = image.shrunk(SIDE);
    let [truth, found] = [truth, found].map(|objects| overlay_on(&small, image.size(), objects));
    let parts = [&small, &truth, &found];
    let ImageSize { height, width } = parts[0].size();
    let whole = ImageSize { height, width: parts.len() * width + (parts.len() - 1) * GAP };
    let mut canvas = Canvas { size: whole, pixels: vec![[255; COLOURS]; whole.pixels()] };
    for (place, part) in parts.iter().enumerate() {
        for (y, row) in canvas.pixels.chunks_mut(whole.width).enumerate() {
            for (x, pixel) in row[place * (width + GAP)..][..width].iter_mut().enumerate() {
                *pixel = part.shown_pixel(x, y);
            }
        }
    }
    canvas.into_image()
}

/// Pixels that are drawn on, row by row.
struct Canvas {
    size: ImageSize,
    pixels: Vec<[u8; COLOURS]>,
}

impl Canvas {
    fn new(image: &Image) -> Self {
        let size = image.size();
        let pixel = |at: usize| image.shown_pixel(at % size.width, at / size.width);
        Self { size, pixels: (0..size.pixels()).map(pixel).collect() }
    }

    /// Colours the pixels of a mask, which may be of a larger image: those of which it has a part.
    fn blend(&mut self, mask: &RunLengths, colour: [u8; COLOURS]) {
        let (ImageSize { height, width }, of_mask) = (self.size, mask.size());
        let mut is_inside = vec![false; self.pixels.len()];
        for at in mask.ranges().flat_map(|(start, end)| start..end) {
            let [x, y] =
                [at / of_mask.height * width / of_mask.width, at % of_mask.height * height / of_mask.height];
            is_inside[y * width + x] = true;
        }
        for (pixel, _) in self.pixels.iter_mut().zip(is_inside).filter(|(_, is_inside)| *is_inside) {
            *pixel = std::array::from_fn(|channel| pixel[channel].midpoint(colour[channel]));
        }
    }

    /// Draws the border of a box, inwards; what is outside of the image is not seen.
    fn outline(&mut self, bounds: &BoundingBox, colour: [u8; COLOURS], thickness: usize) {
        let clipped = bounds.clipped(self.size);
        let [left, top, right, bottom] = clipped.edges().map(|edge| edge.round() as usize);
        for y in top..bottom {
            let row = &mut self.pixels[y * self.size.width..][left..right];
            let of_side = thickness.min(row.len());
            if y - top < thickness || bottom - y <= thickness {
                row.fill(colour);
            } else {
                row[..of_side].fill(colour);
                let start = row.len() - of_side;
                row[start..].fill(colour);
            }
        }
    }

    fn into_image(self) -> Image {
        Image::new(self.size.width, self.size.height, COLOURS, self.pixels.into_flattened())
            .unwrap_or_else(|error| unreachable!("there is a colour for each pixel: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOUR: [u8; 3] = [200, 0, 100];

    #[test]
    fn an_overlay_shows_boxes_and_masks() {
        let size = ImageSize { height: 5, width: 6 };
        let image = Image::new(6, 5, 1, vec![100; 30]).unwrap();
        let bounds = BoundingBox { left: 1.0, top: 1.0, right: 9.0, bottom: 5.0 };
        // Two pixels of the second column, which the line hides, and one within the box.
        let mask = Some(RunLengths::of_counts(&[6, 2, 5, 1], size).unwrap());
        let shown = detection_overlay(&image, &[DrawnObject { bounds, mask, colour: COLOUR }]);
        let at = |x, y| shown.shown_pixel(x, y);
        assert_eq!((at(0, 0), at(0, 4), at(3, 2)), ([100; 3], [100; 3], [100; 3]));
        // The part of the box inside of the image is drawn with all its sides.
        assert_eq!([at(1, 1), at(1, 4), at(5, 1), at(5, 4), at(1, 2)], [COLOUR; 5]);
        assert_eq!(at(2, 3), [150, 50, 100]);
    }

    #[test]
    fn large_images_are_shrunk_before_they_are_drawn_on() {
        let image = Image::new(8, 4, 1, vec![100; 32]).unwrap();
        let bounds = BoundingBox { left: 0.0, top: 0.0, right: 4.0, bottom: 4.0 };
        // The last column.
        let mask = Some(RunLengths::of_counts(&[28, 4], image.size()).unwrap());
        let shown = small_detection_overlay(&image, &[DrawnObject { bounds, mask, colour: COLOUR }], 4);
        assert_eq!(shown.size(), [2, 4].into());
        let row = |y| [0, 1, 2, 3].map(|x| shown.shown_pixel(x, y));
        assert_eq!([row(0), row(1)], [[COLOUR, COLOUR, [100; 3], [150, 50, 100]]; 2]);
    }

    #[test]
    fn a_comparison_shows_three_parts() {
        let image = Image::new(2, 2, 3, vec![9; 12]).unwrap();
        let bounds = BoundingBox { left: 0.0, top: 0.0, right: 2.0, bottom: 2.0 };
        let object = |class| Instance { class, bounds, mask: None, area: 4.0, is_crowd: false };
        let colours = [[1; 3], [2; 3]];
        let truth = DrawnObject::of_instances(&[object(1)], image.size(), &colours);
        let found = Detection { class: 0, score: 0.5, bounds, mask: None };
        let shown = detection_comparison(&image, &truth, &DrawnObject::of_detections(&[found], &colours));
        assert_eq!(shown.size(), [2, 3 * 2 + 2 * GAP].into());
        let part = |place: usize| shown.shown_pixel(place * (2 + GAP), 1);
        assert_eq!([part(0), part(1), part(2), shown.shown_pixel(2, 0)], [[9; 3], [2; 3], [1; 3], [255; 3]]);
    }

    #[test]
    fn objects_of_one_class_have_colours_of_their_own() {
        let found = |score| Detection { class: 0, score, bounds: BoundingBox::default(), mask: None };
        let drawn = DrawnObject::of_detections(&[found(0.9), found(0.1)], &[[1; 3]]);
        assert_eq!((drawn[0].colour, drawn[1].colour), ([255, 0, 0], [0, 74, 255]));
        let crowd =
            Instance { class: 0, bounds: BoundingBox::default(), mask: None, area: 0.0, is_crowd: true };
        assert_eq!(DrawnObject::of_instances(&[crowd], ImageSize::square(2), &[[1; 3]])[0].colour, CROWD);
    }
}
