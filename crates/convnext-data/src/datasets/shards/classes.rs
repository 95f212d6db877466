//! Classes from the labels of shards.

use std::{fs, io, path::Path};

use convnext_core::ClassNames;

use super::index::{Index, IndexedImage, Label, Meaning};
use crate::datasets::class_name::canonical_name;
use crate::error::DataError;

/// The file beside shards that names the classes, one a line, in the order of their numbers.
pub(crate) const CLASSES_FILE: &str = "classes.txt";

/// The most classes that numbers in shards may mean.
const MAX_CLASSES: usize = 1 << 20;

/// The names of the file `classes.txt` of a folder; `None` without one.
pub(crate) fn read(folder: &Path) -> Result<Option<ClassNames>, DataError> {
    let path = folder.join(CLASSES_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::io("read", path.display().to_string(), error)),
    };
    let names: Vec<String> = text.lines().map(canonical_name).collect();
    let mut sorted: Vec<(&str, usize)> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index + 1)).collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0);
    let found = match (names.iter().position(String::is_empty), twice) {
        (Some(index), _) => format!("line {} is empty", index + 1),
        (None, Some(pair)) => format!("'{}' is in lines {} and {}", pair[0].0, pair[0].1, pair[1].1),
        (None, None) if names.is_empty() => "it is empty".into(),
        (None, None) => return Ok(Some(ClassNames(names))),
    };
    let advice = "write one name a line, all of them different".into();
    Err(DataError::Layout { path: path.display().to_string(), found, advice })
}

/// The classes that labels speak of when no file names them: all names, sorted, or all numbers from 0 to
/// the largest.
pub(crate) fn infer(index: &Index, path: &Path) -> Result<ClassNames, DataError> {
    let wrong = |found: String, advice: &str| {
        Err(DataError::Layout { path: path.display().to_string(), found, advice: advice.into() })
    };
    let largest = index.images.iter().filter_map(|image| match image.label.meaning() {
        Meaning::Number(number) => Some(number),
        _ => None,
    });
    match (largest.max(), index.names.list.is_empty()) {
        (None, true) => wrong(
            "no image of its shards has a label".into(),
            "put a KEY.cls or a KEY.json with 'label' beside each KEY.jpg, or give the path of a single archive \
             whose folders are classes",
        ),
        (Some(_), false) => wrong(
            "some labels of its shards are numbers and others names".into(),
            "name all classes in classes.txt, in the order of their numbers",
        ),
        (Some(largest), true) if largest >= MAX_CLASSES => {
            wrong(format!("its shards have the label {largest}"), "number the classes from 0 on")
        }
        (Some(largest), true) => Ok(ClassNames((0..=largest).map(|number| number.to_string()).collect())),
        (None, false) => {
            let mut names = index.names.list.clone();
            names.sort_unstable();
            Ok(ClassNames(names))
        }
    }
}

/// Pairs of image and class, in the order of the shards. Images without a label are left out.
pub(crate) fn samples(
    index: &Index,
    classes: &ClassNames,
    path: &Path,
) -> Result<Vec<(usize, usize)>, DataError> {
    let named: Vec<Option<usize>> = index.names.list.iter().map(|name| classes.index(name)).collect();
    let mut samples = Vec::with_capacity(index.images.len());
    for (position, &IndexedImage { label, .. }) in index.images.iter().enumerate() {
        let class = match label.meaning() {
            Meaning::None => continue,
            Meaning::Number(number) => Some(number).filter(|&number| number < classes.len()),
            Meaning::Name(name) => named[name],
        };
        samples.push((position, class.ok_or_else(|| unknown(index, label, classes, path))?));
    }
    let left_out = index.images.len() - samples.len();
    if left_out > 0 {
        log::warn!("{}: {left_out} images have no label and are left out", path.display());
    }
    Ok(samples)
}

fn unknown(index: &Index, label: Label, classes: &ClassNames, path: &Path) -> DataError {
    let class = match label.meaning() {
        Meaning::Name(name) => index.names.list[name].clone(),
        Meaning::Number(number) => number.to_string(),
        Meaning::None => String::new(),
    };
    DataError::unknown_class(class, path.display().to_string(), classes)
}
