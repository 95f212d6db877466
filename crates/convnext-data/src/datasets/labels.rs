//! Labels from a CSV file, for data whose folders are no classes.

mod columns;
mod kinds;
mod lookup;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use csv::{ReaderBuilder, StringRecord, Trim};

pub(crate) use self::columns::is_header;
use self::{
    columns::{Columns, SplitColumn},
    lookup::{Lookup, NotFound},
};
use crate::datasets::class_folders::Classes;
use crate::datasets::class_name::canonical_name;
use crate::datasets::label_sets::{SEPARATOR, set_of_label};
use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::error::DataError;

/// The images of each class that a label file names.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Those of each of [`Split::ALL`]; where any row names a part, those without one are for training.
    pub(crate) parts: [Classes; 3],
    /// All images of a file that names no parts.
    pub(crate) whole: Classes,
}

/// A row that labels an image.
struct Row {
    line: u64,
    image: usize,
    label: String,
    /// The word in the column of parts.
    split: String,
}

impl Row {
    fn part(&self) -> Option<Split> {
        Named::of(&self.split).split()
    }
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
        log::info!("{}: {left_out} images of the data have no label and are left out", source.name);
    }
    let splits = source.splits(&rows, &columns)?;
    if splits.iter().all(Option::is_none) && !matches!(columns.split, Some(SplitColumn::Sure(_))) {
        source.check_not_pooled(&rows, listing)?;
    }
    Ok(divide(rows, &splits))
}

/// Kind of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The class of an image.
    Class,
    /// Any number of classes of an image.
    Set,
}

impl Meaning {
    /// The classes that a label names.
    fn classes(self, label: &str) -> impl Iterator<Item = &str> {
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
struct Source {
    name: String,
    meaning: Meaning,
}

impl Source {
    fn wrong(&self, line: u64, why: String) -> DataError {
        DataError::Labels { path: self.name.clone(), line, why }
    }

    fn broken(&self, error: csv::Error) -> DataError {
        let line = error.position().map_or(1, csv::Position::line);
        let why = error.to_string();
        self.wrong(line, why.strip_prefix("CSV error: ").unwrap_or(&why).to_owned())
    }

    /// The text without the mark that some editors begin it with.
    fn without_mark<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], DataError> {
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
    fn rows(&self, text: &[u8], columns: &Columns, files: &Lookup<'_>) -> Result<Vec<Row>, DataError> {
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

    /// The part of each row. A column that is not called `split` counts only if it names parts.
    fn splits(&self, rows: &[Row], columns: &Columns) -> Result<Vec<Option<Split>>, DataError> {
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
    fn check_not_pooled(&self, rows: &[Row], listing: &Listing) -> Result<(), DataError> {
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

/// `true` if a row names an image for a test whose answer is secret.
fn is_unlabelled_test(record: &StringRecord, columns: &Columns) -> bool {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let part = columns.split.and_then(|column| Named::of(field(column.position())).split());
    record.len() == columns.count
        && part == Some(Split::Test)
        && field(columns.label).is_empty()
        && !field(columns.path).is_empty()
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

/// The words for parts.
fn known_words() -> String {
    let words: Vec<&str> = Split::ALL.iter().flat_map(|split| split.words()).copied().collect();
    words.join(", ")
}

fn not_found(path: &str, error: &NotFound, files: &Lookup<'_>) -> String {
    match error {
        NotFound::Absent => format!("there is no image '{path}' in {}, where paths begin", files.root()),
        NotFound::Several(found) => {
            format!("'{path}' could be any of {}; write its path below {}", found.join(", "), files.root())
        }
    }
}
