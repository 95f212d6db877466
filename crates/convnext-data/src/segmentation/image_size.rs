//! The size of an image, which its mask has to have.

use std::io::Read;

use convnext_core::ImageSize;

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::pixels::orientation::Orientation;
use crate::reading::format::Format;
use crate::reading::stored_size::{StoredImage, stored_in_file};
use crate::segmentation::error::MaskError;

/// Size and turn of an image without decoding it; `None` where that cannot be.
pub(crate) fn stored_image(images: &Dataset, image: usize) -> Result<Option<StoredImage>, DataError> {
    Ok(stored_in_file(&header(images, image)?))
}

/// The error of a mask of this name and size, which is not that of its image. It says so where the other treatment of EXIF
/// would help.
pub(crate) fn other_size(
    (name, found): (String, ImageSize),
    (images, image): (&Dataset, usize),
    expected: ImageSize,
    orientation: Orientation,
) -> DataError {
    let other = match orientation {
        Orientation::Honour => Orientation::Ignore,
        Orientation::Ignore => Orientation::Honour,
    };
    let stored = stored_image(images, image).ok().flatten();
    let fits = stored.is_some_and(|stored| stored.size_with(other) == found);
    let image = images.name(image);
    MaskError::Size { name, found, image, expected, fits: fits.then_some(other) }.into()
}

/// The beginning of an image, which has its size; all of a file where size or turn may stand anywhere.
fn header(images: &Dataset, image: usize) -> Result<Vec<u8>, DataError> {
    const HEADER: u64 = 1 << 16;
    let mut bytes = Vec::new();
    let read = images.open(image).and_then(|file| file.take(HEADER).read_to_end(&mut bytes));
    read.map_err(|source| DataError::io("read", images.name(image), source))?;
    match Format::of(&bytes) {
        Some(Format::Jpeg | Format::WebP | Format::Tiff | Format::Gif) => images.read(image),
        _ => Ok(bytes),
    }
}
