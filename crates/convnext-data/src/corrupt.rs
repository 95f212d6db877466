//! Files that cannot be read: what to do about them, and which were found.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::DataError;

/// What the loader does when an image cannot be read or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorrupt {
    /// It stops with the error.
    Fail,
    /// It takes the next good image in the order of the epoch instead, as long as at most 1 % of the data
    /// set is corrupt.
    Replace,
    /// It leaves the image out: batches are then smaller, or empty.
    Skip,
}

/// An image file that could not be read or decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorruptFile {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// The most corrupt files that are replaced: 1 % of the data set.
pub(crate) fn most_replaced(samples: usize) -> usize {
    samples / 100
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
                if how == OnCorrupt::Skip { "it is left out" } else { "another image takes its place" };
            log::warn!("{} cannot be used ({}); {instead}", file.name, file.why);
            files.push(file);
        }
        match files.first() {
            Some(first) if how != OnCorrupt::Skip && files.len() > most_replaced(total) => {
                Err(DataError::TooManyCorrupt {
                    count: files.len(),
                    total,
                    first: first.name.clone(),
                    why: first.why.clone(),
                })
            }
            _ => Ok(()),
        }
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
