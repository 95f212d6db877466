//! Summary of a finished run.

use convnext_data::CorruptFile;
use serde::{Deserialize, Serialize};

use crate::evaluation::results::Evaluation;
use crate::run::checkpoint::Best;
use crate::training::early_stopping::EarlyStop;
use crate::training::epoch_report::EpochReport;
use crate::training::metric::{Direction, Metric};
use crate::training::stability::LossCourse;

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
    /// The losses of a training that was unstable ([`LossCourse::is_unstable`]); runs of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstable: Option<Box<LossCourse>>,
    /// The best weights.
    pub best: Option<Best>,
    /// Comparisons by the monitored metric since then; runs of earlier versions do not say it.
    #[serde(default)]
    pub(crate) since_best: usize,
    /// Files that could not be read and were replaced, with the reasons.
    pub corrupt: Vec<CorruptFile>,
}

impl Summary {
    /// The metric by which epochs were compared, as it was after the last one; `None` for a task without metrics.
    pub fn monitored(&self) -> Option<Metric> {
        self.monitored.as_deref().cloned().or_else(|| self.monitored_before())
    }

    /// The same for a run of earlier versions, which say no more than the key: the accuracy or nothing.
    fn monitored_before(&self) -> Option<Metric> {
        let metric = |value| {
            Metric::new(Evaluation::TOP1, value, Direction::HigherIsBetter).fraction().labelled("top-1")
        };
        let keys = [metric(None).key(), metric(None).averaged_key()];
        self.best.as_ref().filter(|best| keys.contains(&best.measure))?;
        Some(metric(self.last.value(&keys[0])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_summary_is_compared_by_accuracy_or_by_nothing() {
        let old = |measure: &str| -> Summary {
            let text = r#"{"steps":4,"epochs":2,"images":9,"seconds":1.0,
                "last":{"epoch":1,"step":4,"train_loss":0.5,"validation_top1":0.75,"validation_loss":0.6},
                "best":{"epoch":0,"step":2,"measure":"MEASURE","value":0.875,"checkpoint":"checkpoints/x"},
                "corrupt":[]}"#;
            serde_json::from_str(&text.replace("MEASURE", measure)).unwrap()
        };
        for measure in ["validation_top1", "ema_validation_top1"] {
            assert_eq!(old(measure).monitored().unwrap().to_string(), "top-1 75.00 %");
        }
        assert_eq!(old("train_loss").monitored(), None);
    }
}
