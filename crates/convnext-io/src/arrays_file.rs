//! Arrays that are no weights, in the safetensors format.

use std::path::Path;

use crate::array::ArraySource;
use crate::error::IoError;
use crate::safetensors_file::write;

/// Writes arrays that are no weights, such as activations, as [`crate::write_weights`] does, without metadata.
///
/// # Errors
/// As [`crate::write_weights`].
pub fn write_arrays(path: &Path, arrays: &[impl ArraySource]) -> Result<(), IoError> {
    write(path, arrays, None, None)
}
