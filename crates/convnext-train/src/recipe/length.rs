//! Lengths of time in a training: in epochs or in steps.

use serde::{Deserialize, Serialize};

/// A length of time in a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// So many epochs.
    Epochs(f64),
    /// So many optimiser steps.
    Steps(usize),
}

impl Length {
    /// In steps; fractions count.
    pub(super) fn in_steps(self, steps_per_epoch: usize) -> f64 {
        match self {
            Self::Epochs(epochs) => epochs * steps_per_epoch as f64,
            Self::Steps(steps) => steps as f64,
        }
    }

    /// In epochs.
    pub(super) fn in_epochs(self, steps_per_epoch: usize) -> f64 {
        match self {
            Self::Epochs(epochs) => epochs,
            Self::Steps(steps) => steps as f64 / steps_per_epoch as f64,
        }
    }

    /// The nearest number of whole steps, at least one.
    pub(super) fn whole_steps(self, steps_per_epoch: usize) -> usize {
        (self.in_steps(steps_per_epoch).round() as usize).max(1)
    }

    /// Converts the length to the unit of another one.
    pub(super) fn in_unit_of(self, other: Self, steps_per_epoch: usize) -> Self {
        match other {
            Self::Epochs(_) => Self::Epochs(self.in_epochs(steps_per_epoch)),
            Self::Steps(_) => Self::Steps(self.whole_steps(steps_per_epoch)),
        }
    }

    /// `true` if the length is more than nothing.
    pub(super) fn is_positive(self) -> bool {
        match self {
            Self::Epochs(epochs) => epochs > 0.0 && epochs.is_finite(),
            Self::Steps(steps) => steps > 0,
        }
    }
}

/// The change of a training from one length to another, in which everything keeps its share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescaling {
    /// The length that everything was meant for.
    pub(super) before: Length,
    /// The new length.
    pub(super) after: Length,
    /// Steps of an epoch.
    pub(super) steps_per_epoch: usize,
}

impl Rescaling {
    /// Rescales a point in epochs.
    pub(super) fn epochs(&self, at: f64) -> f64 {
        let [before, after] = [self.before, self.after].map(|length| length.in_epochs(self.steps_per_epoch));
        share(at, before) * after
    }

    /// Rescales a point in steps.
    pub(super) fn steps(&self, at: f64) -> f64 {
        let [before, after] = [self.before, self.after].map(|length| length.in_steps(self.steps_per_epoch));
        share(at, before) * after
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_both_units() {
        assert_eq!((Length::Epochs(2.5).in_steps(4), Length::Epochs(2.5).in_epochs(4)), (10.0, 2.5));
        assert_eq!((Length::Steps(10).in_steps(4), Length::Steps(10).in_epochs(4)), (10.0, 2.5));
        assert_eq!((Length::Epochs(0.01).whole_steps(4), Length::Epochs(1.4).whole_steps(4)), (1, 6));
        assert_eq!(Length::Steps(10).in_unit_of(Length::Epochs(1.0), 4), Length::Epochs(2.5));
        assert_eq!(Length::Epochs(2.5).in_unit_of(Length::Steps(1), 4), Length::Steps(10));
    }

    #[test]
    fn only_what_takes_time_is_positive() {
        let nothing = [Length::Epochs(0.0), Length::Epochs(-1.0), Length::Epochs(f64::NAN), Length::Steps(0)];
        assert!(nothing.iter().all(|length| !length.is_positive()));
        assert!(Length::Epochs(0.5).is_positive() && Length::Steps(1).is_positive());
    }

    #[test]
    fn every_point_keeps_its_share() {
        let (before, after) = (Length::Epochs(36.0), Length::Steps(180));
        let rescaling = Rescaling { before, after, steps_per_epoch: 10 };
        assert_eq!((rescaling.epochs(27.0), rescaling.steps(90.0)), (13.5, 45.0));
    }
}
