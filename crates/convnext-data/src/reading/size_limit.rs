//! The largest image that is decoded.

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
