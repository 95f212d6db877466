//! The part that is measured on.

use convnext_core::ClassNames;

use super::{Content, Division, Found};
use crate::datasets::class_checks::{check_classes_differ, check_no_parts_below_classes};
use crate::datasets::class_folders::{EmptyFolder, class_names, classes, no_class_folders};
use crate::datasets::classes::Classes;
use crate::datasets::ground_truth;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::error::DataError;

impl Division<'_> {
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
    pub(super) fn measured_on(
        &self,
        which: Which,
        known: Option<&ClassNames>,
        named: bool,
    ) -> Result<Found, DataError> {
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
}
