//! The images below a folder or in an archive, as relative paths: one form for every kind of source.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::datasets::extensions::{OtherFiles, expected_extensions};
use crate::datasets::paths::Paths;
use crate::datasets::storage::Storage;
use crate::error::DataError;

/// All images below a root and all folders, with or without images.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The folder or archive as the user named it.
    pub(crate) root: String,
    /// `true` when the root is an archive.
    pub(crate) is_archive: bool,
    /// Paths of the images below the root, sorted.
    pub(crate) images: Paths,
    /// Relative paths of all folders.
    pub(crate) folders: BTreeSet<String>,
    /// The `.tar` files of each folder, by its relative path; none of an archive.
    pub(crate) archives: BTreeMap<String, Vec<PathBuf>>,
    /// The files that are left out.
    pub(crate) others: OtherFiles,
    /// The first label file among the images that nobody asked for, by its relative path.
    pub(crate) metadata: Option<String>,
    /// Storage of the bytes.
    pub(crate) storage: Storage,
    /// `true` if the list of the members of shards may be written beside them.
    pub(crate) keeps_index: bool,
}

impl Listing {
    /// The same for whoever must leave nothing behind.
    pub(crate) fn read_only(self) -> Self {
        Self { keeps_index: false, ..self }
    }

    /// Refuses shards and images beside each other: one of them would be left out.
    pub(crate) fn check_not_mixed(&self) -> Result<(), DataError> {
        let (images, Some(shard)) = (self.images.len(), self.archives.values().flatten().next()) else {
            return Ok(());
        };
        if images == 0 {
            return Ok(());
        }
        let shards: usize = self.archives.values().map(Vec::len).sum();
        Err(DataError::Layout {
            path: self.name(""),
            found: format!(
                "it holds {images} image(s), the first {}, and {shards} .tar file(s), the first {}, which would be shards",
                self.name(self.images.get(0)),
                shard.display()
            ),
            advice:
                "move the images or the .tar files elsewhere, or give the path of a folder with only one kind"
                    .into(),
        })
    }

    /// Checks that there is an image.
    pub(crate) fn with_images(self) -> Result<Self, DataError> {
        if self.images.len() == 0 { Err(self.no_images("")) } else { Ok(self) }
    }

    /// The error for a folder of this listing without images.
    pub(crate) fn no_images(&self, folder: &str) -> DataError {
        let mut expected = expected_extensions();
        if let Some(others) = self.others.summary().filter(|_| self.images.len() == 0) {
            expected += &format!("; {others}");
        }
        DataError::NoImages { path: self.name(folder), expected }
    }

    /// The name of a file or folder in messages: `folder/path` or `archive.tar: path`.
    pub(crate) fn name(&self, path: &str) -> String {
        match path {
            "" => self.root.clone(),
            path if self.is_archive => format!("{}: {path}", self.root),
            path => format!("{}/{path}", self.root.trim_end_matches(['/', '\\'])),
        }
    }
}
