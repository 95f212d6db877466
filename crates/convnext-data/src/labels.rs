//! Labels from a CSV file, for data whose folders are no classes.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{
    DataError,
    layout::{Classes, VALIDATION},
    listing::Listing,
};

/// The images of each class that a file of labels names.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Those for training, and those without a part.
    pub(crate) train: Classes,
    /// Those for validation; empty when the file names none.
    pub(crate) validation: Classes,
}

/// Reads a file of labels: a header with the columns `path`, `label` and perhaps `split`, in any order
/// and among others; a path is relative to the data.
pub(crate) fn read(file: &Path, listing: &Listing) -> Result<Labels, DataError> {
    let fail = |line: u64, why: String| DataError::Labels { path: file.display().to_string(), line, why };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let why = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DataError::io("read", file.display().to_string(), source),
            _ => fail(line, why),
        }
    };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_path(file).map_err(broken)?;
    let header = reader.headers().map_err(broken)?.clone();
    let column = |name: &str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
    let needed = |name: &str| column(name).ok_or_else(|| fail(1, format!("there is no column '{name}'")));
    let (path_column, label_column, split_column) = (needed("path")?, needed("label")?, column("split"));

    let files = Files::of(listing);
    let mut labels = Labels::default();
    let mut lines: HashMap<usize, u64> = HashMap::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default();
        let (path, label) = (field(path_column), field(label_column));
        if path.is_empty() || label.is_empty() {
            return Err(fail(line, "path or label is empty".into()));
        }
        let Some(image) = files.find(path) else {
            let root = listing.name("");
            return Err(fail(line, format!("there is no image '{path}' in {root}, where paths begin")));
        };
        if let Some(first) = lines.insert(image, line) {
            return Err(fail(line, format!("'{path}' has a label already, in line {first}")));
        }
        let split = split_column.map_or("", field);
        let part = match split.to_ascii_lowercase().as_str() {
            "" | "train" => &mut labels.train,
            other if VALIDATION.contains(&other) => &mut labels.validation,
            _ => {
                let words = VALIDATION.join(", ");
                return Err(fail(line, format!("the split '{split}' is none of train, {words}")));
            }
        };
        part.entry(label.to_owned()).or_default().push(image);
    }
    if lines.is_empty() {
        return Err(fail(1, "it labels no image".into()));
    }
    let left_out = listing.images.len() - lines.len();
    if left_out > 0 {
        log::info!("{}: {left_out} images of the data have no label and are left out", file.display());
    }
    // In the order of the data, whatever the order of the lines.
    for images in labels.train.values_mut().chain(labels.validation.values_mut()) {
        images.sort_unstable();
    }
    Ok(labels)
}

/// The images of a listing by their paths.
struct Files<'a> {
    places: BTreeMap<&'a str, usize>,
    /// The folder that all images lie in, as in many archives.
    top: Option<&'a str>,
}

impl<'a> Files<'a> {
    fn of(listing: &'a Listing) -> Self {
        let places: BTreeMap<&str, usize> =
            listing.images.iter().enumerate().map(|(place, path)| (path, place)).collect();
        let top_of = |path: &'a str| path.split_once('/').map(|(top, _)| top);
        let first = places.keys().next().and_then(|path| top_of(path));
        let top = first.filter(|_| places.keys().all(|path| top_of(path) == first));
        Self { places, top }
    }

    /// The place of an image, with or without the folder that all lie in.
    fn find(&self, path: &str) -> Option<usize> {
        let path = path.replace('\\', "/");
        let path = path.strip_prefix("./").unwrap_or(&path);
        let below = || self.places.get(format!("{}/{path}", self.top?).as_str());
        self.places.get(path).or_else(below).copied()
    }
}
