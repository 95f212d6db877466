//! Thumbnails for a contact sheet.

use super::parts::{Parts, SurveyedImage};
use crate::pixels::image::Image;

/// The long side of a thumbnail, in pixels.
const SIDE: usize = 96;

/// The most thumbnails of all classes together: about 50 MiB.
const MOST: usize = 3000;

/// A small copy of an image: at most 96 pixels wide and high, in the proportions of the image, and never
/// larger than it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The image.
    pub image: SurveyedImage,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The bytes of a PNG file.
    pub png: Vec<u8>,
}

impl Thumbnail {
    pub(super) fn of(pixels: &Image, image: SurveyedImage) -> Self {
        let small = pixels.shrunk(SIDE);
        Self { image, width: small.width(), height: small.height(), png: small.png() }
    }
}

/// For each image, whether it gets a thumbnail: up to `per_class` of each class and of the images without one,
/// evenly spaced in the order of the data.
pub(super) fn choose(parts: &Parts, per_class: usize) -> Vec<bool> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); parts.classes().len() + 1];
    for image in 0..parts.images() {
        members[parts.class(image).unwrap_or(parts.classes().len())].push(image as u32);
    }
    members.retain(|images| !images.is_empty());
    let most = per_class.min(MOST / members.len().max(1));
    let mut chosen = vec![false; parts.images()];
    for images in members {
        for place in evenly(images.len(), most) {
            chosen[images[place] as usize] = true;
        }
    }
    chosen
}

/// Up to `wanted` of `count` places: the middles of as many equal pieces.
fn evenly(count: usize, wanted: usize) -> impl Iterator<Item = usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(move |piece| (2 * piece + 1) * count / (2 * wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_evenly_and_differ() {
        let places = |count, wanted| evenly(count, wanted).collect::<Vec<_>>();
        assert_eq!(places(10, 2), [2, 7]);
        assert_eq!(places(9, 1), [4]);
        assert_eq!(places(3, 24), [0, 1, 2]);
        assert!(places(0, 5).is_empty() && places(5, 0).is_empty());
        for (count, wanted) in [(7, 3), (100, 24), (25, 24), (24, 24), (1300, 24)] {
            let found = places(count, wanted);
            assert!(found.len() == wanted && found.is_sorted_by(|left, right| left < right), "{found:?}");
            assert!(found.iter().all(|&place| place < count));
        }
    }

    #[test]
    fn proportions_are_kept_and_nothing_grows() {
        for (width, height, expected) in [
            (96, 96, (96, 96)),
            (40, 10, (40, 10)),
            (192, 100, (96, 50)),
            (97, 500, (19, 96)),
            (1000, 1, (96, 1)),
        ] {
            let pixels = Image::new(width, height, 3, vec![5; width * height * 3]).unwrap();
            let image = SurveyedImage { name: String::new(), part: 0, class: None };
            let thumbnail = Thumbnail::of(&pixels, image);
            assert_eq!((thumbnail.width, thumbnail.height), expected, "{width}x{height}");
            let small = crate::decode(&thumbnail.png, "thumbnail", 3, crate::Orientation::Honour).unwrap();
            assert_eq!((small.width(), small.height()), expected);
            assert_eq!(small.pixel(0, 0), [5; 3]);
        }
    }
}
