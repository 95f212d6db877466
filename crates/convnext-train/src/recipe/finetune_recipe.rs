//! The recipe of a supervised training.

use serde::{Deserialize, Serialize};

use super::asked_batch::AskedBatch;
use super::augmentation::{AugmentationRecipe, MixingRecipe};
use super::auto;
use super::deviation::Deviation;
use super::given::Given;
use super::init_from::InitFrom;
use super::input::InputRecipe;
use super::paper;
use super::ranges::check_range;
use super::reading::{BuiltIn, FINETUNING};
use super::recipe_context::RecipeContext;
use super::regularization::RegularizationRecipe;
use super::rule::Rule;
use super::start::{FromScratchRecipe, FromWeightsRecipe, LayerDecayRecipe};
use super::supervised_recipe::SupervisedRecipe;
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
        <Self as SupervisedRecipe>::names()
    }

    /// The recipe for a situation, as [`crate::PretrainRecipe::choose`] does it.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::choose`]; [`TrainError::Recipe`] as well when `--set` names a key without effect.
    pub fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        <Self as SupervisedRecipe>::choose(choice, given, context)
    }

    /// Reads a recipe, as [`crate::PretrainRecipe::load`] does. From scratch, rate and warm-up are those of
    /// `from_scratch`, unless one of `settings` names them under `training`.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::load`].
    pub fn load(choice: &str, settings: &[String], init_from: InitFrom) -> Result<Self, TrainError> {
        <Self as SupervisedRecipe>::load(choice, settings, init_from)
    }

    /// Checks what is neither optimiser nor schedule against its ranges.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit.
    pub(crate) fn validate_ranges(&self, from_weights: bool) -> Result<(), TrainError> {
        let RegularizationRecipe { label_smoothing, drop_path, .. } = self.regularization;
        check_range((0.0..1.0).contains(&label_smoothing), "label smoothing", label_smoothing, "in [0, 1)")?;
        check_range((0.0..1.0).contains(&drop_path), "drop path", drop_path, "in [0, 1)")?;
        let head_init = self.head_init(from_weights);
        let head_fits = head_init >= 0.0 && head_init.is_finite();
        check_range(head_fits, "head initialisation", head_init, "finite and not negative")?;
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

impl SupervisedRecipe for FinetuneRecipe {
    const BUILT_IN: &'static [BuiltIn] = FINETUNING;

    fn words(&mut self) -> (&mut String, &mut Vec<String>) {
        (&mut self.claim, &mut self.reasons)
    }

    fn validate(&self, choice: &str, from_weights: bool) -> Result<(), TrainError> {
        self.from_scratch.validate(choice)?;
        self.training.validate(choice)?;
        self.validate_ranges(from_weights)
    }

    fn idle_keys(&self) -> Vec<(&'static str, &'static str)> {
        self.augmentation.idle_keys(self.input.image_size)
    }

    fn auto_rules(context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError> {
        auto::finetuning(context, asked)
    }

    fn paper_row(context: &RecipeContext<'_>, given: &Given) -> Result<String, TrainError> {
        paper::finetuning_row(context, given.asked_size())
    }
}
