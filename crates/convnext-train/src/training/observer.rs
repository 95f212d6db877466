//! Progress reports of a job to the outside world.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::run::checkpoint::Best;
use crate::training::epoch_report::EpochReport;
use crate::training::interruption::Interruption;
use crate::training::metric::{AVERAGE_PREFIX, Metric};
use crate::words::duration_in_words;

/// One optimiser step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: usize,
    /// Steps of the whole run.
    #[serde(skip)]
    pub total_steps: usize,
    /// Epoch of the step, from 0.
    pub epoch: u64,
    /// Loss of the batch before the step.
    pub loss: f32,
    /// Components of the loss, by name; empty where it is one thing.
    #[serde(rename = "loss_parts", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, f32>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Images a second in this step, the wait for its images included.
    pub images_per_second: f64,
}

/// An epoch's report as a part of its run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochProgress<'a> {
    /// The report, as it stands in the run's metrics.
    pub report: &'a EpochReport,
    /// Epochs of the whole run, the last one perhaps in part.
    pub total_epochs: u64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds of the epoch so far, over all processes.
    pub seconds: f64,
    /// Estimated seconds until the end of the run; `None` at its end, and as long as too few steps were timed.
    pub seconds_left: Option<f64>,
    /// Metrics in the order in which they are shown; empty where nothing was.
    pub metrics: &'a [Metric],
    /// Metrics of the moving average of the weights.
    pub averaged: &'a [Metric],
    /// The best weights so far, perhaps those of this report.
    pub best: Option<&'a Best>,
    /// The value of the best weights in words, such as `83.33 %`.
    pub best_value: &'a str,
    /// `true` at the end of the run.
    pub is_last: bool,
}

impl EpochProgress<'_> {
    /// `true` if no weights before these were as good.
    pub fn is_best(&self) -> bool {
        self.best.is_some_and(|best| best.step == self.report.step)
    }
}

impl fmt::Display for EpochProgress<'_> {
    /// Such as `epoch 3/10: train loss 0.5321, validation top-1 83.33 %, loss 0.6100, lr 1.0e-3, 12.1 s, 1m 25s left,
    /// best so far`; within an epoch `epoch 3/10, step 11: ...`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EpochReport { epoch, step, epochs, train_loss, .. } = self.report;
        write!(formatter, "epoch {}/{}", epoch + 1, self.total_epochs)?;
        if epochs.fract() != 0.0 {
            write!(formatter, ", step {step}")?;
        }
        write!(formatter, ": train loss {train_loss:.4}")?;
        for (name, metrics) in
            [("validation", self.metrics), (AVERAGE_PREFIX.trim_end_matches('_'), self.averaged)]
        {
            let words: Vec<String> = metrics.iter().map(Metric::to_string).collect();
            if !words.is_empty() {
                write!(formatter, ", {name} {}", words.join(", "))?;
            }
        }
        write!(formatter, ", lr {:.1e}, {}", self.learning_rate, duration_in_words(self.seconds))?;
        if let Some(left) = self.seconds_left {
            write!(formatter, ", {} left", duration_in_words(left))?;
        }
        match self.best {
            _ if self.is_best() => formatter.write_str(", best so far"),
            Some(best) => write!(formatter, ", best {} in epoch {}", self.best_value, best.epoch + 1),
            None => Ok(()),
        }
    }
}

/// Whoever wants to see a job's progress.
pub trait Observer {
    /// Called once before the first step with what is worth knowing about the run.
    fn start(&mut self, summary: &str);
    /// Called after every step.
    fn step(&mut self, report: &StepReport);
    /// Called after every epoch, after the last step, and wherever an epoch is measured before its end.
    fn epoch(&mut self, progress: &EpochProgress<'_>);
    /// Called with what is worth saying between steps, such as where a run is resumed and why it ends early.
    fn message(&mut self, _message: &str) {}
    /// Asked after every step: an interruption ends the job with a checkpoint and [`crate::TrainError::Interrupted`].
    fn interrupted(&self) -> Option<Interruption> {
        None
    }
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn start(&mut self, _summary: &str) {}
    fn step(&mut self, _report: &StepReport) {}
    fn epoch(&mut self, _progress: &EpochProgress<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::metric::Direction;

    #[test]
    fn a_line_says_how_the_epoch_and_the_run_go() {
        let report =
            EpochReport { epoch: 2, step: 11, epochs: 2.75, train_loss: 0.53214, ..EpochReport::default() };
        let best = Best { epoch: 1, step: 8, measure: "m".into(), value: 0.875, checkpoint: "c".into() };
        let accuracy =
            |value| Metric::new("top1", Some(value), Direction::HigherIsBetter).fraction().labelled("top-1");
        let progress = EpochProgress {
            report: &report,
            total_epochs: 10,
            learning_rate: 1e-3,
            seconds: 12.1,
            seconds_left: Some(85.0),
            metrics: &[accuracy(0.75)],
            averaged: &[accuracy(0.5)],
            best: Some(&best),
            best_value: "87.50 %",
            is_last: false,
        };
        let line = "epoch 3/10, step 11: train loss 0.5321, validation top-1 75.00 %, ema top-1 50.00 %, lr 1.0e-3, 12 s, \
                    1m 25s left, best 87.50 % in epoch 2";
        assert_eq!(progress.to_string(), line);
        let last = EpochReport { step: 12, epochs: 3.0, ..report.clone() };
        let (seconds_left, best) = (None, Best { step: 12, ..best.clone() });
        let (metrics, averaged) = (&[][..], &[][..]);
        let last =
            EpochProgress { report: &last, seconds_left, metrics, averaged, best: Some(&best), ..progress };
        assert_eq!(last.to_string(), "epoch 3/10: train loss 0.5321, lr 1.0e-3, 12 s, best so far");
    }
}
