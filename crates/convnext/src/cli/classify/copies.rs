//! Copies of images in a folder for each class.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use convnext::data::{Dataset, FreeNames, folder_name};
use convnext::io::replace_file;

use super::answer::{Chosen, UNSURE};
use crate::cli::out_folder::make_folder;
use crate::cli::part_file::cannot_write;

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
    /// # Errors
    /// When two of the classes would share a folder, or one that of [`UNSURE`].
    pub(super) fn new(
        folder: &Path,
        images: &'a Dataset,
        classes: impl IntoIterator<Item = String>,
    ) -> anyhow::Result<Self> {
        // Some file systems take names for equal that differ in case only.
        let mut taken = HashMap::new();
        for class in classes {
            if folder_name(&class).to_lowercase() == UNSURE {
                bail!(
                    "the class '{class}' would share the folder {UNSURE} of --copy-to with the answers below --threshold; give \
                     another name with --class-names"
                );
            }
            if let Some(other) = taken.insert(folder_name(&class).to_lowercase(), class.clone()) {
                bail!(
                    "the classes '{other}' and '{class}' would share the folder {} of --copy-to; give other names with \
                     --class-names",
                    folder_name(&class)
                );
            }
        }
        Ok(Self { folder: folder.to_owned(), images, next: 0, names: FreeNames::default() })
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
            // Never through a link into another file.
            replace_file(&target, |mut file| file.write_all(&bytes))
                .map_err(|error| cannot_write(&target, error))?;
        }
        Ok(())
    }
}
