//! The parts of images that each lie in one or in none.

use convnext_core::Seed;

use crate::datasets::parts::{HOW_TO_NAME, Split};
use crate::datasets::split::{check_fraction, split_class};
use crate::error::DataError;

/// The part of each image of a data set.
pub(crate) struct ImageParts {
    /// The data set, for messages.
    pub(crate) root: String,
    pub(crate) splits: Vec<Option<Split>>,
}

/// Positions of the images of each part.
pub(crate) struct Divided {
    pub(crate) train: Vec<usize>,
    pub(crate) validation: Vec<usize>,
    /// `None` when validation was held out.
    pub(crate) validation_split: Option<Split>,
    /// None where validation uses them.
    pub(crate) test: Vec<usize>,
}

impl ImageParts {
    /// Divides by parts, and by the seed where there is none to measure on.
    ///
    /// # Errors
    /// [`DataError::Layout`] when there is no part to train on, [`DataError::OutOfRange`] when no such share can be held out.
    pub(crate) fn divided(&self, held_out: f64, seed: Seed) -> Result<Divided, DataError> {
        let train = if self.has_parts() { self.members(Split::Train) } else { self.all() };
        if train.is_empty() {
            return Err(self.wrong("it has no part to train on"));
        }
        let [validation, test] = [Split::Validation, Split::Test].map(|split| self.members(split));
        if !validation.is_empty() {
            return Ok(Divided { train, validation, validation_split: Some(Split::Validation), test });
        }
        if !test.is_empty() {
            let (validation, validation_split) = (test, Some(Split::Test));
            return Ok(Divided { train, validation, validation_split, test: Vec::new() });
        }
        check_fraction(held_out)?;
        let [train, validation] = split_class("", &train, held_out, seed);
        Ok(Divided { train, validation, validation_split: None, test })
    }

    /// What a trained network is measured on: the part that is asked for, or else the one for validation, or else the one
    /// for a test, or else all images where there are no parts. The part, and positions of its images.
    ///
    /// # Errors
    /// [`DataError::Layout`] when there is no such part.
    pub(crate) fn to_measure(&self, asked: Option<Split>) -> Result<(Option<Split>, Vec<usize>), DataError> {
        let of = |split| Some((Some(split), self.members(split))).filter(|(_, members)| !members.is_empty());
        match asked {
            Some(split) => of(split).ok_or_else(|| self.wrong(&format!("it has no {split} part"))),
            None => match [Split::Validation, Split::Test].into_iter().find_map(of) {
                Some(found) => Ok(found),
                None if self.has_parts() => {
                    Err(self.wrong("it has a part to train on and none to measure on"))
                }
                None => Ok((None, self.all())),
            },
        }
    }

    /// Folder of the images of a part, by the first of them; the data set where there is none.
    pub(crate) fn source(&self, split: Option<Split>, name: impl FnOnce(usize) -> String) -> String {
        let first = split.and_then(|split| self.splits.iter().position(|&found| found == Some(split)));
        let name = first.map(name);
        let folder = name.as_deref().and_then(|name| name.rsplit_once('/')).map(|(folder, _)| folder);
        folder.map_or_else(|| self.root.clone(), str::to_owned)
    }

    fn has_parts(&self) -> bool {
        self.splits.iter().any(Option::is_some)
    }

    fn all(&self) -> Vec<usize> {
        (0..self.splits.len()).collect()
    }

    fn members(&self, split: Split) -> Vec<usize> {
        (0..self.splits.len()).filter(|&at| self.splits[at] == Some(split)).collect()
    }

    fn wrong(&self, found: &str) -> DataError {
        let (path, found) = (self.root.clone(), found.to_owned());
        DataError::Layout { path, found, advice: HOW_TO_NAME.to_owned() }
    }
}
