//! The recipe of a pre-training.

use serde::{Deserialize, Serialize};

use super::augmentation::AugmentationRecipe;
use super::auto;
use super::deviation::Deviation;
use super::given::{Decided, Given};
use super::input::InputRecipe;
use super::masking::MaskingRecipe;
use super::paper;
use super::reading::{PRETRAINING, names, parse, read};
use super::recipe_context::RecipeContext;
use super::recorded_reasons::still_true;
use super::training::TrainingRecipe;
use crate::error::TrainError;

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

impl PretrainRecipe {
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(PRETRAINING)
    }

    /// The recipe for a situation: with `auto` one that is made for it, with `paper` the paper's row, or as
    /// [`Self::load`]; and over it what is given, in the order of precedence.
    ///
    /// # Errors
    /// As [`Self::load`]; [`TrainError::Recipe`] when the paper has no row, and when `--set` names a key without effect.
    pub fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        if choice == auto::AUTO {
            let Decided { settings, reasons } = given.decide(None, &auto::pretraining(context)?);
            let recipe = Self::load(auto::PLAIN, &settings)?;
            given.check_idle(choice, &recipe.augmentation.idle_keys(recipe.input.image_size))?;
            return Ok(Self { claim: auto::CLAIM.to_owned(), reasons, ..recipe });
        }
        let row = match choice {
            paper::PAPER => paper::pretraining_row(given.asked_size())?,
            _ => choice.to_owned(),
        };
        let Decided { settings, reasons } = given.decide(Some(&read(PRETRAINING, &row)?.table), &[]);
        let recipe = Self::load(&row, &settings)?;
        given.check_idle(choice, &recipe.augmentation.idle_keys(recipe.input.image_size))?;
        let (claim, recorded) = still_true(recipe.claim, recipe.reasons, given);
        let claim = paper::claim_for([choice, &row], claim, context.model);
        Ok(Self { claim, reasons: [recorded, reasons].concat(), ..recipe })
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
