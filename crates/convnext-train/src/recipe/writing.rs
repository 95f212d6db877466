//! From a recipe to TOML.

use serde::Serialize;

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
