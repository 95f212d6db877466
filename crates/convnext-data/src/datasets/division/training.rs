//! The parts that are trained with.

use convnext_core::ClassNames;

use super::{Content, Division, Found};
use crate::datasets::class_checks::{check_classes_differ, check_no_parts_below_classes};
use crate::datasets::class_folders::{EmptyFolder, classes};
use crate::datasets::classes::Classes;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::error::DataError;

impl Division<'_> {
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
