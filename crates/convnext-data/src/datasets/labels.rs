//! Labels from a CSV file, for data whose folders are no classes.

pub(crate) mod columns;
mod kinds;
mod lookup;
mod rows;
mod splits;

use std::{fs, path::Path};

use self::{
    columns::{Columns, SplitColumn},
    lookup::Lookup,
    rows::{Meaning, Row, Source},
};
use crate::datasets::classes::Classes;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::error::DataError;

/// The images of each class that a label file names.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Those of each of [`Split::ALL`]; where any row names a part, those without one are for training.
    pub(crate) parts: [Classes; 3],
    /// All images of a file that names no parts.
    pub(crate) whole: Classes,
}

/// Reads a label file: a header with columns for paths, labels and perhaps parts, in any order and among others
/// ([`Columns`]). Paths are found as [`Lookup`] says. Empty rows and rows that repeat another one do not count.
pub(crate) fn read(file: &Path, listing: &Listing) -> Result<Labels, DataError> {
    read_as(Meaning::Class, file, listing)
}

/// [`read`] of labels that are sets of classes, under the names of the sets; an empty label is the empty set.
pub(crate) fn read_sets(file: &Path, listing: &Listing) -> Result<Labels, DataError> {
    read_as(Meaning::Set, file, listing)
}

fn read_as(meaning: Meaning, file: &Path, listing: &Listing) -> Result<Labels, DataError> {
    let source = Source { name: file.display().to_string(), meaning };
    let bytes = fs::read(file).map_err(|error| DataError::io("read", &source.name, error))?;
    let text = source.without_mark(&bytes)?;
    let columns = Columns::of(text).map_err(|why| source.wrong(1, why))?;
    let rows = source.rows(text, &columns, &Lookup::of(listing, file))?;
    if rows.is_empty() {
        return Err(source.wrong(1, "it labels no image".into()));
    }
    let classes = rows.iter().flat_map(|row| meaning.classes(&row.label).map(|class| (class, row.line)));
    if let Some((line, other)) = kinds::no_classes(classes) {
        return Err(source.wrong(line, other.in_words(meaning == Meaning::Set)));
    }
    let left_out = listing.images.len() - rows.len();
    if left_out > 0 {
        log::warn!("{}: {left_out} images of the data have no label and are left out", source.name);
    }
    let splits = source.splits(&rows, &columns)?;
    if splits.iter().all(Option::is_none) && !matches!(columns.split, Some(SplitColumn::Sure(_))) {
        source.check_not_pooled(&rows, listing)?;
    }
    Ok(divide(rows, &splits))
}

/// The rows by part and class, in the order of the data, whatever the order of the lines.
fn divide(rows: Vec<Row>, splits: &[Option<Split>]) -> Labels {
    let mut labels = Labels::default();
    let has_parts = splits.iter().any(Option::is_some);
    for (row, split) in rows.into_iter().zip(splits) {
        let classes = match has_parts {
            true => &mut labels.parts[split.unwrap_or(Split::Train) as usize],
            false => &mut labels.whole,
        };
        classes.entry(row.label).or_default().push(row.image);
    }
    for classes in labels.parts.iter_mut().chain([&mut labels.whole]) {
        classes.values_mut().for_each(|images| images.sort_unstable());
    }
    labels
}
