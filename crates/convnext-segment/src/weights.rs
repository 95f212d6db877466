//! Reading of weights.

use std::path::Path;

use burn::tensor::Device;
use convnext_core::{Seed, SegmentationTask, WeightMetadata};
use convnext_train::{TrainError, load_model};

use crate::inference::InferenceOptions;
use crate::recipe::segment_recipe::SegmentRecipe;
use crate::upernet::UperNet;

/// Reads a segmentation network, and what its file says about it.
///
/// # Errors
/// [`TrainError::WrongKind`] for weights of another task, [`TrainError::Weights`] for tensors that do not fit the file's own
/// configuration, [`TrainError::Io`] for a file that cannot be read.
pub fn load_segmentation(path: &Path, device: &Device) -> Result<(UperNet, WeightMetadata), TrainError> {
    let needed = ["a segmentation network", "train one first: convnext finetune --task segment"];
    load_model::<SegmentationTask, _>(path, needed, |metadata| {
        let task: SegmentationTask = metadata.task_as()?;
        Ok(UperNet::new(&metadata.convnext()?, &task.head, Seed::default(), device)?)
    })
}

/// The looks that the recipe of weights asks for in evaluation, with windows of the size of its crops over large inputs;
/// without a recipe one look, and windows of 512 pixels.
pub fn inference_of(weights: &WeightMetadata) -> InferenceOptions {
    let recipe: Option<SegmentRecipe> = toml::from_str(&weights.recipe).ok();
    recipe.map_or_else(InferenceOptions::default, |recipe| recipe.inference_options())
}
