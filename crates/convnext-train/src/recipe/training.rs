//! Optimiser and schedule.

use serde::{Deserialize, Deserializer, Serialize};

use super::reading::recipe_error;
use super::{check, is_on};
use crate::{Schedule, TrainError};

/// Images of a step that a base learning rate is meant for.
const BASE_IMAGES: f64 = 256.0;

/// Images of a batch of a training that is only tried.
const QUICK_BATCH: usize = 4;

/// Optimiser and schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Images of a batch.
    pub batch_size: usize,
    /// Batches of a step, whose gradients are averaged.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Visits of every image.
    pub epochs: f64,
    /// Epochs of the linear warm-up.
    pub warmup_epochs: f64,
    /// Highest learning rate, absolute. Either this or the base rate is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Highest learning rate for steps of 256 images; that of other steps is in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
    /// Learning rate at the end.
    pub minimum_learning_rate: f64,
    /// Decay of weights of two and more dimensions.
    pub weight_decay: f64,
    /// Decay GRN's parameters and the mask token as well, as the public code does in pre-training.
    #[serde(default)]
    pub decay_grn_and_mask_token: bool,
    /// Largest L2 norm of all gradients together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of a moving average of the weights, such as 0.9999; in a file 0 turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "above_zero")]
    pub ema: Option<f64>,
    /// Decay rates of AdamW's two moments.
    pub betas: [f64; 2],
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(is_on(f64::deserialize(deserializer)?))
}

fn one() -> usize {
    1
}

/// How long to train, if not as long as the recipe says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many visits of every image.
    Epochs(f64),
    /// So many optimiser steps.
    Steps(usize),
}

impl TrainingRecipe {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit, [`TrainError::Recipe`] when there is
    /// no learning rate, or two.
    pub(super) fn validate(&self, choice: &str) -> Result<(), TrainError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        check(self.batch_size > 0, "batch size", self.batch_size as f64, "at least 1")?;
        check(self.accumulate > 0, "accumulate", self.accumulate as f64, "at least 1")?;
        check(positive(self.epochs), "epochs", self.epochs, "above 0")?;
        let warmup_fits = (0.0..=self.epochs).contains(&self.warmup_epochs);
        check(warmup_fits, "warm-up epochs", self.warmup_epochs, "from 0 to the epochs")?;
        let (rate, what) = match (self.learning_rate, self.base_learning_rate) {
            (Some(rate), None) => (rate, "learning rate"),
            (None, Some(rate)) => (rate, "base learning rate"),
            _ => {
                let why = "[training] needs either learning_rate or base_learning_rate, and not both";
                return Err(recipe_error(choice, why.to_owned()));
            }
        };
        check(positive(rate), what, rate, "above 0")?;
        let minimum = self.minimum_learning_rate;
        check(not_negative(minimum), "minimum learning rate", minimum, "0 or above")?;
        check(not_negative(self.weight_decay), "weight decay", self.weight_decay, "0 or above")?;
        for beta in self.betas {
            check((0.0..1.0).contains(&beta), "beta", beta, "in [0, 1)")?;
        }
        let clip_norm = self.clip_norm.unwrap_or(1.0);
        check(positive(clip_norm), "clip norm", clip_norm, "above 0")?;
        let ema = self.ema.unwrap_or(0.0);
        check((0.0..1.0).contains(&ema), "ema", ema, "in [0, 1)")
    }

    /// Makes steps so small that a machine of any size runs them in seconds.
    pub fn shrink(&mut self) {
        (self.batch_size, self.accumulate) = (self.batch_size.min(QUICK_BATCH), 1);
    }

    /// The same recipe at another length: the whole schedule is rescaled, so the warm-up keeps its
    /// share.
    pub fn rescaled(&self, steps_per_epoch: usize, length: Option<Length>) -> Self {
        let epochs = match length {
            None => self.epochs,
            Some(Length::Epochs(epochs)) => epochs,
            Some(Length::Steps(steps)) => steps as f64 / steps_per_epoch as f64,
        };
        let share = if self.epochs > 0.0 { self.warmup_epochs / self.epochs } else { 0.0 };
        Self { epochs, warmup_epochs: share * epochs, ..self.clone() }
    }

    /// The highest learning rate of a run with these batches: as it is given, or the base rate times the
    /// images of a step over 256 (facts C1).
    pub fn peak_learning_rate(&self) -> f64 {
        let images = (self.batch_size * self.accumulate) as f64;
        let from_base = self.base_learning_rate.map(|base| base * images / BASE_IMAGES);
        self.learning_rate.or(from_base).unwrap_or_default()
    }

    /// The learning-rate curve for epochs of `steps_per_epoch` steps.
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        let steps = |epochs: f64| epochs * steps_per_epoch as f64;
        Schedule {
            peak: self.peak_learning_rate(),
            minimum: self.minimum_learning_rate.min(self.peak_learning_rate()),
            warmup_steps: steps(self.warmup_epochs),
            total_steps: (steps(self.epochs).round() as usize).max(1),
        }
    }
}
