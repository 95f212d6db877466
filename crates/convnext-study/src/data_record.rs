//! Record of a data set, by which a change of it is noticed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use convnext_data::{SHARDS_INDEX_FILE, is_hidden};
use serde::{Deserialize, Serialize};

use crate::error::{StudyError, unreadable};

/// Number and size of the files of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataRecord {
    files: u64,
    bytes: u64,
}

/// Which files of a data set count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Those behind links too, as images are found there; neither hidden ones, which are no images, nor the list of members that
    /// a training writes beside shards.
    Now,
    /// All but those behind links.
    ByEarlierVersions,
}

impl DataRecord {
    /// Of a folder with all that is in it, or of a file. Nothing is read but names and sizes; a data set that is not there has
    /// no files.
    ///
    /// # Errors
    /// [`StudyError::Read`] with the folder or file.
    pub(crate) fn of(path: &Path) -> Result<Self, StudyError> {
        Self::counted(path, Counted::Now)
    }

    /// `true` if an earlier version recorded this of the data set as it is.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn is_of_earlier_version(self, path: &Path) -> Result<bool, StudyError> {
        Ok(self == Self::counted(path, Counted::ByEarlierVersions)?)
    }

    fn counted(path: &Path, counted: Counted) -> Result<Self, StudyError> {
        let mut record = Self::default();
        match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => {
                let real = found.map_err(|source| unreadable(path, source))?;
                record.add(&real, counted, &mut Vec::new())?;
            }
        }
        Ok(record)
    }

    /// Adds a file, or all files below a folder. `open` holds the real paths of the folders being walked, so that a link to one
    /// of them is not followed in circles.
    fn add(&mut self, path: &Path, counted: Counted, open: &mut Vec<PathBuf>) -> Result<(), StudyError> {
        let fail = |source| unreadable(path, source);
        let found = match counted {
            // A link to nowhere counts as a file, as it does for whoever lists images.
            Counted::Now => fs::metadata(path).or_else(|_| fs::symlink_metadata(path)),
            Counted::ByEarlierVersions => fs::symlink_metadata(path),
        };
        let found = found.map_err(fail)?;
        if !found.is_dir() {
            self.files += 1;
            self.bytes += found.len();
            return Ok(());
        }
        let real = fs::canonicalize(path).map_err(fail)?;
        if open.contains(&real) {
            return Ok(());
        }
        open.push(real);
        for entry in fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if counted == Counted::ByEarlierVersions || is_data(&entry.file_name().to_string_lossy()) {
                self.add(&entry.path(), counted, open)?;
            }
        }
        open.pop();
        Ok(())
    }
}

fn is_data(name: &str) -> bool {
    !is_hidden(name) && name != SHARDS_INDEX_FILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_is_known_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (part, file) = (folder.path().join("train/cat"), folder.path().join("train/cat/a.png"));
        let of = |path: &Path| DataRecord::of(path).unwrap();
        assert_eq!(of(&part), DataRecord::default());
        fs::create_dir_all(&part).unwrap();
        fs::write(&file, [0; 7]).unwrap();
        fs::write(folder.path().join("labels.csv"), [0; 3]).unwrap();
        assert_eq!(of(folder.path()), DataRecord { files: 2, bytes: 10 });
        assert_eq!(of(&file), DataRecord { files: 1, bytes: 7 });
    }

    /// Bug: a study on shards could not go on, because its first training had written their index.
    #[test]
    fn what_is_no_image_and_no_shard_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, [0; 5]).unwrap();
        };
        write("train/0.tar");
        let before = DataRecord::of(folder.path()).unwrap();
        for name in ["train/shards.index", ".hidden", "train/.cache/a.png"] {
            write(name);
        }
        assert_eq!(DataRecord::of(folder.path()).unwrap(), before);
        let earlier = DataRecord { files: 4, bytes: 20 };
        assert!(earlier.is_of_earlier_version(folder.path()).unwrap());
        assert!(!before.is_of_earlier_version(folder.path()).unwrap());
    }

    /// Bug: images behind links came and went unnoticed.
    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_never_in_circles() {
        use std::os::unix::fs::symlink;

        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = || DataRecord::of(folder.path()).unwrap();
        fs::write(elsewhere.path().join("a.png"), [0; 7]).unwrap();
        symlink(elsewhere.path(), folder.path().join("cat")).unwrap();
        symlink(elsewhere.path().join("a.png"), folder.path().join("dog.png")).unwrap();
        symlink(folder.path(), elsewhere.path().join("round")).unwrap();
        assert_eq!(of(), DataRecord { files: 2, bytes: 14 });
        fs::write(elsewhere.path().join("b.png"), [0; 2]).unwrap();
        assert_eq!(of(), DataRecord { files: 3, bytes: 16 });
        symlink("nowhere", elsewhere.path().join("c.png")).unwrap();
        assert_eq!(of().files, 4);
    }
}
