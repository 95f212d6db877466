//! Recipes: how a run trains, as TOML. Unknown keys are errors.

pub(crate) mod asked_batch;
pub(crate) mod augmentation;
mod auto;
pub(crate) mod curve;
pub(crate) mod deviation;
pub(crate) mod finetune_recipe;
pub(crate) mod given;
pub(crate) mod init_from;
pub(crate) mod input;
mod keys;
pub(crate) mod length;
pub(crate) mod masking;
mod paper;
pub(crate) mod pretrain_recipe;
pub(crate) mod ranges;
pub(crate) mod reading;
pub(crate) mod recipe_context;
mod recorded_reasons;
pub(crate) mod regularization;
pub(crate) mod rule;
pub(crate) mod start;
pub(crate) mod supervised_recipe;
pub(crate) mod training;
pub(crate) mod transfer;
pub(crate) mod writing;

#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
