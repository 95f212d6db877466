//! The size of an image, from its header where that tells.

use std::io::Cursor;

use convnext_core::ImageSize;
use image::{ImageFormat, ImageReader};

use crate::pixels::orientation::Orientation;
use crate::reading::format::Format;
use crate::reading::jpeg::scaled::ScaledJpeg;

/// Height and width of an image as it is decoded with this orientation; `None` where the header alone does not tell.
pub(crate) fn stored_size(bytes: &[u8], orientation: Orientation) -> Option<ImageSize> {
    let format = match Format::of(bytes)? {
        Format::Jpeg => {
            let (width, height) = ScaledJpeg::read(bytes, orientation)?.size();
            return Some(ImageSize { height, width });
        }
        Format::Png => ImageFormat::Png,
        Format::Bmp => ImageFormat::Bmp,
        Format::WebP => ImageFormat::WebP,
        // The turn of a TIFF file is looked at when it is decoded.
        Format::Tiff | Format::Gif => return None,
    };
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()?;
    Some(ImageSize { height: height as usize, width: width as usize })
}
