//! Files that say which patches an autoencoder may see.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use convnext_core::{ConfigError, Mask, PatchGrid};
use serde::Deserialize;
use thiserror::Error;

/// No mask file is longer than this many bytes.
const LONGEST_FILE: u64 = 1 << 24;

/// Why a mask file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MaskFileError {
    /// The file cannot be read.
    #[error("cannot read mask {path}: {source}; check that the path is right")]
    Read {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
    /// The file is no list of patches.
    #[error("mask {path} is not of the form {{\"kept\": [0, 3, ...]}}: {source}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Underlying JSON error.
        source: serde_json::Error,
    },
    /// The patches do not fit the image.
    #[error("mask {path}: {source}")]
    Patches {
        /// The file.
        path: PathBuf,
        /// Underlying error, with the patches and the reason.
        source: ConfigError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskFile {
    kept: Vec<usize>,
}

/// Reads `{"kept": [patch indices, row by row]}` as a mask of this grid.
///
/// # Errors
/// [`MaskFileError`] with the path.
pub fn read_mask(path: &Path, grid: PatchGrid) -> Result<Mask, MaskFileError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut text))
        .map_err(|source| MaskFileError::Read { path: path.to_owned(), source })?;
    let file: MaskFile = serde_json::from_slice(&text)
        .map_err(|source| MaskFileError::Form { path: path.to_owned(), source })?;
    Mask::from_kept(grid, file.kept)
        .map_err(|source| MaskFileError::Patches { path: path.to_owned(), source })
}
