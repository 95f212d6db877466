//! Copies of images in a folder for each class.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use convnext::data::{Dataset, FreeNames, folder_name};

use super::answer::Chosen;
use crate::cli::out_folder::make_folder;

/// Copies of classified images, in `FOLDER/CLASS/`.
pub(super) struct Copies<'a> {
    folder: PathBuf,
    images: &'a Dataset,
    /// The first image that was not asked for yet: answers come in the order of the images, without those that could not
    /// be read.
    next: usize,
    names: FreeNames,
}

impl<'a> Copies<'a> {
    pub(super) fn new(folder: &Path, images: &'a Dataset) -> Self {
        Self { folder: folder.to_owned(), images, next: 0, names: FreeNames::default() }
    }

    /// Copies an image, with every byte of its file, into the folder of each of its labels.
    pub(super) fn add(&mut self, name: &str, chosen: &Chosen) -> anyhow::Result<()> {
        while self.next < self.images.len() && self.images.name(self.next) != name {
            self.next += 1;
        }
        let (bytes, file_name) = (self.images.read(self.next)?, self.images.file_name(self.next));
        self.next += 1;
        for label in chosen.labels() {
            let folder = self.folder.join(folder_name(label));
            make_folder(&folder)?;
            let target = self.names.path(&folder, &file_name);
            fs::write(&target, &bytes)
                .with_context(|| format!("cannot write {}; check the space on the disk", target.display()))?;
        }
        Ok(())
    }
}
