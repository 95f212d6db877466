//! Record of a data set, by which a change of it is noticed.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{StudyError, unreadable};

/// Number and size of the files of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataRecord {
    files: u64,
    bytes: u64,
}

impl DataRecord {
    /// Of a folder with all that is in it, or of a file. Nothing is read but names and sizes; a data set that is not there has
    /// no files.
    ///
    /// # Errors
    /// [`StudyError::Read`] with the folder or file.
    pub(crate) fn of(path: &Path) -> Result<Self, StudyError> {
        let mut record = Self::default();
        let mut open = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(record),
            found => vec![found.map_err(|source| unreadable(path, source))?],
        };
        while let Some(path) = open.pop() {
            let fail = |source| unreadable(&path, source);
            // Links are not followed, as they could lead in a circle.
            let found = fs::symlink_metadata(&path).map_err(fail)?;
            if found.is_dir() {
                for entry in fs::read_dir(&path).map_err(fail)? {
                    open.push(entry.map_err(fail)?.path());
                }
            } else {
                record.files += 1;
                record.bytes += found.len();
            }
        }
        Ok(record)
    }
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
}
