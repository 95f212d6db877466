//! Names of image files in folders of classes that are written.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Names that are given to files, so that none is given twice.
#[derive(Debug, Default)]
pub struct FreeNames {
    /// In lower case: some file systems know no other.
    taken: HashSet<PathBuf>,
    /// The next number for files of a name, of which thousands may come.
    next: HashMap<PathBuf, usize>,
}

impl FreeNames {
    /// The path for a file of this name in a folder; later files of the same name are numbered, as in `a-2.jpg`.
    pub fn path(&mut self, folder: &Path, name: &str) -> PathBuf {
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
            _ => (name, String::new()),
        };
        let first = folder.join(name.to_lowercase());
        if self.taken.insert(first.clone()) {
            return folder.join(name);
        }
        let number = self.next.entry(first).or_insert(2);
        loop {
            let candidate = format!("{stem}-{number}{extension}");
            *number += 1;
            if self.taken.insert(folder.join(candidate.to_lowercase())) {
                return folder.join(candidate);
            }
        }
    }
}

/// Name of the folder for a class: separators of paths and what else no folder may have become `_`.
pub fn folder_name(class: &str) -> String {
    let is_bad = |letter: char| letter.is_control() || r#"/\:*?"<>|"#.contains(letter);
    let name = class.replace(is_bad, "_");
    // Hidden folders are no classes.
    match name.trim_matches(['.', ' ']) {
        "" => "_".to_owned(),
        _ if name.starts_with('.') => name.replacen('.', "_", 1),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_names_of_folders() {
        let cases = [
            ("cat", "cat"),
            ("a/b", "a_b"),
            ("..", "_"),
            ("../x", "_._x"),
            (".x", "_x"),
            ("", "_"),
            ("tench, Tinca", "tench, Tinca"),
        ];
        for (class, expected) in cases {
            assert_eq!(folder_name(class), expected);
        }
    }

    #[test]
    fn files_of_one_name_are_numbered() {
        let mut names = FreeNames::default();
        let mut path = |folder: &str, name: &str| names.path(Path::new(folder), name).display().to_string();
        assert_eq!(path("x", "a.jpg"), "x/a.jpg");
        assert_eq!(path("x", "A.jpg"), "x/A-2.jpg");
        assert_eq!(path("y", "a.jpg"), "y/a.jpg");
        assert_eq!([path("x", ".a"), path("x", ".a")], ["x/.a", "x/.a-2"]);
        assert_eq!([path("x", "a-3.jpg"), path("x", "a.jpg")], ["x/a-3.jpg", "x/a-4.jpg"]);
    }
}
