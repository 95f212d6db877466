//! Relative paths of images and folders, with `/` between their parts.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use crate::error::DataError;

/// The path of an archive's member with `/` between its parts; `None` when a part is hidden.
pub(crate) fn member_path(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            // A leading `./` or `/` means the root of the archive.
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return None,
        }
    }
    (!parts.iter().any(|part| is_hidden(part))).then(|| parts.join("/"))
}

/// `true` for the names of hidden files, and of the folder of resource forks that archives from macOS carry: no images are looked
/// for there.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Two folders that show the same name, because neither is Unicode: their images would be of one class.
pub(crate) fn two_folders(path: String, shown: &str) -> DataError {
    DataError::Layout {
        path,
        found: format!(
            "it has two folders that are called '{shown}' alike, because their names are not Unicode"
        ),
        advice: "rename them; programs that unpack archives often have an option for the encoding of names"
            .into(),
    }
}

/// Adds a folder and all folders above it.
pub(crate) fn add_folders(folders: &mut BTreeSet<String>, mut folder: &str) {
    while !folder.is_empty() && folders.insert(folder.to_owned()) {
        folder = parent(folder);
    }
}

/// The folder that holds a path; empty at the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The last part of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The last part of a path without its extension.
pub(crate) fn stem(path: &str) -> &str {
    let name = last(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// A path without the extension of its last part.
pub(crate) fn without_extension(path: &str) -> &str {
    let extension = last(path).len() - stem(path).len();
    &path[..path.len() - extension]
}

/// The last parts of some paths, the first few of many.
pub(crate) fn quoted<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = paths.into_iter().map(|path| format!("'{}'", last(path))).collect();
    match names.len() {
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_those_of_the_last_part() {
        let cases = [("a/b.c/d", "a/b.c/d"), ("a/b.tar.gz", "a/b.tar"), ("a.b/.c", "a.b/.c"), ("x.png", "x")];
        for (path, expected) in cases {
            assert_eq!(without_extension(path), expected);
        }
    }

    #[test]
    fn members_are_named_from_the_root() {
        assert_eq!(member_path(Path::new("./train/cat/1.png")).unwrap(), "train/cat/1.png");
        assert_eq!(member_path(Path::new("/train//1.png")).unwrap(), "train/1.png");
        assert_eq!(member_path(Path::new("__MACOSX/train/1.png")), None);
        assert_eq!(member_path(Path::new("train/._1.png")), None);
        assert_eq!(member_path(Path::new("../1.png")), None);
    }
}
