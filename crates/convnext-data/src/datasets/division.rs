//! The parts of images that lie in folders or that a label file names.

mod evaluation;
mod training;

use std::path::Path;

use crate::datasets::classes::Classes;
use crate::datasets::ground_truth;
use crate::datasets::labels::{self, Labels};
use crate::datasets::layout::find_folders;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::selection::{Available, Which};
use crate::datasets::tree::Tree;
use crate::error::DataError;

/// Split of the images of a listing, and the source of their classes.
pub(crate) struct Division<'a> {
    listing: &'a Listing,
    tree: Tree<'a>,
    /// Labels of a flat part, in one of ImageNet's files.
    truth: Option<&'a Path>,
    /// The name of a label file that says everything.
    file: Option<String>,
    parts: [Option<Content>; 3],
    whole: Option<Content>,
}

/// Source of the classes of a part.
enum Content {
    /// The folder with the class folders, or with images that the truth labels.
    Folder(String),
    /// Rows of the file.
    Rows(Classes),
}

/// The images of each class of a part, and where they were found.
pub(crate) struct Found {
    pub(crate) classes: Classes,
    pub(crate) source: String,
}

impl<'a> Division<'a> {
    pub(crate) fn of(listing: &'a Listing, labels: Option<&'a Path>) -> Result<Self, DataError> {
        if let Some(file) = labels.filter(|file| !ground_truth::is_ground_truth(file)) {
            return Ok(Self::of_rows(listing, file, labels::read(file, listing)?));
        }
        if let (None, Some(metadata)) = (labels, &listing.metadata) {
            let how = if metadata.ends_with(".csv") {
                "--labels takes it"
            } else {
                "--labels takes CSV files only"
            };
            log::warn!("{} is not used: folders are classes; {how}", listing.name(metadata));
        }
        let tree = Tree::of(listing);
        let folders = find_folders(listing, &tree)?;
        let folder = |folder: &str| Content::Folder(folder.to_owned());
        let parts = Split::ALL.map(|split| folders.part(split).map(folder));
        Ok(Self {
            listing,
            tree,
            truth: labels,
            file: None,
            parts,
            whole: folders.whole.map(Content::Folder),
        })
    }

    /// As a label file says.
    pub(crate) fn of_rows(listing: &'a Listing, file: &Path, labels: Labels) -> Self {
        let Labels { parts, whole } = labels;
        let rows = |classes: Classes| (!classes.is_empty()).then_some(Content::Rows(classes));
        Self {
            listing,
            tree: Tree::of(listing),
            truth: None,
            file: Some(file.display().to_string()),
            parts: parts.map(rows),
            whole: rows(whole),
        }
    }

    /// The rows of a part; none where there is none.
    pub(crate) fn rows(&self, which: Which) -> Found {
        let classes = match self.content(which) {
            Some(Content::Rows(classes)) => classes.clone(),
            Some(Content::Folder(_)) | None => Classes::new(),
        };
        self.found(which, classes)
    }

    fn content(&self, which: Which) -> Option<&Content> {
        match which {
            Which::Part(split) => self.parts[split as usize].as_ref(),
            Which::Whole => self.whole.as_ref(),
        }
    }

    /// The parts to choose from.
    pub(crate) fn available(&self) -> Available {
        let name = |split: Split| {
            Some(match self.content(Which::Part(split))? {
                Content::Folder(path) => format!("'{}'", path.rsplit('/').next().unwrap_or(path)),
                Content::Rows(_) => format!("{split} rows"),
            })
        };
        Available {
            names: Split::ALL.map(name),
            whole: self.whole.is_some(),
            test_validates: self.file.is_none(),
        }
    }

    /// `true` if there are images for a final test, which validation does not use.
    pub(crate) fn has_last_test(&self) -> bool {
        let has = |split| self.content(Which::Part(split)).is_some();
        has(Split::Test)
            && match self.file {
                Some(_) => true,
                None => has(Split::Validation) && self.has_classes(Split::Test),
            }
    }

    /// Owner of the parts, for messages.
    pub(crate) fn name(&self) -> String {
        self.file.clone().unwrap_or_else(|| self.listing.name(""))
    }

    /// `true` if a part has classes; a test part often has none, because the answers are secret.
    fn has_classes(&self, split: Split) -> bool {
        match self.content(Which::Part(split)) {
            Some(Content::Folder(path)) if split == Split::Test => {
                let is_labelled = || self.truth.is_some() || ground_truth::find(self.listing, path).is_some();
                let has =
                    !self.tree.is_flat(path) || (self.truth_serves(Which::Part(split)) && is_labelled());
                if !has {
                    log::warn!("{}: its images have no classes, and it is left out", self.listing.name(path));
                }
                has
            }
            _ => true,
        }
    }

    /// `true` if one of ImageNet's label files is for the images of a part: it labels those for
    /// validation, or those that take their place.
    fn truth_serves(&self, which: Which) -> bool {
        match which {
            Which::Whole | Which::Part(Split::Validation) => true,
            Which::Part(Split::Test) => self.content(Which::Part(Split::Validation)).is_none(),
            Which::Part(Split::Train) => false,
        }
    }

    fn found(&self, which: Which, classes: Classes) -> Found {
        let source = match (self.content(which), which) {
            (Some(Content::Folder(path)), _) => self.listing.name(path),
            (_, Which::Part(split)) => format!("the {split} rows of {}", self.name()),
            (_, Which::Whole) => self.name(),
        };
        Found { classes, source }
    }

    fn wrong(&self, path: &str, found: String, advice: String) -> DataError {
        DataError::Layout { path: self.listing.name(path), found, advice }
    }
}
