//! Recipes of supervised trainings of any task: how one is chosen and read. What a recipe holds is the task's to say.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::asked_batch::AskedBatch;
use super::auto;
use super::given::{Decided, Given};
use super::init_from::InitFrom;
use super::keys::{insert, is_key, set};
use super::paper;
use super::reading::{BuiltIn, Found, names, parse, read, recipe_error};
use super::recipe_context::RecipeContext;
use super::recorded_reasons::still_true;
use super::rule::Rule;
use crate::error::TrainError;

/// A recipe of supervised training: its tables, its built-in files, and the rules of its default.
///
/// In `training` it has a [`crate::TrainingRecipe`], in `from_scratch` rate and warm-up of a start from scratch, and in
/// `from_weights` what only a start from weights needs. One of the built-in recipes is called `plain`: the default changes
/// that.
pub trait SupervisedRecipe: DeserializeOwned {
    /// The built-in recipes, each with its name and its text. One whose name begins with `release` is only there to be
    /// extended.
    const BUILT_IN: &'static [BuiltIn];

    /// Claim and reasons.
    fn words(&mut self) -> (&mut String, &mut Vec<String>);

    /// Checks every value of the recipe that was chosen as `choice` against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit, and those of [`crate::TrainingRecipe::validate`].
    fn validate(&self, choice: &str, from_weights: bool) -> Result<(), TrainError>;

    /// Rules that change `plain` for a model and data, and for the batch that was asked for.
    ///
    /// # Errors
    /// [`TrainError::Config`] when the model is not sound.
    fn auto_rules(context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError>;

    /// Name of the recipe for the paper's row, by what was given as well.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] when the paper has none.
    fn paper_row(context: &RecipeContext<'_>, given: &Given) -> Result<String, TrainError>;

    /// Keys without effect beside the other values, and why: `--set` may not name one.
    fn idle_keys(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Names of the built-in recipes.
    fn names() -> impl Iterator<Item = &'static str> {
        names(Self::BUILT_IN)
    }

    /// The recipe for a situation, as [`crate::PretrainRecipe::choose`] does it.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::choose`]; [`TrainError::Recipe`] as well when `--set` names a key without effect.
    fn choose(choice: &str, given: &Given, context: &RecipeContext<'_>) -> Result<Self, TrainError> {
        let init_from = context.init_from;
        given.check_effect(choice, init_from, context.head_only)?;
        if choice == auto::AUTO {
            let rules = Self::auto_rules(context, given.asked_batch())?;
            let Decided { settings, reasons } = given.decide(None, &rules);
            let mut recipe = Self::load(auto::PLAIN, &settings, init_from)?;
            given.check_idle(choice, &recipe.idle_keys())?;
            let (claim, own_reasons) = recipe.words();
            auto::CLAIM.clone_into(claim);
            *own_reasons = reasons;
            return Ok(recipe);
        }
        let row = match choice {
            paper::PAPER => Self::paper_row(context, given)?,
            _ => choice.to_owned(),
        };
        let Decided { settings, reasons } = given.decide(Some(&read(Self::BUILT_IN, &row)?.table), &[]);
        let mut recipe = Self::load(&row, &settings, init_from)?;
        given.check_idle(choice, &recipe.idle_keys())?;
        let (claim, own_reasons) = recipe.words();
        let (true_claim, recorded) = still_true(std::mem::take(claim), std::mem::take(own_reasons), given);
        *claim = paper::claim_for([choice, &row], true_claim, context.model);
        *own_reasons = [recorded, reasons].concat();
        Ok(recipe)
    }

    /// Reads a recipe, as [`crate::PretrainRecipe::load`] does. From scratch, rate and warm-up are those of
    /// `from_scratch`, unless one of `settings` names them under `training`.
    ///
    /// # Errors
    /// As [`crate::PretrainRecipe::load`].
    fn load(choice: &str, settings: &[String], init_from: InitFrom) -> Result<Self, TrainError> {
        let found = read(Self::BUILT_IN, choice)?;
        let (of_starts, others): (Vec<String>, Vec<String>) =
            settings.iter().cloned().partition(|setting| setting.starts_with("from_"));
        let table = started(choice, found, &of_starts, init_from)?;
        let recipe: Self = parse(choice, table, &others)?;
        recipe.validate(choice, init_from.is_weights())?;
        Ok(recipe)
    }
}

/// The tables of a recipe with these settings of its starts, for one of them.
fn started(
    choice: &str,
    found: Found,
    of_starts: &[String],
    init_from: InitFrom,
) -> Result<Table, TrainError> {
    let Found { mut table, is_recorded } = found;
    for setting in of_starts {
        set(&mut table, setting).map_err(|why| recipe_error(choice, why))?;
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
    Ok(table)
}
