//! Reading of weights.

use std::path::Path;

use burn::tensor::Device;
use convnext_core::{Seed, SegmentationTask, WeightMetadata};
use convnext_train::{TrainError, load_model, recipe_of};

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
    recipe_of(weights)
        .map_or_else(InferenceOptions::default, |recipe: SegmentRecipe| recipe.inference_options())
}

#[cfg(test)]
mod tests {
    use convnext_core::{ClassNames, Preprocessing, UperNetConfig, find_model};

    use super::*;
    use crate::inference::InferenceMode;
    use crate::sliding_window::SlidingWindow;

    #[test]
    fn looks_are_those_that_the_recipe_validates_with() {
        let head = UperNetConfig { head_width: 8, auxiliary_width: None };
        let (classes, numbers, palette) = (ClassNames::default(), Vec::new(), Vec::new());
        let task = SegmentationTask { classes, numbers, palette, head };
        let model = find_model("micro").unwrap().config();
        let bare = WeightMetadata::new(&model, &task, Preprocessing::for_size(64, 3));
        assert_eq!(inference_of(&bare), InferenceOptions::default());
        let recipe = include_str!("../recipes/plain.toml");
        let slide = recipe.replace("mode = \"whole\"", "mode = { slide = { crop = 96, stride = 64 } }");
        let found = inference_of(&bare.clone().with_recipe(slide));
        assert_eq!(found.mode, InferenceMode::Slide(SlidingWindow { crop: 96, stride: 64 }));
        let found = inference_of(&bare.with_recipe(recipe.into()));
        assert_eq!(
            (found.mode, found.large_inputs),
            (InferenceMode::Whole, Some(SlidingWindow::of_crop(256)))
        );
    }
}
