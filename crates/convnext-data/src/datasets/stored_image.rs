//! The size and the turn of an image of a data set, without decoding it.

use std::io::Read;

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::reading::stored_size::{StoredImage, stored_at_start, stored_in_file};

/// Bytes that nearly every header fits into.
const HEADER: u64 = 1 << 16;

/// Size and turn of an image without decoding it: from the beginning of its file, or all of it where that does not tell, as of
/// JPEG files, which are checked to be complete. `None` where that cannot be.
///
/// # Errors
/// [`DataError`] when the file cannot be read.
pub(crate) fn stored_image(images: &Dataset, image: usize) -> Result<Option<StoredImage>, DataError> {
    let mut bytes = Vec::new();
    let read = images.open(image).and_then(|file| file.take(HEADER).read_to_end(&mut bytes));
    read.map_err(|source| DataError::io("read", images.name(image), source))?;
    match stored_at_start(&bytes) {
        None if (bytes.len() as u64) < HEADER => Ok(stored_in_file(&bytes)),
        None => Ok(stored_in_file(&images.read(image)?)),
        found => Ok(found),
    }
}
