//! One file of weights that were saved in several, named without the others.

use std::path::Path;

use crate::error::IoError;

/// The error for a file that is no whole model: where its name is that of a part, this is what is wrong.
pub(super) fn explained(path: &Path, error: IoError) -> IoError {
    let is_of_whole = matches!(
        error,
        IoError::Foreign { .. }
            | IoError::ForeignMismatch { .. }
            | IoError::ImpossibleModel { .. }
            | IoError::BadTensor { .. }
    );
    if !is_of_whole {
        return error;
    }
    let Some(index) = path.file_name().and_then(|name| index_of(name.to_str()?)) else { return error };
    let advice = if path.with_file_name(&index).is_file() {
        format!("name their index {index} or the folder")
    } else {
        format!(
            "their index {index} is missing; copy it and the other parts beside this one, and name the index"
        )
    };
    IoError::LoneShard { path: path.to_owned(), advice }
}

impl IoError {
    /// The error for a file whose tensors have names of no known model: [`Self::Foreign`], or [`Self::LoneShard`] for
    /// one of several files.
    pub fn unknown_model(path: &Path) -> Self {
        explained(path, Self::Foreign { path: path.to_owned() })
    }
}

/// The name of the index, if a name is that of a part: `model-00001-of-00002.safetensors`.
fn index_of(name: &str) -> Option<String> {
    let (before, after) = name.rsplit_once("-of-")?;
    let (stem, number) = before.rsplit_once('-')?;
    let (count, extension) = after.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    (is_number(number) && is_number(count)).then(|| format!("{stem}.{extension}.index.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        let index = index_of("model-00001-of-00002.safetensors");
        assert_eq!(index.as_deref(), Some("model.safetensors.index.json"));
        let index = index_of("pytorch_model-3-of-10.bin");
        assert_eq!(index.as_deref(), Some("pytorch_model.bin.index.json"));
        for name in ["model.safetensors", "best-of-2.pt", "a-one-of-two.pt", "model-00001-of-00002"] {
            assert_eq!(index_of(name), None, "{name}");
        }
    }
}
