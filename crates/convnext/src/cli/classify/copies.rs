//! Copies of images in a folder for each class.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use convnext::data::Dataset;

use super::answer::Chosen;
use crate::cli::out_folder::make_folder;

/// Copies of classified images, in `FOLDER/CLASS/`.
pub(super) struct Copies<'a> {
    folder: PathBuf,
    images: &'a Dataset,
    /// The first image that was not asked for yet: answers come in the order of the images, without those that could not
    /// be read.
    next: usize,
    /// Names that were given, in lower case: some file systems know no other.
    taken: HashSet<PathBuf>,
}

impl<'a> Copies<'a> {
    pub(super) fn new(folder: &Path, images: &'a Dataset) -> Self {
        Self { folder: folder.to_owned(), images, next: 0, taken: HashSet::new() }
    }

    /// Copies an image, with every byte of its file, into the folder of each of its labels.
    pub(super) fn add(&mut self, name: &str, chosen: &Chosen) -> anyhow::Result<()> {
        while self.next < self.images.len() && self.images.name(self.next) != name {
            self.next += 1;
        }
        let bytes = self.images.read(self.next)?;
        self.next += 1;
        for label in chosen.labels() {
            let folder = self.folder.join(folder_name(label));
            make_folder(&folder)?;
            let target = self.free(&folder, &file_name(name));
            fs::write(&target, &bytes)
                .with_context(|| format!("cannot write {}; check the space on the disk", target.display()))?;
        }
        Ok(())
    }

    /// The path for a file of this name; later files of the same name are numbered.
    fn free(&mut self, folder: &Path, name: &str) -> PathBuf {
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
            _ => (name, String::new()),
        };
        let mut candidate = name.to_owned();
        let mut number = 2;
        while !self.taken.insert(folder.join(candidate.to_lowercase())) {
            candidate = format!("{stem}-{number}{extension}");
            number += 1;
        }
        folder.join(candidate)
    }
}

/// File name of an image, which in an archive is called `archive.tar: folder/name`.
fn file_name(image: &str) -> String {
    let path = Path::new(image);
    let member = if path.exists() { image } else { image.rsplit_once(": ").map_or(image, |(_, member)| member) };
    Path::new(member).file_name().map_or_else(|| "image".into(), |name| name.to_string_lossy().into_owned())
}

/// Name of the folder of a class: separators of paths and what else no folder may have become `_`.
fn folder_name(label: &str) -> String {
    let is_bad = |letter: char| letter.is_control() || r#"/\:*?"<>|"#.contains(letter);
    let name = label.replace(is_bad, "_");
    match name.trim_matches(['.', ' ']) {
        "" => "_".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_members_and_classes_become_names_of_files_and_folders() {
        for (image, expected) in
            [("photos/a.jpg", "a.jpg"), ("x/b.tar: a/c.jpg", "c.jpg"), ("b.tar: c.jpg", "c.jpg")]
        {
            assert_eq!(file_name(image), expected);
        }
        for (label, expected) in
            [("cat", "cat"), ("a/b", "a_b"), ("..", "_"), ("../x", ".._x"), ("", "_"), ("tench, Tinca", "tench, Tinca")]
        {
            assert_eq!(folder_name(label), expected);
        }
    }
}
