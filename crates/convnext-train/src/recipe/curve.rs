//! The curve of the learning rate, as a recipe states it.

use serde::{Deserialize, Serialize};

use super::length::{Length, Rescaling};
use super::ranges::check_range;
use super::reading::recipe_error;
use crate::error::TrainError;
use crate::optimization::schedule::RateCurve;

/// Learning rate decay: `"cosine"`, `{ poly = { power = 0.9 } }` or
/// `{ milestones = { epochs = [27, 33], factor = 0.1 } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum CurveRecipe {
    /// As [`RateCurve::Cosine`].
    #[default]
    Cosine,
    /// As [`RateCurve::Poly`].
    Poly {
        /// 1, a straight line, unless it is stated.
        #[serde(default = "straight")]
        power: f64,
    },
    /// As [`RateCurve::Milestones`].
    Milestones(MilestonesRecipe),
}

/// When the learning rate falls at once. Either epochs or steps are stated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MilestonesRecipe {
    /// In epochs, in rising order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<Vec<f64>>,
    /// In steps, in rising order. A run of another length has fractions, which are rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<f64>>,
    /// Factor on the learning rate at each milestone (PyTorch's `gamma`): a tenth, unless it is stated.
    #[serde(default = "tenth")]
    pub factor: f64,
}

fn straight() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

impl CurveRecipe {
    /// `true` for cosine, the default, which needs no mention.
    pub(super) fn is_cosine(&self) -> bool {
        *self == Self::Cosine
    }

    /// Checks what needs no data; [`Self::check_points`] does the rest.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit, [`TrainError::Recipe`] when milestones are in
    /// no unit, or in two.
    pub(super) fn validate(&self, choice: &str) -> Result<(), TrainError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match self {
            Self::Cosine => Ok(()),
            Self::Poly { power } => check_range(positive(*power), "power of poly", *power, "above 0"),
            Self::Milestones(milestones) => {
                let points = match (&milestones.epochs, &milestones.steps) {
                    (Some(points), None) | (None, Some(points)) => points,
                    _ => {
                        let why = "[training.curve.milestones] needs either epochs or steps, and not both";
                        return Err(recipe_error(choice, why.to_owned()));
                    }
                };
                for (place, &point) in points.iter().enumerate() {
                    let before = if place == 0 { 0.0 } else { points[place - 1] };
                    let rises = point > before && point.is_finite();
                    check_range(rises, "milestone", point, "above 0 and above the one before")?;
                }
                let factor = milestones.factor;
                check_range(
                    positive(factor) && factor < 1.0,
                    "factor of milestones",
                    factor,
                    "between 0 and 1",
                )
            }
        }
    }

    /// Checks that the last milestone is reached. A milestone that has no effect is a mistake.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the milestone.
    pub(super) fn check_points(&self, length: Length, steps_per_epoch: usize) -> Result<(), TrainError> {
        let Self::Milestones(MilestonesRecipe { epochs, steps, .. }) = self else { return Ok(()) };
        let last = |points: &Option<Vec<f64>>| points.as_ref().and_then(|points| points.last().copied());
        if let Some(epoch) = last(epochs) {
            let fits = epoch < length.in_epochs(steps_per_epoch);
            check_range(fits, "milestone in epochs", epoch, "before the end of the training")?;
        }
        if let Some(step) = last(steps) {
            let fits = step < length.in_steps(steps_per_epoch);
            check_range(fits, "milestone in steps", step, "before the end of the training")?;
        }
        Ok(())
    }

    /// Presence of milestones in epochs and in steps, `[epochs, steps]`.
    pub(super) fn has_units(&self) -> [bool; 2] {
        match self {
            Self::Milestones(MilestonesRecipe { epochs, steps, .. }) => [epochs.is_some(), steps.is_some()],
            _ => [false; 2],
        }
    }

    /// Rescales the curve to another training length.
    pub(super) fn rescaled(&self, to: &Rescaling) -> Self {
        let Self::Milestones(MilestonesRecipe { epochs, steps, factor }) = self else { return self.clone() };
        let epochs = epochs.as_ref().map(|points| points.iter().map(|&at| to.epochs(at)).collect());
        let steps = steps.as_ref().map(|points| points.iter().map(|&at| to.steps(at)).collect());
        Self::Milestones(MilestonesRecipe { epochs, steps, factor: *factor })
    }

    /// The curve for epochs of so many steps.
    pub(super) fn curve(&self, steps_per_epoch: usize) -> RateCurve {
        match self {
            Self::Cosine => RateCurve::Cosine,
            Self::Poly { power } => RateCurve::Poly { power: *power },
            Self::Milestones(MilestonesRecipe { epochs, steps, factor }) => {
                let of_epochs = epochs.iter().flatten().map(|epoch| epoch * steps_per_epoch as f64);
                let points = of_epochs.chain(steps.iter().flatten().copied());
                let steps = points.map(|step| step.round() as usize).collect();
                RateCurve::Milestones { steps, factor: *factor }
            }
        }
    }
}
