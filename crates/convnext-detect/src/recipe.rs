//! Recipes of detection: how a network is trained, as TOML. Unknown keys are errors.

mod auto;
pub(crate) mod detect_recipe;
mod paper;
pub(crate) mod sections;

#[cfg(test)]
mod tests;
