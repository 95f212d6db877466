//! The parts that the rows of a label file name.

use std::collections::BTreeMap;

use super::columns::{Columns, SplitColumn};
use super::rows::{Row, Source};
use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::error::DataError;

impl Source {
    /// The part of each row. A column that is not called `split` counts only if it names parts.
    pub(super) fn splits(&self, rows: &[Row], columns: &Columns) -> Result<Vec<Option<Split>>, DataError> {
        let has_parts = rows.iter().any(|row| row.part().is_some());
        let unknown = rows.iter().find(|row| !row.split.is_empty() && row.part().is_none());
        match (columns.split, unknown) {
            (_, None) => Ok(rows.iter().map(Row::part).collect()),
            (Some(SplitColumn::Perhaps(column)), Some(row)) if !has_parts => {
                log::warn!(
                    "{}: the column '{}' is not taken for parts of the data, because '{}' and its other words are none of {}",
                    self.name,
                    columns.names[column],
                    row.split,
                    known_words()
                );
                Ok(vec![None; rows.len()])
            }
            (Some(SplitColumn::Perhaps(column)), Some(row)) => Err(self.wrong(
                row.line,
                format!(
                    "the column '{}' tells the part of other rows, but '{}' is none of {}; write such a word, or call the \
                     column otherwise",
                    columns.names[column],
                    row.split,
                    known_words()
                ),
            )),
            (_, Some(row)) => {
                Err(self.wrong(row.line, format!("the split '{}' is none of {}", row.split, known_words())))
            }
        }
    }

    /// Refuses rows that a file without parts would pool, though their images lie in the folders of several.
    pub(super) fn check_not_pooled(&self, rows: &[Row], listing: &Listing) -> Result<(), DataError> {
        let mut found: BTreeMap<Split, &str> = BTreeMap::new();
        for row in rows {
            let path = listing.images.get(row.image);
            let split = path.split('/').rev().skip(1).find_map(|folder| match Named::of(folder) {
                Named::Wholly(split) => Some(split),
                _ => None,
            });
            if let Some(split) = split {
                found.entry(split).or_insert(path);
            }
        }
        let found: Vec<String> = found.iter().map(|(split, path)| format!("{path} ({split})")).collect();
        if found.len() < 2 {
            return Ok(());
        }
        let why = format!(
            "it tells no parts, but its images lie in the folders of several, such as {}; add a column 'split' with the part \
             of each row, or with 'train' in every row to use all of them for training",
            found.join(" and ")
        );
        Err(self.wrong(1, why))
    }
}

/// The words for parts.
fn known_words() -> String {
    let words: Vec<&str> = Split::ALL.iter().flat_map(|split| split.words()).copied().collect();
    words.join(", ")
}
