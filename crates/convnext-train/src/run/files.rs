//! Writing of a run folder's files, and the errors of that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use convnext_io::{UNFINISHED_SUFFIX, replace_file};

use crate::error::TrainError;

/// Opens a file to write at its end, and makes it where it is missing.
pub(crate) fn open_to_append(path: &Path) -> Result<File, TrainError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|source| output(path, source))
}

/// Puts a file in its place, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    replace_file(path, |mut file| file.write_all(bytes)).map_err(|source| output(path, source))
}

/// Removes what a killed process left half written.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<(), TrainError> {
    let fail = |source| output(folder, source);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED_SUFFIX) {
            fs::remove_file(entry.path()).map_err(|source| output(&entry.path(), source))?;
        }
    }
    Ok(())
}

/// The error of a file that cannot be written.
pub(crate) fn output(path: &Path, source: io::Error) -> TrainError {
    TrainError::Output { path: path.to_owned(), source }
}
