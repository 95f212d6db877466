//! `--batch-size`: a number, or as many as fit.

use crate::cli::values::count;

/// Batch size of a training.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BatchSize {
    /// As many as fit into memory.
    Auto,
    /// So many.
    Count(usize),
}

/// A batch size, as typed.
pub(super) fn batch_size(text: &str) -> Result<BatchSize, String> {
    match text {
        "auto" => Ok(BatchSize::Auto),
        _ => count(text).map(BatchSize::Count).map_err(|expected| format!("{expected}, or auto")),
    }
}
