//! Early stopping: the end of a training that does not get better.

use std::fmt;

use convnext_core::counted;
use serde::{Deserialize, Serialize};

/// Early end of a training: so many comparisons without a better one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// The epoch in which it ended, from 1.
    pub epoch: u64,
    /// Epochs of the whole training, as it was meant.
    pub total_epochs: u64,
    /// Steps of the whole training, as it was meant.
    pub total_steps: usize,
    /// The metric that did not get better, as it is shown.
    pub metric: String,
    /// Comparisons without a better one.
    pub patience: usize,
    /// `true` if validations were compared, `false` for epochs by their mean loss.
    pub by_validation: bool,
}

impl fmt::Display for EarlyStop {
    /// Such as `stopped early at epoch 12 of 50: no better top-1 in 5 validations`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, total_epochs, metric, patience, .. } = self;
        let compared = match self.by_validation {
            true => counted(*patience, "validation", "validations"),
            false => counted(*patience, "epoch", "epochs"),
        };
        write!(
            formatter,
            "stopped early at epoch {epoch} of {total_epochs}: no better {metric} in {compared}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_was_waited_for() {
        let stop = EarlyStop {
            epoch: 12,
            total_epochs: 50,
            total_steps: 500,
            metric: "top-1".into(),
            patience: 5,
            by_validation: true,
        };
        assert_eq!(stop.to_string(), "stopped early at epoch 12 of 50: no better top-1 in 5 validations");
        let stop = EarlyStop { metric: "train loss".into(), patience: 1, by_validation: false, ..stop };
        assert!(stop.to_string().ends_with("no better train loss in 1 epoch"), "{stop}");
    }
}
