//! The largest image that is decoded.

use convnext_core::ImageSize;

use crate::error::DataError;

/// The largest image that is decoded: 512 MiB of pixels.
pub(crate) const MAX_DECODED_BYTES: u64 = 512 << 20;

const MEBIBYTE: u64 = 1 << 20;

/// Refuses an image that takes too many bytes when it is decoded.
pub(crate) fn check_size(name: &str, width: u32, height: u32, bytes: u64) -> Result<(), DataError> {
    if bytes <= MAX_DECODED_BYTES {
        return Ok(());
    }
    Err(DataError::TooLarge {
        name: name.to_owned(),
        width,
        height,
        mebibytes: bytes / MEBIBYTE,
        limit: MAX_DECODED_BYTES / MEBIBYTE,
    })
}

/// Refuses a size that a file states and of whose pixels no map can be made, with two bytes for each.
///
/// # Errors
/// In words.
pub(crate) fn check_pixels(name: &str, size: ImageSize) -> Result<(), String> {
    let [width, height] = [size.width, size.height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let bytes = (u64::from(width) * u64::from(height)).saturating_mul(size_of::<u16>() as u64);
    check_size(name, width, height, bytes).map_err(|error| error.to_string())
}
