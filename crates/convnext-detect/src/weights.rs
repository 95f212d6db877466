//! Reading of weights.

use std::path::Path;

use burn::tensor::Device;
use convnext_core::{DetectionTask, Seed, WeightMetadata};
use convnext_io::read_header;
use convnext_train::{TrainError, load_model, recipe_of};

use crate::detect_options::DetectOptions;
use crate::mask_rcnn::MaskRcnn;
use crate::recipe::detect_recipe::DetectRecipe;

/// Reads a detector, and what its file says about it. [`convnext_train::save_weights`] writes one.
///
/// # Errors
/// [`TrainError::WrongKind`] for weights of another task or another detector, [`TrainError::Weights`] for tensors that do not fit the file's own
/// configuration, [`TrainError::Io`] for a file that cannot be read.
pub fn load_detector(path: &Path, device: &Device) -> Result<(MaskRcnn, WeightMetadata), TrainError> {
    refuse_other_detector(path)?;
    let needed = ["a detector", "train one first: convnext finetune --task detect"];
    load_model::<DetectionTask, _>(path, needed, |metadata| {
        let task: DetectionTask = metadata.task_as()?;
        Ok(MaskRcnn::new(&metadata.convnext()?, &task.head, Seed::default(), device)?)
    })
}

/// Refuses the weights of a detector of another program that is neither Mask R-CNN nor Faster R-CNN, by what it is: nothing
/// but its backbone would be read.
///
/// # Errors
/// [`TrainError::WrongKind`], and [`TrainError::Io`] for a file that cannot be read.
pub(crate) fn refuse_other_detector(path: &Path) -> Result<(), TrainError> {
    match read_header(path)?.origin.and_then(|origin| origin.other_detector) {
        None => Ok(()),
        Some(found) => Err(TrainError::WrongKind {
            path: path.to_owned(),
            found,
            needed: "a Mask R-CNN or a Faster R-CNN",
            advice: "to start from its backbone alone, write that first: convnext convert WEIGHTS backbone.safetensors --to official",
        }),
    }
}

/// How the recipe of weights looks for objects in evaluation; without a recipe as [`DetectOptions::default`] does.
pub fn detect_options_of(weights: &WeightMetadata) -> DetectOptions {
    recipe_of(weights).map_or_else(DetectOptions::default, |recipe: DetectRecipe| recipe.options())
}
