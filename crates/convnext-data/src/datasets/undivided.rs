//! Opening labelled data that has no parts yet.

use std::path::Path;

use crate::datasets::dataset::Dataset;
use crate::datasets::division::Division;
use crate::datasets::open::{list, part};
use crate::datasets::shards::open as shards;
use crate::error::DataError;

/// Opens all images of labelled data that is to be divided into parts. Layouts and `labels` are those of
/// [`crate::open_labelled`].
///
/// # Errors
/// [`DataError::Layout`] when the data has parts already, and those of [`crate::open_part`].
pub fn open_undivided(path: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let listing = list(path, labels)?;
    if shards::holds_shards(&listing) {
        return Ok(shards::open_undivided(&listing)?.images);
    }
    let division = Division::of(&listing, labels)?;
    division.available().check_undivided().map_err(|missing| missing.at(division.name()))?;
    Ok(part(&listing, division.for_evaluation(None)?).images)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::pixels::image::Image;

    /// Bug: of a part for training alone it was said to name it with flags of another command.
    #[test]
    fn data_with_parts_is_refused_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for class in ["cat", "dog"] {
            fs::create_dir_all(data.join("train").join(class)).unwrap();
            Image::new(2, 2, 1, vec![7; 4])
                .unwrap()
                .save_png(&data.join("train").join(class).join("1.png"))
                .unwrap();
        }
        let rows = folder.path().join("labels.csv");
        fs::write(&rows, "path,label,split\ntrain/cat/1.png,cat,train\ntrain/dog/1.png,dog,test\n").unwrap();
        for (labels, parts) in
            [(None, "'train'; give one of them"), (Some(&*rows), "train rows, test rows; give")]
        {
            let message = open_undivided(&data, labels).unwrap_err().to_string();
            assert!(message.contains(parts) && !message.contains("--"), "{message}");
        }
        assert_eq!(open_undivided(&data.join("train"), None).unwrap().len(), 2);
    }
}
