//! EXIF orientation.

use convnext_core::ImageSize;
use image::{ImageDecoder, ImageResult, metadata::Orientation as Turn};
use serde::{Deserialize, Serialize};

use crate::pixels::image::Image;
use crate::pixels::levels::Levels;

/// Treatment of the EXIF orientation of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Turn the image upright.
    #[default]
    Honour,
    /// Take the pixels as they are stored, as most Python pipelines do.
    Ignore,
}

/// The turn that a file names in its EXIF data or, without these, in its XMP data, as Pillow reads it.
pub(crate) fn stored_turn(decoder: &mut impl ImageDecoder) -> ImageResult<Turn> {
    let exif = decoder.exif_metadata()?;
    if let Some(turn) = exif.as_deref().and_then(turn_of_exif) {
        return Ok(turn);
    }
    let xmp = decoder.xmp_metadata()?;
    Ok(xmp.as_deref().and_then(turn_of_xmp).unwrap_or(Turn::NoTransforms))
}

/// The turn of EXIF data, with or without the header that they have in JPEG files and many programs write elsewhere.
fn turn_of_exif(exif: &[u8]) -> Option<Turn> {
    Turn::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// The turn of XMP data: `tiff:Orientation="6"` or `<tiff:Orientation>6<`.
pub(crate) fn turn_of_xmp(xmp: &[u8]) -> Option<Turn> {
    const KEY: &[u8] = b"tiff:Orientation";
    let rest = &xmp[memchr::memmem::find(xmp, KEY)? + KEY.len()..];
    let digit = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
    Turn::from_exif(digit.checked_sub(b'0')?)
}

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

/// The size of an image that is turned.
pub(crate) fn turned_size(ImageSize { height, width }: ImageSize, turn: Turn) -> ImageSize {
    if lies_on_its_side(turn) {
        ImageSize { height: width, width: height }
    } else {
        ImageSize { height, width }
    }
}

/// `true` if width and height change places.
pub(crate) fn lies_on_its_side(turn: Turn) -> bool {
    matches!(turn, Turn::Rotate90 | Turn::Rotate270 | Turn::Rotate90FlipH | Turn::Rotate270FlipH)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;

    #[test]
    fn turns_are_found_with_and_without_a_header() {
        // The header of a little-endian TIFF file and a directory with one entry: the orientation, 6.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(turn_of_exif(exif), Some(Turn::Rotate90));
        assert_eq!(turn_of_exif(&[&b"Exif\0\0"[..], exif].concat()), Some(Turn::Rotate90));
        assert_eq!(turn_of_exif(b"Exif\0\0"), None);
        assert_eq!(turn_of_xmp(b"<x tiff:Orientation=\"8\"/>"), Some(Turn::Rotate270));
        assert_eq!(turn_of_xmp(b"<tiff:Orientation>3</tiff:Orientation>"), Some(Turn::Rotate180));
        assert_eq!(turn_of_xmp(b"<tiff:Orientation>9</tiff:Orientation>"), None);
    }

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
