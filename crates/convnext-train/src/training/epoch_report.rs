//! Report of an epoch: its mean loss and what was measured, as they stand in the run's metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::training::metric::{Direction, Metric, VALIDATION_PREFIX};
use crate::training::validation_result::ValidationResult;

/// An epoch as far as it came: at its end, after the last step of the run, or where it is measured before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredEpoch")]
pub struct EpochReport {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The last step that was made, from 1.
    pub step: usize,
    /// Epochs so far: steps over the steps of an epoch. A whole number at the end of an epoch.
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

/// The line of an epoch of any version. Earlier ones had none within an epoch, and did not say where it ended: at as
/// many epochs as its number says.
#[derive(Deserialize)]
struct StoredEpoch {
    epoch: u64,
    step: usize,
    epochs: Option<f64>,
    train_loss: f64,
    #[serde(flatten)]
    validation: BTreeMap<String, Option<f64>>,
}

impl From<StoredEpoch> for EpochReport {
    fn from(stored: StoredEpoch) -> Self {
        let StoredEpoch { epoch, step, epochs, train_loss, validation } = stored;
        let epochs = epochs.unwrap_or_else(|| epoch.saturating_add(1) as f64);
        Self { epoch, step, epochs, train_loss, validation, monitored: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_epoch_ended_where_its_number_says() {
        let read = |text: &str| serde_json::from_str::<EpochReport>(text).unwrap();
        let old =
            read(r#"{"epoch":1,"step":8,"train_loss":0.5,"validation_top1":0.75,"validation_error":null}"#);
        assert_eq!((old.epochs, old.value("validation_top1")), (2.0, Some(0.75)));
        assert_eq!(old.validation.len(), 2, "{old:?}");
        let within = EpochReport { step: 7, epochs: 1.75, ..old.clone() };
        let text = serde_json::to_string(&within).unwrap();
        assert!(
            text.starts_with(r#"{"epoch":1,"step":7,"epochs":1.75,"train_loss":0.5,"validation_"#),
            "{text}"
        );
        assert_eq!(read(&text), within);
    }
}
