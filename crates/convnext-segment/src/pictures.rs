//! Images with the classes of their pixels in colour, for people to look at.

use convnext_core::ImageSize;
use convnext_data::{IGNORED_COLOUR, Image, LabelMap};

/// Longer side of each part of a comparison, in pixels.
const SIDE: usize = 240;

/// Pixels between the parts of a comparison.
const GAP: usize = 4;

/// Colour of pixels that were predicted as another class than theirs.
const WRONG: [u8; 3] = [220, 40, 40];

/// Colour of pixels that were predicted as their class.
const RIGHT: [u8; 3] = [225, 232, 225];

/// The image, half of each pixel, and the colour of its class, the other half.
pub fn overlay(image: &Image, labels: &LabelMap, colours: &[[u8; 3]]) -> Image {
    let size = image.size();
    let pixels = (0..size.pixels()).map(|pixel| {
        let (x, y) = (pixel % size.width, pixel / size.width);
        let (shown, label) = (image.shown_pixel(x, y), labels.get(x, y));
        match colours.get(usize::from(label)) {
            Some(colour) => std::array::from_fn(|channel| shown[channel].midpoint(colour[channel])),
            None => shown,
        }
    });
    of_pixels(size, pixels)
}

/// Image, truth, prediction and errors side by side, each in a size to be looked at. Pixels without a class are black.
pub(crate) fn comparison(
    image: &Image,
    truth: &LabelMap,
    predicted: &LabelMap,
    colours: &[[u8; 3]],
) -> Image {
    let shrunk = image.shrunk(SIDE);
    let ImageSize { height, width } = shrunk.size();
    // The nearest pixel of a label map.
    let at = |map: &LabelMap, x: usize, y: usize| {
        map.get((2 * x + 1) * map.width / (2 * width), (2 * y + 1) * map.height / (2 * height))
    };
    let colour = |label: u16| colours.get(usize::from(label)).copied().unwrap_or(IGNORED_COLOUR);
    let size = ImageSize { height, width: 4 * width + 3 * GAP };
    let pixels = (0..size.pixels()).map(|pixel| {
        let (y, x) = (pixel / size.width, pixel % size.width);
        let (part, x) = (x / (width + GAP), x % (width + GAP));
        if x >= width {
            return [255; 3];
        }
        let (truth, predicted) = (at(truth, x, y), at(predicted, x, y));
        match part {
            0 => shrunk.shown_pixel(x, y),
            1 => colour(truth),
            2 => colour(predicted),
            _ if truth == LabelMap::IGNORED => IGNORED_COLOUR,
            _ if truth == predicted => RIGHT,
            _ => WRONG,
        }
    });
    of_pixels(size, pixels)
}

fn of_pixels(size: ImageSize, pixels: impl Iterator<Item = [u8; 3]>) -> Image {
    Image::new(size.width, size.height, 3, pixels.flatten().collect())
        .unwrap_or_else(|error| unreachable!("there is a colour for each pixel: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[u16]) -> LabelMap {
        LabelMap { width: 2, height: 1, labels: labels.to_vec() }
    }

    #[test]
    fn a_comparison_shows_four_parts() {
        let image = Image::new(2, 1, 1, vec![10, 20]).unwrap();
        let colours = [[1, 2, 3], [4, 5, 6]];
        let shown = comparison(&image, &labels(&[0, LabelMap::IGNORED]), &labels(&[1, 0]), &colours);
        assert_eq!(shown.size(), [1, 4 * 2 + 3 * GAP].into());
        let part = |number: usize| [0, 1].map(|x| shown.pixel(number * (2 + GAP) + x, 0).to_vec());
        assert_eq!(part(0), [[10; 3], [20; 3]]);
        assert_eq!(part(1), [[1, 2, 3], IGNORED_COLOUR]);
        assert_eq!(part(2), [[4, 5, 6], [1, 2, 3]]);
        assert_eq!(part(3), [WRONG, IGNORED_COLOUR]);
        assert_eq!(shown.pixel(2, 0), [255; 3]);
        let right = comparison(&image, &labels(&[0, 1]), &labels(&[0, 1]), &colours);
        assert_eq!(right.pixel(3 * (2 + GAP), 0), RIGHT);
    }

    #[test]
    fn an_overlay_is_half_of_both() {
        let image = Image::new(2, 1, 3, vec![10, 20, 30, 40, 50, 60]).unwrap();
        let shown = overlay(&image, &labels(&[0, LabelMap::IGNORED]), &[[20, 20, 20]]);
        assert_eq!(shown.bytes(), [15, 20, 25, 40, 50, 60]);
    }
}
