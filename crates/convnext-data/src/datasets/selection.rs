//! Choice of the parts for training, validation and test.

use crate::datasets::parts::Split;
use crate::error::DataError;

/// A part, or everything where there are no parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Part(Split),
    Whole,
}

impl Which {
    /// The part; `None` of everything.
    pub(crate) fn split(self) -> Option<Split> {
        match self {
            Self::Part(split) => Some(split),
            Self::Whole => None,
        }
    }
}

/// The parts that a data set has.
#[derive(Debug, Default)]
pub(crate) struct Available {
    /// Name of each of [`Split::ALL`], such as `'val'`.
    pub(crate) names: [Option<String>; 3],
    /// `true` if there are images without a part.
    pub(crate) whole: bool,
    /// `true` if the test part is evaluated on where there is none for validation.
    pub(crate) test_validates: bool,
}

/// Why the parts do not serve a purpose, and what to do.
#[derive(Debug)]
pub(crate) struct Missing {
    found: String,
    advice: String,
}

impl Missing {
    /// The error about the data at a path.
    pub(crate) fn at(self, path: String) -> DataError {
        DataError::Layout { path, found: self.found, advice: self.advice }
    }
}

impl Available {
    fn name(&self, split: Split) -> Option<&str> {
        self.names[split as usize].as_deref()
    }

    /// All parts, as text.
    fn listed(&self) -> String {
        let names: Vec<&str> = self.names.iter().flatten().map(String::as_str).collect();
        names.join(", ")
    }

    /// Refuses data that has parts, where it is to be divided into some.
    pub(crate) fn check_undivided(&self) -> Result<(), Missing> {
        if self.names.iter().all(Option::is_none) {
            return Ok(());
        }
        Err(Missing {
            found: format!("it has parts already, {}", self.listed()),
            advice:
                "give one of them alone, its folder or a label file of its own, or train on the data as it is"
                    .into(),
        })
    }

    /// Parts for training and, unless a part of that is held out, validation.
    pub(crate) fn for_training(&self) -> Result<(Which, Option<Split>), Missing> {
        if self.name(Split::Train).is_none() {
            return match self.whole {
                true => Ok((Which::Whole, None)),
                false => Err(Missing {
                    found: format!("it has {} but no 'train'", self.listed()),
                    advice: "add 'train' with the same classes".into(),
                }),
            };
        }
        let has = |split: &Split| self.name(*split).is_some();
        let test = Some(Split::Test).filter(|split| has(split) && self.test_validates);
        Ok((Which::Part(Split::Train), Some(Split::Validation).filter(has).or(test)))
    }

    /// Part that a trained classifier is evaluated on: what was asked for, or else the part for validation,
    /// or else the one for a test, or else everything.
    pub(crate) fn for_evaluation(&self, asked: Option<Split>) -> Result<Which, Missing> {
        if let Some(split) = asked {
            return self.asked(split);
        }
        if self.name(Split::Validation).is_some() {
            return Ok(Which::Part(Split::Validation));
        }
        match (self.name(Split::Test), self.name(Split::Train)) {
            (Some(_), _) if self.test_validates => Ok(Which::Part(Split::Test)),
            (Some(test), _) => Err(Missing {
                found: format!("it has no validation part but {test}, which is for a final test only"),
                advice: "evaluate on it with --split test, or name the --val-fraction and --seed of the training".into(),
            }),
            (None, Some(train)) => Err(Missing {
                found: format!("it has {train} but no 'val', 'validation', 'valid', 'dev' or 'test'"),
                advice: "add one of them, evaluate on the training part with --split train, or name the --val-fraction and \
                         --seed of the training"
                    .into(),
            }),
            (None, None) => Ok(Which::Whole),
        }
    }

    fn asked(&self, split: Split) -> Result<Which, Missing> {
        match self.name(split) {
            Some(_) => Ok(Which::Part(split)),
            None if self.whole => Err(Missing {
                found: format!("it has no parts, and so no {split} part"),
                advice: "leave --split out to evaluate on all of it".into(),
            }),
            None => Err(Missing {
                found: format!("it has no {split} part, but {}", self.listed()),
                advice: "name one of these with --split".into(),
            }),
        }
    }
}
