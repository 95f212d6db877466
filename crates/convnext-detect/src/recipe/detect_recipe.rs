//! The recipe of a detection training.

use std::collections::BTreeMap;

use convnext_core::{ConfigError, ResizeRule};
use convnext_train::{
    AskedBatch, BuiltIn, Deviation, Given, InputRecipe, LayerDecayRecipe, RecipeContext, Rule,
    SupervisedRecipe, TrainError, TrainingRecipe, TransferFromScratch, TransferFromWeights,
};
use serde::{Deserialize, Serialize};

use super::sections::{
    DetectAugmentation, DetectInferenceRecipe, DetectRegularization, RegionRecipe, TrainingResize,
};
use super::{auto, paper};
use crate::detect_options::DetectOptions;
use crate::regions::suppression::Suppression;
use crate::tiles::Tiles;

/// A recipe of training or fine-tuning a detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectRecipe {
    /// Claim of the recipe, such as the result to expect.
    pub claim: String,
    /// Images that the network gets in training: no larger than this.
    #[serde(default)]
    pub input: InputRecipe,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// Data augmentation of each image and its objects.
    pub augmentation: DetectAugmentation,
    /// Regions that the heads learn from.
    pub regions: RegionRecipe,
    /// Regularisation.
    pub regularization: DetectRegularization,
    /// Images in validation and after the training.
    #[serde(default)]
    pub inference: DetectInferenceRecipe,
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

impl DetectRecipe {
    /// The key of the regions that the box head learns from, which a flag of the program's sets.
    pub const REGIONS: &'static str = "regions.sampled";

    /// How objects are looked for in validation, and later with the weights.
    pub fn options(&self) -> DetectOptions {
        let (proposals, suppression) = (self.regions.proposals, self.inference.suppression);
        // Objects are found at the scale at which they were learned.
        let tiles = self.augmentation.tile.map(|side| Tiles { side, overlap: Tiles::OVERLAP });
        DetectOptions { proposals, suppression, tiles, ..DetectOptions::default() }
    }

    /// The size of images in validation, and later with the weights: what the recipe says, or else the largest that the
    /// training resizes to without jitter.
    pub fn resize(&self) -> ResizeRule {
        let input = self.input.image_size;
        let long = input.long_side();
        let short = match &self.augmentation.resize {
            TrainingResize::Jitter(_) => input.short_side(),
            TrainingResize::ShortSides(sides) => sides.iter().copied().max().unwrap_or(long).min(long),
        };
        self.inference.resize.unwrap_or(ResizeRule::Fit { long, short })
    }

    /// Layer-wise decay of the learning rate, if there is any; from scratch there is none.
    pub fn layer_decay(&self, from_weights: bool) -> Option<LayerDecayRecipe> {
        self.from_weights.layer_decay.filter(|_| from_weights)
    }

    /// Checks what is neither optimiser nor schedule against its ranges.
    ///
    /// # Errors
    /// [`ConfigError`] with the first value that does not fit.
    pub(crate) fn validate_ranges(&self) -> Result<(), TrainError> {
        self.input.image_size.validate()?;
        self.augmentation.validate(self.input.image_size)?;
        self.regions.validate()?;
        self.regularization.validate()?;
        if self.augmentation.tile.is_some() && self.inference.suppression != Suppression::Hard {
            let (what, found) = ("suppression with tiles", self.inference.suppression.to_string());
            let expected =
                "hard, because what is found twice in tiles is merged; give --set inference.suppression=hard";
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        self.resize().validate()?;
        self.from_weights.layer_decay.map_or(Ok(()), |layers| layers.validate())
    }
}

impl SupervisedRecipe for DetectRecipe {
    #[rustfmt::skip]
    const BUILT_IN: &'static [BuiltIn] = recipes![
        "plain",
        "coco-tiny",
        "paper-coco-base",
        "paper-coco-large",
        "paper-coco-huge",
        "paper-coco-v1-base",
        "paper-coco-v1-large",
        "paper-coco-v2-supervised-base",
        "paper-coco-v2-supervised-large",
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
