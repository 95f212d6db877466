//! Lengths of the trainings of a study: the epochs that it prints, in the proportion that is asked for.

use std::collections::BTreeMap;
use std::fmt;

use crate::options::{RecipeChoice, StudyOptions};
use crate::stage::Stage;
use crate::study::{Run, Study};

/// Lengths of runs in steps, by [`length_key`], where they are not those of the options.
pub(crate) type Steps = BTreeMap<String, usize>;

/// The key of a run's length: seeds have the same.
pub(crate) fn length_key(name: &str, labels: Option<usize>) -> String {
    labels.map_or_else(|| name.to_owned(), |labels| format!("{name}-{labels}-labels"))
}

/// Epochs of a run in the paper; `None` for one that is no training.
pub(crate) fn printed_epochs(study: &Study, run: &Run) -> Option<usize> {
    let printed = run.epochs.or_else(|| study.epochs.get(&run.stage).copied());
    printed.filter(|_| run.stage.is_training())
}

/// The length of a training, as its command names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlannedLength {
    Epochs(usize),
    Steps(usize),
}

impl fmt::Display for PlannedLength {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self {
            Self::Epochs(count) => (count, "epoch"),
            Self::Steps(count) => (count, "step"),
        };
        write!(formatter, "{count} {unit}{}", if *count == 1 { "" } else { "s" })
    }
}

/// Epochs of runs that are not given in steps.
pub(crate) struct Lengths<'a> {
    study: &'a Study,
    options: &'a StudyOptions,
    /// Printed epochs of the longest run of each stage that is run.
    longest: BTreeMap<Stage, usize>,
}

impl<'a> Lengths<'a> {
    /// Of the runs that are wanted.
    pub(crate) fn of(study: &'a Study, options: &'a StudyOptions, wanted: &[&Run]) -> Self {
        let mut longest = BTreeMap::new();
        for run in wanted {
            let printed = printed_epochs(study, run).unwrap_or_default();
            let known = longest.entry(run.stage).or_insert(printed);
            *known = printed.max(*known);
        }
        Self { study, options, longest }
    }

    /// Epochs of a run, unless they are its recipe's. A number that the options name is that of the longest run of the
    /// stage; the others keep the paper's ratio to it.
    pub(crate) fn epochs(&self, run: &Run) -> Option<usize> {
        let printed = printed_epochs(self.study, run)?;
        match self.options.stage(run.stage).epochs {
            Some(asked) => {
                let longest = self.longest.get(&run.stage).copied().unwrap_or(printed);
                Some((asked as f64 * printed as f64 / longest as f64).round().max(1.0) as usize)
            }
            // A recipe of the paper has a length; one that is made has the length that it is given.
            None => self.is_made(run).then_some(printed),
        }
    }

    fn is_made(&self, run: &Run) -> bool {
        self.options.recipes == RecipeChoice::Auto || run.recipe.as_deref() == Some("auto")
    }
}
