//! Optimiser and schedule.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::curve::CurveRecipe;
use super::length::{Length, Rescaling};
use super::ranges::{check_range, is_on};
use super::reading::recipe_error;
use crate::error::TrainError;
use crate::optimization::schedule::Schedule;

/// Images of a step that a base learning rate is meant for.
pub const BASE_IMAGES: f64 = 256.0;

/// Images of a batch of a training that is only tried.
const QUICK_BATCH: usize = 4;

/// Optimiser and schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Batch size: images of a forward and backward pass.
    pub batch_size: usize,
    /// Gradient accumulation: batches of a step, whose gradients are averaged.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Epochs of the whole training. Either this or the steps are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Steps of the whole training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Epochs of the linear warm-up. Either this or its steps are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<f64>,
    /// Steps of the linear warm-up; a run of another length has fractions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<f64>,
    /// Share of the rate that the first step of the warm-up has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warmup_start: f64,
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
    /// Learning rate decay.
    #[serde(default, skip_serializing_if = "CurveRecipe::is_cosine")]
    pub curve: CurveRecipe,
    /// Time between two validations, as in `{ steps = 16000 }` or `{ epochs = 0.5 }`, which is rounded to whole steps;
    /// within an epoch or over several. The last step is measured in any case, and alone where this is longer than the
    /// training.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "length_in_words")]
    pub validate_every: Option<Length>,
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(is_on(f64::deserialize(deserializer)?))
}

/// A length, or what one looks like: of two kinds of tables TOML's own errors say neither.
fn length_in_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Length>, D::Error> {
    let found = toml::Value::deserialize(deserializer)?;
    let bad = |_| D::Error::custom(format!("it is {found}; give {{ steps = N }} or {{ epochs = X }}"));
    Length::deserialize(found.clone()).map(Some).map_err(bad)
}

