//! The end of a training whose values were not finite any more.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a training diverged, and in what: the last line of its run's metrics, which a run that goes on cuts off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The last step, from 1.
    pub step: usize,
    /// Loss, weight or result that was not finite.
    #[serde(rename = "diverged")]
    pub what: String,
}

impl fmt::Display for Divergence {
    /// Such as `diverged at step 57: the loss (NaN) is not finite`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "diverged at step {}: {} is not finite", self.step, self.what)
    }
}
