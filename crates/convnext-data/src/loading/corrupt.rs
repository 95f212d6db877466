//! Files that cannot be read: what to do about them, and which were found.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use crate::error::DataError;
use crate::loading::corrupt_file::{Allowed, CorruptFile, most_replaced};

/// Treatment of images that cannot be read or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorrupt {
    /// It stops with the error.
    Fail,
    /// It takes the next good image in the order of the epoch instead, as long as at most 1 % of the data
    /// set is corrupt.
    Replace,
    /// It leaves the image out: batches are then smaller, or empty. An image that was named itself
    /// ([`crate::Dataset::is_named`]) stops it with the error.
    Skip,
    /// It leaves the image out, as long as at most 1 % of the data set is corrupt.
    SkipFew,
}

/// The corrupt files that a loader has met, each once.
#[derive(Debug, Default)]
pub(crate) struct CorruptFiles {
    found: Mutex<(Vec<CorruptFile>, HashSet<String>)>,
}

impl CorruptFiles {
    /// Adds and reports a file, once.
    ///
    /// # Errors
    /// [`DataError::TooManyCorrupt`] when more than 1 % of the `total` files are corrupt and replaced.
    pub(crate) fn add(&self, file: CorruptFile, total: usize, how: OnCorrupt) -> Result<(), DataError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, names) = &mut *found;
        if names.insert(file.name.clone()) {
            let instead =
                if how == OnCorrupt::Replace { "another image replaces it" } else { "it is left out" };
            log::warn!("{} cannot be used ({}); {instead}", file.name, file.why);
            files.push(file);
        }
        if how == OnCorrupt::Skip || files.len() <= most_replaced(total) {
            return Ok(());
        }
        let counted = format!("{} of {total} images", files.len());
        Err(DataError::too_many_corrupt(counted, Allowed::OnePercent, files.clone()))
    }

    /// Takes up files that an earlier process found.
    pub(crate) fn restore(&self, files: Vec<CorruptFile>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.1 = files.iter().map(|file| file.name.clone()).collect();
        found.0 = files;
    }

    /// All files found so far, sorted by name.
    pub(crate) fn sorted(&self) -> Vec<CorruptFile> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = found.0.clone();
        files.sort();
        files
    }
}
