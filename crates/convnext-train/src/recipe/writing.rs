//! From a recipe to TOML in a weight file, and back.

use convnext_core::WeightMetadata;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;

/// A recipe as TOML, for whoever later wants to know how weights came about.
///
/// # Errors
/// [`TrainError::Recipe`] when it holds what TOML cannot say.
pub fn in_toml(recipe: &impl Serialize) -> Result<String, TrainError> {
    let failed =
        |error: toml::ser::Error| TrainError::Recipe { name: "of this run".into(), why: error.to_string() };
    toml::to_string(recipe).map_err(failed)
}

/// The recipe that a weight file says how it came about by; `None` without one, and with a warning for one that is not of
/// this kind or this program.
pub fn recipe_of<R: DeserializeOwned>(weights: &WeightMetadata) -> Option<R> {
    if weights.recipe.is_empty() {
        return None;
    }
    let warn = |error: &toml::de::Error| {
        let why = error.message();
        log::warn!("the recipe in the weights is not used, so images are looked at by the defaults: {why}");
    };
    toml::from_str(&weights.recipe).inspect_err(warn).ok()
}
