//! Reading of weights.

use std::path::Path;

use burn::tensor::Device;
use convnext_core::{DetectionTask, Seed, WeightMetadata};
use convnext_train::{TrainError, load_model, recipe_of};

use crate::detect_options::DetectOptions;
use crate::mask_rcnn::MaskRcnn;
use crate::recipe::detect_recipe::DetectRecipe;

/// Reads a detector, and what its file says about it. [`convnext_train::save_weights`] writes one.
///
/// # Errors
/// [`TrainError::WrongKind`] for weights of another task, [`TrainError::Weights`] for tensors that do not fit the file's own
/// configuration, [`TrainError::Io`] for a file that cannot be read.
pub fn load_detector(path: &Path, device: &Device) -> Result<(MaskRcnn, WeightMetadata), TrainError> {
    let needed = ["a detector", "train one first: convnext finetune --task detect"];
    load_model::<DetectionTask, _>(path, needed, |metadata| {
        let task: DetectionTask = metadata.task_as()?;
        Ok(MaskRcnn::new(&metadata.convnext()?, &task.head, Seed::default(), device)?)
    })
}

/// How the recipe of weights looks for objects in evaluation; without a recipe as [`DetectOptions::default`] does.
pub fn detect_options_of(weights: &WeightMetadata) -> DetectOptions {
    recipe_of(weights).map_or_else(DetectOptions::default, |recipe: DetectRecipe| recipe.options())
}
