//! Turning pixels, by what the EXIF data of a file say.

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;

use crate::pixels::image::Image;
use crate::pixels::levels::Levels;
use crate::pixels::orientation::turned_size;

/// Applies the orientation, so that the image is upright. (`image` turns images of up to four channels only.)
pub(crate) fn turned(image: Image, turn: Turn) -> Image {
    if turn == Turn::NoTransforms {
        return image;
    }
    let (stored, channels) = (image.size(), image.channels());
    let ImageSize { height, width } = turned_size(stored, turn);
    let levels: Levels = match image.levels() {
        Levels::Eight(levels) => moved(levels, channels, stored, turn).into(),
        Levels::Sixteen(levels, _) => moved(levels, channels, stored, turn).into(),
    };
    Image::from_parts(width, height, channels, levels)
}

/// The pixels of an image that is stored in this size, in the order in which they stand upright.
pub(crate) fn moved<T: Copy>(pixels: &[T], channels: usize, stored: ImageSize, turn: Turn) -> Vec<T> {
    let (right, bottom) = (stored.width - 1, stored.height - 1);
    // Where a pixel of the upright image is stored.
    let place: &dyn Fn(usize, usize) -> (usize, usize) = match turn {
        Turn::NoTransforms => return pixels.to_vec(),
        Turn::FlipHorizontal => &|x, y| (right - x, y),
        Turn::FlipVertical => &|x, y| (x, bottom - y),
        Turn::Rotate180 => &|x, y| (right - x, bottom - y),
        Turn::Rotate90 => &|x, y| (y, bottom - x),
        Turn::Rotate270 => &|x, y| (right - y, x),
        Turn::Rotate90FlipH => &|x, y| (y, x),
        Turn::Rotate270FlipH => &|x, y| (right - y, bottom - x),
    };
    let upright = turned_size(stored, turn);
    let mut moved = Vec::with_capacity(pixels.len());
    for (x, y) in (0..upright.height).flat_map(|y| (0..upright.width).map(move |x| (x, y))) {
        let (x, y) = place(x, y);
        moved.extend_from_slice(&pixels[(y * stored.width + x) * channels..][..channels]);
    }
    moved
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;

    #[test]
    fn turns_are_those_of_image_for_any_number_of_channels() {
        let bytes: Vec<u8> = (0..5 * 4 * 3).collect();
        let image = Image::new(5, 4, 3, bytes.clone()).unwrap();
        for exif in 1..=8 {
            let turn = Turn::from_exif(exif).unwrap();
            let mut expected = DynamicImage::from(RgbImage::from_raw(5, 4, bytes.clone()).unwrap());
            expected.apply_orientation(turn);
            let upright = turned(image.clone(), turn);
            assert_eq!(
                (upright.width() as u32, upright.height() as u32),
                (expected.width(), expected.height())
            );
            assert_eq!(upright.bytes(), expected.into_rgb8().into_raw(), "{turn:?}");
            for band in 0..3 {
                assert_eq!(turned(image.band(band), turn), upright.band(band), "{turn:?}");
            }
            let deep = bytes.iter().map(|&level| u16::from(level) * 257).collect();
            let deep = turned(Image::deep(5, 4, 3, deep).unwrap(), turn);
            assert_eq!((deep.is_deep(), deep.bytes()), (true, upright.bytes()), "{turn:?}");
        }
    }
}
