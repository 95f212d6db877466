//! Pictures that a camera stored lying on their side.

use image::metadata::Orientation as Turn;
use serde::{Deserialize, Serialize};

use crate::Picture;

/// What to do with the orientation that a camera wrote into the EXIF data of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Turn the picture upright.
    #[default]
    Honour,
    /// Take the pixels as they are stored, as most Python pipelines do.
    Ignore,
}

/// The picture turned upright. (`image` turns pictures of up to four channels only.)
pub(crate) fn turned(picture: Picture, turn: Turn) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let (right, bottom) = (width - 1, height - 1);
    // Where a pixel of the upright picture is stored.
    let stored: &dyn Fn(usize, usize) -> (usize, usize) = match turn {
        Turn::NoTransforms => return picture,
        Turn::FlipHorizontal => &|x, y| (right - x, y),
        Turn::FlipVertical => &|x, y| (x, bottom - y),
        Turn::Rotate180 => &|x, y| (right - x, bottom - y),
        Turn::Rotate90 => &|x, y| (y, bottom - x),
        Turn::Rotate270 => &|x, y| (right - y, x),
        Turn::Rotate90FlipH => &|x, y| (y, x),
        Turn::Rotate270FlipH => &|x, y| (right - y, bottom - x),
    };
    let (width, height) = if lies_on_its_side(turn) { (height, width) } else { (width, height) };
    let mut bytes = Vec::with_capacity(picture.bytes().len());
    for y in 0..height {
        for x in 0..width {
            let (x, y) = stored(x, y);
            bytes.extend_from_slice(picture.pixel(x, y));
        }
    }
    Picture::from_parts(width, height, picture.channels(), bytes)
}

/// Whether width and height change places.
pub(crate) fn lies_on_its_side(turn: Turn) -> bool {
    matches!(turn, Turn::Rotate90 | Turn::Rotate270 | Turn::Rotate90FlipH | Turn::Rotate270FlipH)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;

    #[test]
    fn turns_are_those_of_image_for_any_number_of_channels() {
        let bytes: Vec<u8> = (0..5 * 4 * 3).collect();
        let picture = Picture::new(5, 4, 3, bytes.clone()).unwrap();
        for exif in 1..=8 {
            let turn = Turn::from_exif(exif).unwrap();
            let mut image = DynamicImage::from(RgbImage::from_raw(5, 4, bytes.clone()).unwrap());
            image.apply_orientation(turn);
            let upright = turned(picture.clone(), turn);
            assert_eq!((upright.width() as u32, upright.height() as u32), (image.width(), image.height()));
            assert_eq!(upright.bytes(), image.into_rgb8().into_raw(), "{turn:?}");
            for band in 0..3 {
                assert_eq!(turned(picture.band(band), turn), upright.band(band), "{turn:?}");
            }
        }
    }
}
