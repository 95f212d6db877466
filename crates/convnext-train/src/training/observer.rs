//! Progress reports of a job to the outside world.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::run::old_runs;
use crate::training::metric::{Direction, Metric, VALIDATION_PREFIX};
use crate::training::validation_result::ValidationResult;

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
    /// Images a second since the last report.
    pub images_per_second: f64,
}

/// An epoch as far as it came: at its end, after the last step of the run, or where it is measured before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "old_runs::StoredEpoch")]
pub struct EpochReport {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The last step that was made, from 1.
    pub step: usize,
    /// Visits of every image so far: steps over the steps of an epoch. A whole number at the end of an epoch.
    pub epochs: f64,
    /// Mean loss of the epoch's steps so far; at its end, that of the epoch.
    pub train_loss: f64,
    /// Metrics of the task, by [`Metric::key`] and, of the average of the weights, by
    /// [`Metric::averaged_key`]; empty where there is nothing to measure.
    #[serde(flatten)]
    pub validation: BTreeMap<String, Option<f64>>,
    /// The metric by which epochs are compared, as the weights themselves have it. A [`crate::Summary`] keeps that of
    /// the last report; the line of a report has the value alone.
    #[serde(skip)]
    pub monitored: Option<Metric>,
}

/// Files that validation left out, where there are any, beside the metrics.
const LEFT_OUT: &str = "left_out";

impl EpochReport {
    /// The number under a key of [`EpochReport::validation`].
    pub fn value(&self, key: &str) -> Option<f64> {
        self.validation.get(key).copied().flatten()
    }

    /// Number of files that could not be read when the weights were measured.
    pub fn left_out(&self) -> usize {
        self.value(&format!("{VALIDATION_PREFIX}{LEFT_OUT}")).map_or(0, |count| count as usize)
    }

    /// The names of the metrics that the weights were measured by.
    pub fn measured_names(&self) -> impl Iterator<Item = &str> {
        let names = self.validation.keys().filter_map(|key| key.strip_prefix(VALIDATION_PREFIX));
        names.filter(|&name| name != LEFT_OUT)
    }

    /// Adds what was measured of the weights, under [`Metric::key`], or of their average.
    pub(crate) fn take_up(&mut self, measured: &ValidationResult, key: fn(&Metric) -> String) {
        let left_out = measured.left_out.len();
        let left_out =
            (left_out > 0).then(|| Metric::new(LEFT_OUT, Some(left_out as f64), Direction::LowerIsBetter));
        let numbers = measured.metrics.iter().chain(&left_out);
        // A field may have been set to what JSON cannot say.
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        self.validation.extend(numbers.map(|metric| (key(metric), finite(metric.value))));
    }
}

impl fmt::Display for EpochReport {
    /// Such as `epoch 3: loss 0.5321, validation top-1 83.33 %`, within an epoch `epoch 3, step 11: ...`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "epoch {}", self.epoch + 1)?;
        if self.epochs.fract() != 0.0 {
            write!(formatter, ", step {}", self.step)?;
        }
        write!(formatter, ": loss {:.4}", self.train_loss)?;
        self.monitored.as_ref().map_or(Ok(()), |metric| write!(formatter, ", validation {metric}"))
    }
}

/// Whoever wants to see a job's progress.
pub trait Observer {
    /// Called once before the first step with what is worth knowing about the run.
    fn start(&mut self, summary: &str);
    /// Called after every step.
    fn step(&mut self, report: &StepReport);
    /// Called after every epoch, after the last step, and wherever an epoch is measured before its end.
    fn epoch(&mut self, report: &EpochReport);
    /// Asked after every step: `true` ends the job with a checkpoint and [`crate::TrainError::Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn start(&mut self, _summary: &str) {}
    fn step(&mut self, _report: &StepReport) {}
    fn epoch(&mut self, _report: &EpochReport) {}
}
