//! Images that travel with the program, so that it can be tried without any of one's own.
//!
//! Where they come from and under which licences stands in `ATTRIBUTION.md`, which is written beside
//! them; `samples/make_samples.py` made them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tar::Archive;
use thiserror::Error;

/// Handwritten digits, `digits/train/DIGIT/*.png` and `digits/test/DIGIT/*.png`.
const DIGITS: &[u8] = include_bytes!("../samples/digits.tar.gz");

const ATTRIBUTION: &str = include_str!("../samples/ATTRIBUTION.md");

const PHOTOGRAPHS: [(&str, &[u8]); 3] = [
    ("astronaut.jpg", include_bytes!("../samples/photographs/astronaut.jpg")),
    ("chelsea.jpg", include_bytes!("../samples/photographs/chelsea.jpg")),
    ("coffee.jpg", include_bytes!("../samples/photographs/coffee.jpg")),
];

/// The samples cannot be written.
#[derive(Debug, Error)]
#[error("cannot write the samples into {path}: {source}; check that the folder is writable and has space")]
pub struct SamplesError {
    /// The folder.
    pub path: PathBuf,
    /// Underlying I/O error.
    pub source: io::Error,
}

/// Writes the samples into a folder, over those that are there: `digits/` with 1,437 images for training
/// and 360 for testing, of 8x8 pixels in 10 classes, and `photographs/` with three images.
///
/// # Errors
/// [`SamplesError`] when something cannot be written.
pub fn write_samples(folder: &Path) -> Result<(), SamplesError> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder.join("photographs"))?;
        for (name, bytes) in PHOTOGRAPHS {
            fs::write(folder.join("photographs").join(name), bytes)?;
        }
        fs::write(folder.join("photographs/ATTRIBUTION.md"), ATTRIBUTION)?;
        Archive::new(GzDecoder::new(DIGITS)).unpack(folder)
    };
    write().map_err(|source| SamplesError { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use convnext_core::Seed;
    use convnext_data::{Decoding, Orientation, open_labelled, open_unlabelled};

    use super::*;

    #[test]
    fn the_digits_are_all_there_and_evenly_divided() {
        let folder = tempfile::tempdir().unwrap();
        write_samples(folder.path()).unwrap();
        // Once more, as a quickstart that goes on does.
        write_samples(folder.path()).unwrap();
        let data = open_labelled(&folder.path().join("digits"), None, 0.2, Seed(0)).unwrap();
        assert_eq!((data.train.len(), data.validation.len(), data.held_out), (1437, 360, false));
        let names: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        assert_eq!(data.train.classes().0, names);
        assert!(data.validation.labels_per_class().iter().all(|count| (35..=37).contains(count)));
        let image = data.train.image(0, &Decoding::new(3, Orientation::Honour)).unwrap();
        assert_eq!((image.width(), image.height()), (8, 8));
        assert_eq!(open_unlabelled(&folder.path().join("photographs")).unwrap().len(), 3);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let message = write_samples(&file).unwrap_err().to_string();
        assert!(message.contains(&file.display().to_string()), "{message}");
    }
}
