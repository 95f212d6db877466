//! Labels by the classes of the training part: their names, or their indices.

use std::collections::HashSet;

use convnext_core::ClassNames;

use crate::datasets::class_name::canonical_name;

/// A label, and the image that it is of.
pub(super) struct Row<'a> {
    /// The line of the file, from 1.
    pub(super) line: usize,
    pub(super) place: usize,
    pub(super) label: &'a str,
}

/// The classes of the training part.
pub(super) struct Known<'a> {
    pub(super) names: &'a ClassNames,
    set: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn new(names: &'a ClassNames) -> Self {
        Self { names, set: names.0.iter().map(String::as_str).collect() }
    }

    /// `true` if labels are indices. They are names as soon as one can be nothing else, or all can be names: one by one,
    /// the class called `1` would take the images of the class with index 1.
    pub(super) fn are_indices(&self, rows: &[Row<'_>]) -> bool {
        let is_name = |row: &Row<'_>| self.class(row.label, false).is_some();
        let is_index = |row: &Row<'_>| self.class(row.label, true).is_some();
        !rows.iter().all(is_name) && !rows.iter().any(|row| is_name(row) && !is_index(row))
    }

    /// A class by its index, from 0, or by its name.
    pub(super) fn class(&self, label: &str, by_index: bool) -> Option<&'a str> {
        match by_index {
            true => self.names.0.get(label.parse::<usize>().ok()?).map(String::as_str),
            false => self.set.get(&*canonical_name(label)).copied(),
        }
    }
}
