//! The recipe of a supervised training.

use serde::{Deserialize, Serialize};
use toml::Value;

use super::augmentation::{AugmentationRecipe, MixingRecipe};
use super::auto;
use super::deviation::Deviation;
use super::given::{Decided, Given};
use super::init_from::InitFrom;
use super::input::InputRecipe;
use super::keys::{insert, is_key, set};
use super::paper;
use super::ranges::check;
use super::reading::{FINETUNING, Found, names, parse, read, recipe_error};
use super::recipe_context::RecipeContext;
use super::recorded_reasons::still_true;
use super::regularization::RegularizationRecipe;
use super::start::{FromScratchRecipe, FromWeightsRecipe, LayerDecayRecipe};
use super::training::TrainingRecipe;
use crate::error::TrainError;

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

impl FinetuneRecipe {
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(FINETUNING)
    }

    /// The recipe for a situation, as [`crate::PretrainRecipe::choose`] does it.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::choose`]; [`TrainError::Recipe`] as well when `--set` names a key without effect.
    pub fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        let init_from = context.init_from;
        given.check_effect(choice, init_from, context.head_only)?;
        if choice == auto::AUTO {
            let Decided { settings, reasons } =
                given.decide(None, &auto::finetuning(context, given.asked_batch())?);
            let recipe = Self::load(auto::PLAIN, &settings, init_from)?;
            return Ok(Self { claim: auto::CLAIM.to_owned(), reasons, ..recipe });
        }
        let row = match choice {
            paper::PAPER => paper::finetuning_row(context, given.asked_size())?,
            _ => choice.to_owned(),
        };
        let Decided { settings, reasons } = given.decide(Some(&read(FINETUNING, &row)?.table), &[]);
        let recipe = Self::load(&row, &settings, init_from)?;
        let (claim, recorded) = still_true(recipe.claim, recipe.reasons, given);
        Ok(Self { claim, reasons: [recorded, reasons].concat(), ..recipe })
    }

    /// Reads a recipe, as [`crate::PretrainRecipe::load`] does. From scratch, rate and warm-up are those of
    /// `from_scratch`, unless one of `settings` names them under `training`.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::load`].
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
