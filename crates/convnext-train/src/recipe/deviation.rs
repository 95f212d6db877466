//! Deviations of a recipe from the paper.

use serde::{Deserialize, Serialize};

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
