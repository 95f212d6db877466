//! YOLO's `data.yaml`: the names of the classes, and where the images of the parts are.

use std::collections::HashSet;

use convnext_core::MAX_CLASSES;
use saphyr::{LoadableYamlNode, Yaml};

use crate::datasets::class_name::canonical_name;
use crate::datasets::parts::Split;

/// A `data.yaml`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DataFile {
    /// The names of the classes; empty where it has none.
    pub(crate) names: Vec<String>,
    /// The folder that paths begin at.
    pub(crate) root: Option<String>,
    /// The folders of images and lists of images of each part.
    pub(crate) places: Vec<(Split, String)>,
    /// How many numbers of keypoints follow the box in each row; `None` for rows without.
    pub(crate) keypoints: Option<usize>,
}

/// A `data.yaml` and where it lies.
pub(crate) struct PlacedDataFile {
    /// Its name in messages.
    pub(crate) name: String,
    /// Its folder below the root of the data; that root for a file from elsewhere.
    pub(crate) folder: String,
    pub(crate) data: DataFile,
}

impl DataFile {
    /// Reads a file; `None` for YAML without names or parts, which is something else.
    ///
    /// # Errors
    /// In words, for what cannot be read.
    pub(crate) fn read(text: &[u8]) -> Result<Option<Self>, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
        let documents = Yaml::load_from_str(text).map_err(|error| format!("it is no YAML: {error}"))?;
        let Some(top) = documents.first() else { return Ok(None) };
        let has = |key: &str| top.as_mapping_get(key).is_some();
        if !(has("names") || has("nc") && has("train")) {
            return Ok(None);
        }
        let names = top.as_mapping_get("names").map_or(Ok(Vec::new()), names)?;
        check_names(&names)?;
        let count = top.as_mapping_get("nc").and_then(Yaml::as_integer);
        let wanted = count.and_then(|count| usize::try_from(count).ok());
        // Each class gets a name, which a number of classes that nobody has would fill the memory with.
        if let Some(wanted) = wanted.filter(|&wanted| wanted > MAX_CLASSES) {
            return Err(format!("it says nc: {wanted}, but there are at most {MAX_CLASSES} classes"));
        }
        if let Some(wanted) = wanted.filter(|&wanted| !names.is_empty() && wanted != names.len()) {
            return Err(format!("it says nc: {wanted}, but has {} names", names.len()));
        }
        let names = match wanted {
            Some(wanted) if names.is_empty() => (0..wanted).map(|class| format!("class_{class}")).collect(),
            _ => names,
        };
        let mut places = Vec::new();
        for (key, split) in [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)] {
            if let Some(value) = top.as_mapping_get(key) {
                let found = paths(value).ok_or(format!("its {key} is neither a path nor a list of paths"))?;
                places.extend(found.into_iter().map(|path| (split, path)));
            }
        }
        let root = top.as_mapping_get("path").and_then(word).filter(|root| !root.is_empty());
        let keypoints = top.as_mapping_get("kpt_shape").map(keypoints).transpose()?;
        Ok(Some(Self { names, root, places, keypoints }))
    }
}

/// Refuses names that tell no classes apart.
fn check_names(names: &[String]) -> Result<(), String> {
    let mut known = HashSet::new();
    match names.iter().find(|name| name.is_empty() || !known.insert(name.as_str())) {
        Some(name) if name.is_empty() => Err("one of its names is empty".into()),
        Some(name) => Err(format!("two of its names are '{name}'")),
        None => Ok(()),
    }
}

/// Names as a list, or as a map from 0 on.
fn names(value: &Yaml<'_>) -> Result<Vec<String>, String> {
    if let Some(list) = value.as_sequence() {
        let names: Option<Vec<String>> = list.iter().map(word).collect();
        return names.ok_or_else(|| "one of its names is no text".into());
    }
    let map = value.as_mapping().ok_or("its names are neither a list nor a map")?;
    let mut names = vec![None; map.len()];
    for (key, name) in map {
        let number = word(key).and_then(|key| key.parse::<usize>().ok());
        let number = number.filter(|&number| number < names.len());
        let place = number.and_then(|number| names.get_mut(number));
        let place = place.ok_or("the numbers of its names are not 0, 1, 2 and so on")?;
        *place = Some(word(name).ok_or("one of its names is no text")?);
    }
    names.into_iter().collect::<Option<_>>().ok_or_else(|| "two of its names have one number".into())
}

/// The numbers of keypoints in a row, of their number and that of numbers for each.
fn keypoints(shape: &Yaml<'_>) -> Result<usize, String> {
    let side = |side: &Yaml<'_>| side.as_integer().and_then(|side| usize::try_from(side).ok());
    let sides: Option<Vec<usize>> = shape.as_sequence().and_then(|sides| sides.iter().map(side).collect());
    match sides.as_deref() {
        Some(&[points, numbers]) => Ok(points.saturating_mul(numbers)),
        _ => Err("its kpt_shape is no list of two numbers".into()),
    }
}

/// Paths: one, or a list; none for nothing.
fn paths(value: &Yaml<'_>) -> Option<Vec<String>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    match value.as_sequence() {
        Some(list) => list.iter().map(word).collect(),
        None => Some(vec![word(value)?]).filter(|paths| !paths[0].is_empty()),
    }
}

/// A word, also one that looks like a number.
fn word(value: &Yaml<'_>) -> Option<String> {
    let text = value.as_str().map(canonical_name);
    let number = || value.as_integer().map(|number| number.to_string());
    let float = || value.as_floating_point().map(|number| number.to_string());
    let truth = || value.as_bool().map(|truth| truth.to_string());
    text.or_else(number).or_else(float).or_else(truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DataFile {
        DataFile::read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn names_are_a_list_or_a_map() {
        for names in ["[cat, 'dog', 3]", "\n  - cat\n  - dog\n  - 3", "\n  0: cat\n  2: 3\n  1: dog  # a dog"]
        {
            let read = read(&format!(
                "path: ../data\ntrain: images/train\nval:\n  - a\n  - b.txt\ntest:\nnames: {names}\n"
            ));
            assert_eq!(read.names, ["cat", "dog", "3"]);
            let places =
                [(Split::Train, "images/train"), (Split::Validation, "a"), (Split::Validation, "b.txt")];
            assert_eq!(read.places, places.map(|(split, path)| (split, path.to_owned())));
        }
        assert_eq!(read("nc: 2\ntrain: a").names, ["class_0", "class_1"]);
        assert_eq!(read("names: [a]\nkpt_shape: [17, 3]").keypoints, Some(51));
    }

    #[test]
    fn other_files_are_left_alone_or_refused() {
        assert_eq!(DataFile::read(b"model: yolo\n"), Ok(None));
        assert_eq!(DataFile::read(b""), Ok(None));
        for (text, expected) in [
            ("names: [a, b]\nnc: 3\n", "nc: 3, but has 2 names"),
            ("nc: 99999999999\ntrain: a\n", "at most 10000000 classes"),
            ("names: {1: a, 2: b}\n", "not 0, 1, 2"),
            ("names: 3\n", "neither a list nor a map"),
            ("names: [a, [b]]\n", "no text"),
            ("names: [a, b, a]\n", "two of its names are 'a'"),
            ("names: [a, '']\n", "one of its names is empty"),
            ("names: [a\n", "no YAML"),
            ("names: [a]\ntrain: {x: y}\n", "its train is neither"),
            ("names: [a]\nkpt_shape: 3\n", "its kpt_shape is no list"),
        ] {
            let why = DataFile::read(text.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
