//! Files that cannot be read: what to do about them, and which were found.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// Treatment of images that cannot be read or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorrupt {
    /// It stops with the error.
    Fail,
    /// It takes the next good image in the order of the epoch instead, as long as at most 1 % of the data
    /// set is corrupt.
    Replace,
    /// It leaves the image out: batches are then smaller, or empty.
    Skip,
    /// It leaves the image out, as long as at most 1 % of the data set is corrupt.
    SkipFew,
}

/// An image file that could not be read or decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorruptFile {
    /// The file.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// Limit of corrupt files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    None,
    OnePercent,
}

impl Allowed {
    /// The most corrupt files of so many.
    pub(crate) fn of(self, samples: usize) -> usize {
        match self {
            Self::None => 0,
            Self::OnePercent => samples / 100,
        }
    }

    /// Text for a count above the limit.
    pub(crate) fn exceeded(self) -> &'static str {
        match self {
            Self::None => "and none may be",
            Self::OnePercent => "more than 1 %",
        }
    }
}

/// The most corrupt files that are replaced.
pub(crate) fn most_replaced(samples: usize) -> usize {
    Allowed::OnePercent.of(samples)
}

/// The first of `count` files, one a line.
pub(crate) fn listed(files: &[CorruptFile], count: usize) -> String {
    const SHOWN: usize = 10;
    let shown = files.iter().take(SHOWN);
    let mut lines: String = shown.map(|file| format!("\n  {}: {}", file.name, file.why)).collect();
    if count > SHOWN.min(files.len()) {
        lines += &format!("\n  and {} more", count - SHOWN.min(files.len()));
    }
    lines
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
