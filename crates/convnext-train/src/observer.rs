//! How a job tells the outside world how it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One optimiser step.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// What the loss is made of, by name; empty where it is one thing.
    #[serde(rename = "loss_parts", skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<&'static str, f32>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Images a second since the last report.
    pub images_per_second: f64,
}

/// The end of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The last step of the epoch, from 1.
    pub step: usize,
    /// Mean loss of the epoch's steps.
    pub train_loss: f64,
    /// What the task measured, by name; empty where there is nothing to measure.
    #[serde(flatten)]
    pub validation: BTreeMap<String, f64>,
}

/// Whoever wants to see a job's progress.
pub trait Observer {
    /// Called once before the first step with what is worth knowing about the run.
    fn start(&mut self, summary: &str);
    /// Called after every step.
    fn step(&mut self, report: &StepReport);
    /// Called after every epoch, and after the last step.
    fn epoch(&mut self, report: &EpochReport);
    /// Asked after every step: `true` ends the job with a checkpoint and [`crate::TrainError::Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn start(&mut self, _summary: &str) {}
    fn step(&mut self, _report: &StepReport) {}
    fn epoch(&mut self, _report: &EpochReport) {}
}
