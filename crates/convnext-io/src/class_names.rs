//! Files that name classes, for weights that do not.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use convnext_core::ClassNames;
use serde::Deserialize;

use crate::error::{IoError, read_error};

/// The forms in JSON: a list in the order of the logits, numbers with names or names with numbers; or one of them
/// under the key that timm or transformers gives it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    InOrder(Vec<String>),
    ById2Label { id2label: BTreeMap<String, String> },
    ByLabelNames { label_names: Vec<String> },
    ByNumber(BTreeMap<String, String>),
    ByName(BTreeMap<String, usize>),
}

/// Reads the names of classes in the order of the logits: one a line, or in JSON as a list, as `id2label` of
/// transformers (also a whole `config.json`), `label_names` of timm, or names with their numbers (`class_to_idx` of
/// torchvision).
///
/// # Errors
/// [`IoError::Missing`], [`IoError::Read`]; [`IoError::BadClassNames`] for numbers with gaps, empty names, a name that
/// is duplicated, and what is none of these forms.
pub fn read_class_names(path: &Path) -> Result<ClassNames, IoError> {
    let bad = |why: String| IoError::BadClassNames { path: path.to_owned(), why };
    let bytes = fs::read(path).map_err(|source| read_error(path, source))?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is no text in UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let names = if text.starts_with(['[', '{']) { in_json(text) } else { Ok(in_lines(text)) }.map_err(bad)?;
    let mut seen = HashSet::new();
    if names.is_empty() {
        return Err(bad("it names no class".to_owned()));
    }
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(bad(format!("the name of class {index} is empty")));
        }
        if !seen.insert(name) {
            return Err(bad(format!("'{name}' is duplicated")));
        }
    }
    Ok(ClassNames(names))
}

fn in_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn in_json(text: &str) -> Result<Vec<String>, String> {
    let listed = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "it is JSON, but neither a list of names nor a map from numbers to names".to_owned()
        }
        _ => format!("it is no JSON: {error}"),
    })?;
    let numbered = |names: Vec<(Option<usize>, String)>| {
        let mut in_order = vec![None; names.len()];
        for (index, name) in names {
            match index.and_then(|index| in_order.get_mut(index)) {
                Some(place) => *place = Some(name),
                None => {
                    return Err(format!("the number of '{name}' is not among 0 to {}", in_order.len() - 1));
                }
            }
        }
        let gap = in_order.iter().position(Option::is_none);
        match gap {
            Some(index) => Err(format!("no class has the number {index}")),
            None => Ok(in_order.into_iter().flatten().collect()),
        }
    };
    match listed {
        Listed::InOrder(names) | Listed::ByLabelNames { label_names: names } => Ok(names),
        Listed::ById2Label { id2label: names } | Listed::ByNumber(names) => {
            numbered(names.into_iter().map(|(index, name)| (index.parse().ok(), name)).collect())
        }
        Listed::ByName(names) => {
            numbered(names.into_iter().map(|(name, index)| (Some(index), name)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ClassNames, IoError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names");
        fs::write(&path, text).unwrap();
        read_class_names(&path)
    }

    #[test]
    fn every_form_gives_the_names_in_order() {
        for text in [
            "cat\nhot dog\nbee",
            "\u{feff}cat\r\n hot dog \r\nbee\r\n\r\n",
            r#"["cat", "hot dog", "bee"]"#,
            r#"{"0": "cat", "1": "hot dog", "2": "bee"}"#,
            r#"{"model_type": "convnextv2", "id2label": {"2": "bee", "0": "cat", "1": "hot dog"}}"#,
            r#"{"num_classes": 3, "label_names": ["cat", "hot dog", "bee"]}"#,
            r#"{"bee": 2, "cat": 0, "hot dog": 1}"#,
        ] {
            assert_eq!(read(text).unwrap().0, ["cat", "hot dog", "bee"], "{text}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        for (text, why) in [
            ("", "names no class"),
            ("cat\n\ndog", "name of class 1 is empty"),
            ("cat\ndog\ncat", "'cat' is duplicated"),
            (r#"{"0": "cat", "2": "dog"}"#, "the number of 'dog' is not among 0 to 1"),
            (r#"{"cat": 1, "dog": 1}"#, "no class has the number 0"),
            (r#"{"cat": "dog"}"#, "the number of 'dog'"),
            (r#"[1, 2]"#, "neither a list of names"),
            (r#"["cat", "#, "no JSON"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(why) && message.contains("names"), "{message}");
        }
        assert!(matches!(read_class_names(Path::new("gone")), Err(IoError::Missing { .. })));
    }
}
