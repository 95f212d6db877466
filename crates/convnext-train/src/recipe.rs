//! Recipes: how a run trains, as TOML. Unknown keys are errors.

use convnext_core::{ConfigError, FcmaeObjective};
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::error::TrainError;

mod augmentation;
mod auto;
mod curve;
mod given;
mod init_from;
mod input;
mod length;
mod paper;
mod reading;
mod recipe_context;
mod regularization;
mod start;
mod training;

pub use augmentation::{AugmentationRecipe, MixingRecipe};
pub use curve::{CurveRecipe, MilestonesRecipe};
pub use given::{Given, Setting};
pub use init_from::InitFrom;
pub use input::InputRecipe;
pub(crate) use input::{USUAL_SIZE, rename_recipe};
pub use length::Length;
pub use recipe_context::RecipeContext;
pub use regularization::{ClassWeights, RegularizationRecipe};
pub use start::{FromScratchRecipe, FromWeightsRecipe, LayerDecayRecipe};
pub use training::TrainingRecipe;

use given::Decided;
use reading::{FINETUNING, Found, PRETRAINING, insert, is_key, names, parse, read, recipe_error, set};

/// A recipe of FCMAE pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainRecipe {
    /// Claim of the recipe, such as the result to expect.
    pub claim: String,
    /// Images that the network gets.
    #[serde(default)]
    pub input: InputRecipe,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// Data augmentation of each image.
    pub augmentation: AugmentationRecipe,
    /// Masking and prediction target.
    pub masking: MaskingRecipe,
    /// Deviations from what the paper prints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// Why the default chose what it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A recipe of supervised training or fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneRecipe {
    /// Claim of the recipe, such as the result to expect.
    pub claim: String,
    /// Images that the network gets.
    #[serde(default)]
    pub input: InputRecipe,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// Data augmentation of each image.
    pub augmentation: AugmentationRecipe,
    /// Mixup and CutMix.
    #[serde(default)]
    pub mixing: MixingRecipe,
    /// Regularisation, against overfitting of the classifier.
    pub regularization: RegularizationRecipe,
    /// Settings for a start from weights.
    pub from_weights: FromWeightsRecipe,
    /// Settings for a start from scratch.
    pub from_scratch: FromScratchRecipe,
    /// Deviations from what the paper prints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// Why the default chose what it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A value that the paper prints otherwise, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The key of the recipe.
    pub key: String,
    /// Value that the paper prints.
    pub printed: String,
    /// Value that the recipe uses.
    pub used: String,
    /// Source of the value used.
    pub source: String,
}

/// Masking and prediction target of FCMAE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingRecipe {
    /// Share of patches that are removed.
    pub ratio: f64,
    /// Predict pixels normalised within their patch.
    pub normalize_target: bool,
}

impl MaskingRecipe {
    /// Training objective of the autoencoder.
    pub fn objective(&self) -> FcmaeObjective {
        FcmaeObjective { mask_ratio: self.ratio, normalize_target: self.normalize_target }
    }
}

impl PretrainRecipe {
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(PRETRAINING)
    }

    /// The recipe for a situation: with `auto` one that is made for it, with `paper` the paper's row, or as
    /// [`Self::load`]; and over it what is given, in the order of precedence.
    ///
    /// # Errors
    /// As [`Self::load`]; [`TrainError::Recipe`] when the paper has no row.
    pub fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        if choice == auto::AUTO {
            let Decided { settings, reasons } = given.decide(None, &auto::pretraining(context)?);
            let recipe = Self::load(PLAIN, &settings)?;
            return Ok(Self { claim: AUTO_CLAIM.to_owned(), reasons, ..recipe });
        }
        let row = match choice {
            paper::PAPER => paper::pretraining_row(given.asked_size())?,
            _ => choice.to_owned(),
        };
        let Decided { settings, reasons } = given.decide(Some(&read(PRETRAINING, &row)?.table), &[]);
        let recipe = Self::load(&row, &settings)?;
        Ok(Self { reasons: [recipe.reasons, reasons].concat(), ..recipe })
    }

    /// Reads a recipe: the name of a built-in one, or the path of a TOML file. Each of `settings` replaces
    /// one key, as in `training.weight_decay=0.1`.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] when the file cannot be read, or a key is unknown, missing or of another
    /// type; [`TrainError::Config`]
    /// when a value is out of its range.
    pub fn load(choice: &str, settings: &[String]) -> Result<Self, TrainError> {
        let recipe: Self = parse(choice, read(PRETRAINING, choice)?.table, settings)?;
        recipe.training.validate(choice)?;
        recipe.masking.objective().validate()?;
        Ok(recipe)
    }
}

