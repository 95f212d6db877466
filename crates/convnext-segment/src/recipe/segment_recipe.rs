//! The recipe of a segmentation training.

use std::collections::BTreeMap;

use convnext_train::{
    AskedBatch, BuiltIn, Deviation, Given, InputRecipe, LayerDecayRecipe, RecipeContext, Rule,
    SupervisedRecipe, TrainError, TrainingRecipe, TransferFromScratch, TransferFromWeights,
};
use serde::{Deserialize, Serialize};

use super::sections::{InferenceRecipe, LossRecipe, SegmentAugmentation, SegmentRegularization};
use super::{auto, paper};
use crate::inference::InferenceOptions;
use crate::sliding_window::SlidingWindow;

/// A recipe of training or fine-tuning a segmentation network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRecipe {
    /// Claim of the recipe, such as the result to expect.
    pub claim: String,
    /// Images that the network gets in training: crops of this size.
    #[serde(default)]
    pub input: InputRecipe,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// Data augmentation of each image and its label map.
    pub augmentation: SegmentAugmentation,
    /// The loss.
    pub loss: LossRecipe,
    /// Regularisation.
    pub regularization: SegmentRegularization,
    /// Images in validation and after the training.
    #[serde(default)]
    pub inference: InferenceRecipe,
    /// Settings for a start from weights.
    #[serde(default)]
    pub from_weights: TransferFromWeights,
    /// Settings for a start from scratch.
    #[serde(default)]
    pub from_scratch: TransferFromScratch,
    /// Values among which the paper chose, by key of the recipe, without saying which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Vec<f64>>,
    /// Deviations from what the paper prints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// Why the default chose what it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Recipes from `recipes/NAME.toml`.
macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../recipes/", $name, ".toml")))),*]
    };
}

impl SegmentRecipe {
    /// The key of the class weights, which a flag of the program's sets.
    pub const CLASS_WEIGHTS: &'static str = "loss.class_weights";

    /// The looks at images in validation, and later with the weights: over large inputs by windows as large as the crops.
    pub fn inference_options(&self) -> InferenceOptions {
        let large_inputs = Some(SlidingWindow::of_crop(self.input.image_size.short_side()));
        InferenceOptions { mode: self.inference.mode, large_inputs, ..InferenceOptions::default() }
    }

    /// Layer-wise decay of the learning rate, if there is any; from scratch there is none.
    pub fn layer_decay(&self, from_weights: bool) -> Option<LayerDecayRecipe> {
        self.from_weights.layer_decay.filter(|_| from_weights)
    }

    /// Checks what is neither optimiser nor schedule against its ranges.
    ///
    /// # Errors
    /// [`TrainError`] with the first value that does not fit.
    pub(crate) fn validate_ranges(&self) -> Result<(), TrainError> {
        self.augmentation.transform(self.input.image_size).validate()?;
        self.loss.validate()?;
        self.regularization.validate()?;
        self.inference.validate()?;
        self.from_weights.layer_decay.map_or(Ok(()), |layers| layers.validate())
    }
}

impl SupervisedRecipe for SegmentRecipe {
    #[rustfmt::skip]
    const BUILT_IN: &'static [BuiltIn] = recipes![
        "plain",
        "ade20k-tiny",
        "paper-ade20k-base",
        "paper-ade20k-large",
        "paper-ade20k-huge",
        "paper-ade20k-huge-22k",
        "paper-ade20k-v1-base",
        "paper-ade20k-v1-large",
        "paper-ade20k-v2-supervised-base",
        "paper-ade20k-v2-supervised-large",
        "release",
    ];

    fn words(&mut self) -> (&mut String, &mut Vec<String>) {
        (&mut self.claim, &mut self.reasons)
    }

    fn validate(&self, choice: &str, _from_weights: bool) -> Result<(), TrainError> {
        self.from_scratch.validate(choice)?;
        self.training.validate(choice)?;
        self.validate_ranges()
    }

    fn auto_rules(context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError> {
        auto::KNOWN.rules(context, asked)
    }

    fn paper_row(context: &RecipeContext<'_>, _given: &Given) -> Result<String, TrainError> {
        paper::row(context, Self::names())
    }
}
