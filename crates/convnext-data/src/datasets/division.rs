//! The parts of images that lie in folders or that a label file names.

use std::path::Path;

use convnext_core::ClassNames;

use crate::datasets::class_folders::{Classes, EmptyFolder, class_names, classes, no_class_folders};
use crate::datasets::ground_truth;
use crate::datasets::labels::{self, Labels};
use crate::datasets::layout::{check_classes_differ, check_no_parts_below_classes, find_folders};
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

    /// The training and, perhaps, the validation images of each class, and the part that these are.
    pub(crate) fn for_training(&self) -> Result<(Found, Option<(Split, Found)>), DataError> {
        let available = self.available();
        let (train, validation) = available.for_training().map_err(|missing| missing.at(self.name()))?;
        let validation = validation.filter(|&split| self.has_classes(split));
        let train = self.training_classes(train, validation.is_some())?;
        let known = ClassNames(train.classes.keys().cloned().collect());
        let Some(split) = validation else {
            return match self.truth {
                None => Ok((train, None)),
                Some(file) => Err(self.wrong(
                    "",
                    format!("it has no 'val' whose images {} could label", file.display()),
                    "add 'val' with these images, or leave out the label file".into(),
                )),
            };
        };
        let found = self.measured_on(Which::Part(split), Some(&known), false)?;
        if split == Split::Test {
            log::info!(
                "{}: there is no part for validation, so that the test part, {}, is used for validation",
                self.name(),
                found.source
            );
        }
        if let Some(class) = found.classes.keys().find(|class| !known.0.contains(class)) {
            return Err(DataError::unknown_class(class.clone(), found.source, &known));
        }
        say_what_is_missing(&known, &found);
        Ok((train, Some((split, found))))
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

    fn training_classes(&self, which: Which, measured_apart: bool) -> Result<Found, DataError> {
        let too_few = |found: &Classes| found.len() < 2;
        match self.content(which) {
            Some(Content::Rows(classes)) if too_few(classes) => Err(DataError::Labels {
                path: self.name(),
                line: 1,
                why: format!("its training images have {} class(es), but two are needed", classes.len()),
            }),
            Some(Content::Rows(classes)) => Ok(self.found(which, classes.clone())),
            Some(Content::Folder(path)) => {
                check_no_parts_below_classes(self.listing, &self.tree, path, which.split())?;
                // Parts with the same classes leave no doubt.
                if !measured_apart {
                    check_classes_differ(self.listing, &self.tree, path)?;
                }
                let classes = classes(self.listing, &self.tree, path, EmptyFolder::Refuse)?;
                match classes.keys().next().filter(|_| too_few(&classes)) {
                    Some(only) => Err(self.wrong(
                        path,
                        format!("it has only one class, '{only}'"),
                        "put the images of each class into a folder of its own, at least two".into(),
                    )),
                    None => Ok(self.found(which, classes)),
                }
            }
            None => Err(self.listing.no_images("")),
        }
    }

    /// The part that a trained classifier is evaluated on. A part that is asked for together with a label
    /// file has its labels there.
    pub(crate) fn for_evaluation(&self, asked: Option<Split>) -> Result<(Which, Found), DataError> {
        let which = self.available().for_evaluation(asked).map_err(|missing| missing.at(self.name()))?;
        self.measured_alone(which, asked.is_some() && self.truth.is_some())
    }

    /// The part for a final test ([`Self::has_last_test`]).
    pub(crate) fn for_last_test(&self) -> Result<(Which, Found), DataError> {
        self.measured_alone(Which::Part(Split::Test), false)
    }

    /// A part without the classes of a training, and whether the label file was named for it.
    fn measured_alone(&self, which: Which, named: bool) -> Result<(Which, Found), DataError> {
        // A label file may count the classes of the training part.
        let known = match self.content(Which::Part(Split::Train)) {
            Some(Content::Folder(path)) => Some(ClassNames(class_names(&self.tree, path))),
            _ => None,
        };
        let known = known.filter(|known| !known.is_empty());
        Ok((which, self.measured_on(which, known.as_ref(), named)?))
    }

    /// The classes of a part to be measured on: its folders or, where its images lie directly in it, those of a
    /// label file, if that is for this part or was named for it.
    fn measured_on(&self, which: Which, known: Option<&ClassNames>, named: bool) -> Result<Found, DataError> {
        let path = match self.content(which) {
            Some(Content::Folder(path)) => path,
            Some(Content::Rows(classes)) => return Ok(self.found(which, classes.clone())),
            None => return Err(self.listing.no_images("")),
        };
        let serves = named || self.truth_serves(which);
        let classes = match self.truth.filter(|_| serves) {
            Some(file) if self.tree.is_flat(path) => ground_truth::read(file, self.listing, path, known)?,
            Some(file) => {
                return Err(self.wrong(
                    path,
                    format!("{} labels images that lie directly in it, but it has folders", file.display()),
                    "leave out the label file, or move the images out of the folders".into(),
                ));
            }
            None if self.tree.is_flat(path) && !serves => return Err(self.unlabelled(path)),
            None if self.tree.is_flat(path) => match ground_truth::find(self.listing, path) {
                Some(file) => ground_truth::read(&file, self.listing, path, known)?,
                None => return Err(self.wrong(path, no_class_folders(self.listing), ground_truth::advice())),
            },
            None => self.classes_of_folders(which, path)?,
        };
        Ok(self.found(which, classes))
    }

    fn classes_of_folders(&self, which: Which, path: &str) -> Result<Classes, DataError> {
        check_no_parts_below_classes(self.listing, &self.tree, path, which.split())?;
        if which == Which::Whole {
            check_classes_differ(self.listing, &self.tree, path)?;
            return classes(self.listing, &self.tree, path, EmptyFolder::Refuse);
        }
        classes(self.listing, &self.tree, path, EmptyFolder::LeaveOut)
    }

    /// The error for a part whose images lie directly in it, and which label files are not for.
    fn unlabelled(&self, path: &str) -> DataError {
        let found = no_class_folders(self.listing);
        self.wrong(
            path,
            format!("{found}, and a label file in or beside the data is for the validation images"),
            "put the images of each class into a folder of its own, or name their own label file with --labels"
                .into(),
        )
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

/// Says which classes a part has no images of: empty folders count as missing ones.
fn say_what_is_missing(known: &ClassNames, found: &Found) {
    const SHOWN: usize = 10;
    let missing: Vec<&str> =
        known.0.iter().filter(|class| !found.classes.contains_key(*class)).map(String::as_str).collect();
    if !missing.is_empty() {
        let more = if missing.len() > SHOWN { ", ..." } else { "" };
        log::warn!(
            "{} has no images of {} of {} classes, which are not evaluated: {}{more}",
            found.source,
            missing.len(),
            known.len(),
            missing[..missing.len().min(SHOWN)].join(", ")
        );
    }
}
