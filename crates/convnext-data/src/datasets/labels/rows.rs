//! The rows of a label file.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::columns::Columns;
use super::lookup::{Lookup, NotFound};
use crate::datasets::class_name::canonical_name;
use crate::datasets::class_sets::{SEPARATOR, set_of_label};
use crate::datasets::parts::{Named, Split};
use crate::error::DataError;

/// A row that labels an image.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) image: usize,
    pub(super) label: String,
    /// The word in the column of parts.
    pub(super) split: String,
}

impl Row {
    pub(super) fn part(&self) -> Option<Split> {
        Named::of(&self.split).split()
    }
}

/// Kind of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The class of an image.
    Class,
    /// Any number of classes of an image.
    Set,
}

impl Meaning {
    /// The classes that a label names.
    pub(super) fn classes(self, label: &str) -> impl Iterator<Item = &str> {
        label.split(move |mark| self == Self::Set && mark == SEPARATOR).filter(|class| !class.is_empty())
    }

    fn of(self, label: &str) -> String {
        match self {
            Self::Class => canonical_name(label),
            Self::Set => set_of_label(label),
        }
    }
}

/// The file, for its messages.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) meaning: Meaning,
}

impl Source {
    pub(super) fn wrong(&self, line: u64, why: String) -> DataError {
        DataError::Labels { path: self.name.clone(), line, why }
    }

    fn broken(&self, error: csv::Error) -> DataError {
        let line = error.position().map_or(1, csv::Position::line);
        let why = error.to_string();
        self.wrong(line, why.strip_prefix("CSV error: ").unwrap_or(&why).to_owned())
    }

    /// The text without the mark that some editors begin it with.
    pub(super) fn without_mark<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], DataError> {
        /// Bytes that suffice to see that every second byte of English is zero.
        const START: usize = 64;
        let wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        if wide || bytes.iter().take(START).any(|&byte| byte == 0) {
            return Err(
                self.wrong(1, "it is no UTF-8 text but UTF-16 or binary; save it as CSV in UTF-8".into())
            );
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
            return Err(
                self.wrong(line, "it is no UTF-8 text, but perhaps Latin-1; save it as CSV in UTF-8".into())
            );
        }
        Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    }

    /// The rows that label an image, each image once.
    pub(super) fn rows(
        &self,
        text: &[u8],
        columns: &Columns,
        files: &Lookup<'_>,
    ) -> Result<Vec<Row>, DataError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(columns.delimiter)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text);
        let mut rows: Vec<Row> = Vec::new();
        let mut known: HashMap<usize, usize> = HashMap::new();
        let mut record = StringRecord::new();
        let mut unlabelled = 0;
        while reader.read_record(&mut record).map_err(|error| self.broken(error))? {
            if self.meaning == Meaning::Class && is_unlabelled_test(&record, columns) {
                unlabelled += 1;
                continue;
            }
            let Some((path, row)) = self.row(&record, columns, files)? else { continue };
            match known.get(&row.image).map(|&index| &rows[index]) {
                None => {
                    known.insert(row.image, rows.len());
                    rows.push(row);
                }
                Some(first) => self.check_equal(&path, first, &row)?,
            }
        }
        if unlabelled > 0 {
            log::info!("{}: {unlabelled} rows of the test part have no label and are passed over", self.name);
        }
        Ok(rows)
    }

    /// One row, and the path as it stands there; `None` for an empty one.
    fn row(
        &self,
        record: &StringRecord,
        columns: &Columns,
        files: &Lookup<'_>,
    ) -> Result<Option<(String, Row)>, DataError> {
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            return Ok(None);
        }
        if record.len() < columns.count || record.iter().skip(columns.count).any(|field| !field.is_empty()) {
            let why = format!("it has {} fields, but the header has {}", record.len(), columns.count);
            return Err(self.wrong(line, why));
        }
        let field = |column: usize| record.get(column).unwrap_or_default();
        let (path, label) = (field(columns.path), field(columns.label));
        if path.is_empty() || (label.is_empty() && self.meaning == Meaning::Class) {
            return Err(self.wrong(line, "path or label is empty".into()));
        }
        let image = files.find(path).map_err(|error| self.wrong(line, not_found(path, &error, files)))?;
        let split = columns.split.map_or("", |column| field(column.position())).to_owned();
        Ok(Some((path.to_owned(), Row { line, image, label: self.meaning.of(label), split })))
    }

    /// Refuses two rows that say different things about one image.
    fn check_equal(&self, path: &str, first: &Row, second: &Row) -> Result<(), DataError> {
        if first.label != second.label {
            let (line, other) = (first.line, &first.label);
            let why = format!(
                "'{path}' has a label already, in line {line}: '{other}', and here '{}'; give it one",
                second.label
            );
            return Err(self.wrong(second.line, why));
        }
        if first.split.to_lowercase() != second.split.to_lowercase() {
            let (line, other) = (first.line, &first.split);
            let why = format!(
                "'{path}' is in the part '{other}' already, in line {line}, and here in '{}'",
                second.split
            );
            return Err(self.wrong(second.line, why));
        }
        Ok(())
    }
}

/// `true` if a row names an image for a test whose answer is secret.
fn is_unlabelled_test(record: &StringRecord, columns: &Columns) -> bool {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let part = columns.split.and_then(|column| Named::of(field(column.position())).split());
    record.len() == columns.count
        && part == Some(Split::Test)
        && field(columns.label).is_empty()
        && !field(columns.path).is_empty()
}

fn not_found(path: &str, error: &NotFound, files: &Lookup<'_>) -> String {
    match error {
        NotFound::Absent => format!("there is no image '{path}' in {}, where paths begin", files.root()),
        NotFound::Several(found) => {
            format!("'{path}' could be any of {}; write its path below {}", found.join(", "), files.root())
        }
    }
}
