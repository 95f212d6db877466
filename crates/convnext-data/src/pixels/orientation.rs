//! EXIF orientation.

use convnext_core::ImageSize;
use image::{ImageDecoder, ImageResult, metadata::Orientation as Turn};
use serde::{Deserialize, Serialize};

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
}
