//! The size of an image, from its header where that tells.

use std::io::Cursor;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;
use image::{ImageDecoder, ImageFormat, ImageReader};

use crate::pixels::orientation::{Orientation, stored_turn, turned_size};
use crate::reading::caught::caught;
use crate::reading::format::Format;
use crate::reading::jpeg::scaled::ScaledJpeg;
use crate::reading::{gif, tiff_file};

/// An image as it lies in its file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StoredImage {
    pub(crate) size: ImageSize,
    /// The turn that the file names.
    pub(crate) turn: Turn,
}

impl StoredImage {
    /// Height and width of the image as it is decoded with this orientation.
    pub(crate) fn size_with(self, orientation: Orientation) -> ImageSize {
        match orientation {
            Orientation::Honour => turned_size(self.size, self.turn),
            Orientation::Ignore => self.size,
        }
    }
}

/// Size and turn of an image, from all of its file; `None` where nothing short of decoding tells.
pub(crate) fn stored_in_file(bytes: &[u8]) -> Option<StoredImage> {
    match Format::of(bytes)? {
        Format::Tiff => {
            let (size, turn) = caught(|| tiff_file::size_and_turn(bytes)).flatten()?;
            Some(StoredImage { size, turn })
        }
        Format::Gif => {
            let size = caught(|| gif::size_of(bytes)).flatten()?;
            Some(StoredImage { size, turn: Turn::NoTransforms })
        }
        _ => stored_at_start(bytes),
    }
}

/// Size and turn of an image, from the beginning of its file; `None` where that does not tell.
pub(crate) fn stored_at_start(bytes: &[u8]) -> Option<StoredImage> {
    let format = match Format::of(bytes)? {
        Format::Jpeg => {
            let jpeg = ScaledJpeg::read(bytes, Orientation::Honour)?;
            let ((width, height), turn) = (jpeg.size(), jpeg.turn());
            // Turning twice gives the size that it had before.
            return Some(StoredImage { size: turned_size(ImageSize { height, width }, turn), turn });
        }
        Format::Png => ImageFormat::Png,
        Format::Bmp => ImageFormat::Bmp,
        // Its turn stands behind its pixels.
        Format::WebP if bytes.len() < riff_length(bytes)? => return None,
        Format::WebP => ImageFormat::WebP,
        // Their directory and their first frame may stand anywhere.
        Format::Tiff | Format::Gif => return None,
    };
    caught(|| through_image(bytes, format)).flatten()
}

/// What the crate `image` reads.
fn through_image(bytes: &[u8], format: ImageFormat) -> Option<StoredImage> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let [width, height] = [width, height].map(|side| side as usize);
    Some(StoredImage { size: ImageSize { height, width }, turn: stored_turn(&mut decoder).ok()? })
}

/// The length of a RIFF file, as its header states it.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let stated = bytes.get(4..8)?.first_chunk()?;
    Some(8 + u32::from_le_bytes(*stated) as usize)
}
