//! Context that a recipe is chosen by: model, initial weights and data.

use convnext_core::ModelConfig;

use super::init_from::InitFrom;

/// Model, initial weights and data of a training.
#[derive(Debug, Clone, Copy)]
pub struct RecipeContext<'a> {
    /// The backbone.
    pub model: &'a ModelConfig,
    /// Initial weights.
    pub init_from: InitFrom,
    /// `true` if only the head is trained, as in a linear probe.
    pub head_only: bool,
    /// Images to learn from.
    pub images: usize,
    /// Of these, the images of each class; empty without labels.
    pub class_sizes: &'a [usize],
}
