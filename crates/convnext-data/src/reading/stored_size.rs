//! The size of an image, from its header where that tells.

use std::io::Cursor;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;
use image::{ImageDecoder, ImageFormat, ImageReader};

use crate::pixels::orientation::{Orientation, lies_on_its_side, stored_turn};
use crate::reading::caught::caught;
use crate::reading::format::Format;
use crate::reading::jpeg::scaled::ScaledJpeg;

/// Height and width of an image as it is decoded with this orientation, from the beginning of its file; `None` where that does
/// not tell.
pub(crate) fn stored_size(bytes: &[u8], orientation: Orientation) -> Option<ImageSize> {
    let format = match Format::of(bytes)? {
        Format::Jpeg => {
            let (width, height) = ScaledJpeg::read(bytes, orientation)?.size();
            return Some(ImageSize { height, width });
        }
        Format::Png => ImageFormat::Png,
        Format::Bmp => ImageFormat::Bmp,
        // Its turn stands behind its pixels.
        Format::WebP if bytes.len() < riff_length(bytes)? => return None,
        Format::WebP => ImageFormat::WebP,
        // The turn of a TIFF file is looked at when it is decoded.
        Format::Tiff | Format::Gif => return None,
    };
    caught(|| decoded_size(bytes, format, orientation)).flatten()
}

/// The size that the crate `image` decodes to.
fn decoded_size(bytes: &[u8], format: ImageFormat, orientation: Orientation) -> Option<ImageSize> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let turn = match orientation {
        Orientation::Honour => stored_turn(&mut decoder).ok()?,
        Orientation::Ignore => Turn::NoTransforms,
    };
    let [width, height] = [width, height].map(|side| side as usize);
    let (width, height) = if lies_on_its_side(turn) { (height, width) } else { (width, height) };
    Some(ImageSize { height, width })
}

/// The length of a RIFF file, as its header states it.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let stated = bytes.get(4..8)?.first_chunk()?;
    Some(8 + u32::from_le_bytes(*stated) as usize)
}
