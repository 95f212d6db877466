//! Summary of a finished run.

use convnext_data::CorruptFile;
use serde::{Deserialize, Serialize};

use crate::run::checkpoint::Best;
use crate::run::old_runs;
use crate::training::early_stopping::EarlyStop;
use crate::training::metric::Metric;
use crate::training::observer::EpochReport;

/// Summary of a finished run, written when nothing is left to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Steps made.
    pub steps: usize,
    /// Epochs made, the last one perhaps in part.
    pub epochs: u64,
    /// Images of the training data.
    pub images: usize,
    /// Seconds of training, over all processes.
    pub seconds: f64,
    /// The report after the last step.
    pub last: EpochReport,
    /// Value of [`Summary::monitored`]; runs of earlier versions do not say it. Boxed, so that a summary is
    /// not much larger than an open run folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) monitored: Option<Box<Metric>>,
    /// Early end of the training, if it did not make all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<Box<EarlyStop>>,
    /// The best weights.
    pub best: Option<Best>,
    /// Files that could not be read and were replaced, with the reasons.
    pub corrupt: Vec<CorruptFile>,
}

impl Summary {
    /// The metric by which epochs were compared, as it was after the last one; `None` for a task without metrics.
    pub fn monitored(&self) -> Option<Metric> {
        self.monitored.as_deref().cloned().or_else(|| old_runs::monitored(self))
    }
}