impl FinetuneRecipe {
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(FINETUNING)
    }

    /// The recipe for a situation, as [`PretrainRecipe::choose`] does it.
    ///
    /// # Errors
    /// As [`PretrainRecipe::choose`]; [`TrainError::Recipe`] as well when `--set` names a key without effect.
    pub fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        let init_from = context.init_from;
        given.check_effect(choice, init_from, context.head_only)?;
        if choice == auto::AUTO {
            let Decided { settings, reasons } = given.decide(None, &auto::finetuning(context)?);
            let recipe = Self::load(PLAIN, &settings, init_from)?;
            return Ok(Self { claim: AUTO_CLAIM.to_owned(), reasons, ..recipe });
        }
        let row = match choice {
            paper::PAPER => paper::finetuning_row(context, given.asked_size())?,
            _ => choice.to_owned(),
        };
        let Decided { settings, reasons } = given.decide(Some(&read(FINETUNING, &row)?.table), &[]);
        let recipe = Self::load(&row, &settings, init_from)?;
        Ok(Self { reasons: [recipe.reasons, reasons].concat(), ..recipe })
    }

    /// Reads a recipe, as [`PretrainRecipe::load`] does. From scratch, rate and warm-up are those of
    /// `from_scratch`, unless one of `settings` names them under `training`.
    ///
    /// # Errors
    /// As [`PretrainRecipe::load`].
    pub fn load(choice: &str, settings: &[String], init_from: InitFrom) -> Result<Self, TrainError> {
        let Found { mut table, is_recorded } = read(FINETUNING, choice)?;
        let fail = |why| recipe_error(choice, why);
        let (of_starts, others): (Vec<String>, Vec<String>) =
            settings.iter().cloned().partition(|setting| setting.starts_with("from_"));
        for setting in &of_starts {
            set(&mut table, setting).map_err(fail)?;
        }
        if init_from == InitFrom::Scratch
            && let Some(Value::Table(own)) = table.get("from_scratch").cloned()
            && let Some(Value::Table(training)) = table.get_mut("training")
        {
            // A run recorded under `training` what it used, perhaps at another length than the recipe was made for.
            let is_set = |key: &str| of_starts.iter().any(|setting| is_key(setting, "from_scratch", key));
            let counts = |key: &str| key != "head_init" && (!is_recorded || is_set(key));
            for (key, value) in own.into_iter().filter(|(key, _)| counts(key)) {
                insert(training, &key, value);
            }
        }
        let recipe: Self = parse(choice, table, &others)?;
        recipe.from_scratch.validate(choice)?;
        recipe.training.validate(choice)?;
        recipe.validate(init_from.is_weights())?;
        Ok(recipe)
    }

    /// Checks what is neither optimiser nor schedule against its ranges.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit.
    pub(crate) fn validate(&self, from_weights: bool) -> Result<(), TrainError> {
        let RegularizationRecipe { label_smoothing, drop_path, .. } = self.regularization;
        check((0.0..1.0).contains(&label_smoothing), "label smoothing", label_smoothing, "in [0, 1)")?;
        check((0.0..1.0).contains(&drop_path), "drop path", drop_path, "in [0, 1)")?;
        let head_init = self.head_init(from_weights);
        let head_fits = head_init >= 0.0 && head_init.is_finite();
        check(head_fits, "head initialisation", head_init, "finite and not negative")?;
        self.from_weights.layer_decay.map_or(Ok(()), |layers| layers.validate())
    }

    /// Factor on the fresh head of a training that starts from weights, or from scratch.
    pub fn head_init(&self, from_weights: bool) -> f64 {
        if from_weights { self.from_weights.head_init } else { self.from_scratch.head_init }
    }

    /// Layer-wise decay of the learning rate, if there is any; from scratch there is none.
    pub fn layer_decay(&self, from_weights: bool) -> Option<LayerDecayRecipe> {
        self.from_weights.layer_decay.filter(|_| from_weights)
    }
}

/// The recipe that the default starts from.
const PLAIN: &str = "plain";

/// Claim of the default recipe.
const AUTO_CLAIM: &str = "Made for this model and these images.";

/// A recipe as TOML, for whoever later wants to know how weights came about.
///
/// # Errors
/// [`TrainError::Recipe`] when it holds what TOML cannot say.
pub fn in_toml(recipe: &impl Serialize) -> Result<String, TrainError> {
    let failed =
        |error: toml::ser::Error| TrainError::Recipe { name: "of this run".into(), why: error.to_string() };
    toml::to_string(recipe).map_err(failed)
}

/// Reasons as they are shown below what a run is going to do.
pub(crate) fn in_lines(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}

fn check(ok: bool, what: &'static str, found: f64, expected: &'static str) -> Result<(), TrainError> {
    if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found: found.to_string(), expected }.into()) }
}

/// A number that turns something off when it is 0.
fn is_on(value: f64) -> Option<f64> {
    Some(value).filter(|&value| value != 0.0)
}

#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
