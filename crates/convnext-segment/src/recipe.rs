//! Recipes of segmentation: how a network is trained, as TOML. Unknown keys are errors.

mod auto;
mod paper;
pub(crate) mod sections;
pub(crate) mod segment_recipe;

#[cfg(test)]
mod tests;