fn one() -> usize {
    1
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl TrainingRecipe {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit, [`TrainError::Recipe`] when there is
    /// no learning rate, length or warm-up, or two.
    pub fn validate(&self, choice: &str) -> Result<(), TrainError> {
        check_range(self.batch_size > 0, "batch size", self.batch_size as f64, "at least 1")?;
        check_range(self.accumulate > 0, "accumulate", self.accumulate as f64, "at least 1")?;
        self.validate_schedule(choice)?;
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        check_range(not_negative(self.weight_decay), "weight decay", self.weight_decay, "0 or above")?;
        for beta in self.betas {
            check_range((0.0..1.0).contains(&beta), "beta", beta, "in [0, 1)")?;
        }
        let clip_norm = self.clip_norm.unwrap_or(1.0);
        check_range(clip_norm > 0.0 && clip_norm.is_finite(), "clip norm", clip_norm, "above 0")?;
        let ema = self.ema.unwrap_or(0.0);
        check_range((0.0..1.0).contains(&ema), "ema", ema, "in [0, 1)")
    }

    /// Checks what makes the learning rate of each step, and when to validate.
    fn validate_schedule(&self, choice: &str) -> Result<(), TrainError> {
        let either =
            |keys: &str| recipe_error(choice, format!("[training] needs either {keys}, and not both"));
        let (epochs, steps) = (self.epochs, self.steps.map(|steps| steps as f64));
        let (length, what) =
            one_of(epochs, "epochs", steps, "steps").ok_or_else(|| either("epochs or steps"))?;
        check_range(self.length().is_positive(), what, length, "above 0")?;
        one_of(self.warmup_epochs, "", self.warmup_steps, "")
            .ok_or_else(|| either("warmup_epochs or warmup_steps"))?;
        let (rate, what) =
            one_of(self.learning_rate, "learning rate", self.base_learning_rate, "base learning rate")
                .ok_or_else(|| either("learning_rate or base_learning_rate"))?;
        check_range(rate > 0.0 && rate.is_finite(), what, rate, "above 0")?;
        let minimum = self.minimum_learning_rate;
        check_range(minimum >= 0.0 && minimum.is_finite(), "minimum learning rate", minimum, "0 or above")?;
        let start = self.warmup_start;
        check_range((0.0..=1.0).contains(&start), "warm-up start", start, "from 0 to 1")?;
        self.curve.validate(choice)?;
        if let Some(every) = self.validate_every {
            check_range(every.is_positive(), "validate_every", every.in_epochs(1), "above 0")?;
        }
        // Where there are both units, this needs the data.
        if self.mixes_units() { Ok(()) } else { self.check_length(1) }
    }

    /// Checks that warm-up and milestones lie within the training.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first that does not.
    pub(crate) fn check_length(&self, steps_per_epoch: usize) -> Result<(), TrainError> {
        let length = self.length();
        if let Some(epochs) = self.warmup_epochs {
            let fits = (0.0..=length.in_epochs(steps_per_epoch)).contains(&epochs);
            check_range(fits, "warm-up epochs", epochs, "from 0 to the epochs")?;
        }
        if let Some(steps) = self.warmup_steps {
            let fits = (0.0..=length.in_steps(steps_per_epoch)).contains(&steps);
            check_range(fits, "warm-up steps", steps, "from 0 to the steps of the training")?;
        }
        self.curve.check_points(length, steps_per_epoch)
    }

    fn mixes_units(&self) -> bool {
        let [epochs, steps] = self.curve.has_units();
        let in_epochs = epochs || self.epochs.is_some() || self.warmup_epochs.is_some();
        in_epochs && (steps || self.steps.is_some() || self.warmup_steps.is_some())
    }

    /// Makes steps so small that a machine of any size runs them in seconds.
    pub fn shrink(&mut self) {
        (self.batch_size, self.accumulate) = (self.batch_size.min(QUICK_BATCH), 1);
    }

    /// The length of the whole training.
    pub fn length(&self) -> Length {
        self.steps.map_or(Length::Epochs(self.epochs.unwrap_or_default()), Length::Steps)
    }

    /// Rescales the recipe to another length: the whole schedule is rescaled, so warm-up and milestones keep
    /// their share. All keep their units. The time between two validations stays what it is.
    pub fn rescaled(&self, steps_per_epoch: usize, length: Option<Length>) -> Self {
        let before = self.length();
        let after = length.map_or(before, |length| length.in_unit_of(before, steps_per_epoch));
        let rescaling = Rescaling { before, after, steps_per_epoch };
        let (epochs, steps) = match after {
            Length::Epochs(epochs) => (Some(epochs), None),
            Length::Steps(steps) => (None, Some(steps)),
        };
        Self {
            epochs,
            steps,
            warmup_epochs: self.warmup_epochs.map(|epochs| rescaling.epochs(epochs)),
            warmup_steps: self.warmup_steps.map(|steps| rescaling.steps(steps)),
            curve: self.curve.rescaled(&rescaling),
            ..self.clone()
        }
    }

    /// Steps between two validations, if the recipe states it.
    pub fn validation_interval(&self, steps_per_epoch: usize) -> Option<usize> {
        self.validate_every.map(|every| every.whole_steps(steps_per_epoch))
    }

    /// The highest learning rate of a run with these batches: as it is given, or the base rate times the
    /// images of a step over 256 (facts C1).
    pub fn peak_learning_rate(&self) -> f64 {
        let images = (self.batch_size * self.accumulate) as f64;
        let from_base = self.base_learning_rate.map(|base| base * images / BASE_IMAGES);
        self.learning_rate.or(from_base).unwrap_or_default()
    }

    /// The learning rate of each step, for epochs of `steps_per_epoch` steps.
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        let of_epochs = self.warmup_epochs.map(|epochs| Length::Epochs(epochs).in_steps(steps_per_epoch));
        Schedule {
            peak: self.peak_learning_rate(),
            minimum: self.minimum_learning_rate.min(self.peak_learning_rate()),
            warmup_steps: of_epochs.or(self.warmup_steps).unwrap_or_default(),
            warmup_start: self.warmup_start,
            total_steps: self.length().whole_steps(steps_per_epoch),
            curve: self.curve.curve(steps_per_epoch),
        }
    }
}

/// The one of two values that is there, and its name; `None` when neither is or both are.
fn one_of<'a>(a: Option<f64>, name_a: &'a str, b: Option<f64>, name_b: &'a str) -> Option<(f64, &'a str)> {
    match (a, b) {
        (Some(a), None) => Some((a, name_a)),
        (None, Some(b)) => Some((b, name_b)),
        _ => None,
    }
}
