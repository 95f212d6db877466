//! The tables of a recipe of segmentation that others do not have.

use convnext_core::{ImageSize, ResizeRule};
use convnext_data::SegmentationTransform;
use convnext_train::{ClassWeights, TrainError, check_range};
use serde::{Deserialize, Serialize};

use crate::inference::InferenceMode;

/// The loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossRecipe {
    /// Pixels that the mean is over.
    pub mean_over: MeanOver,
    /// Weight of the loss of the auxiliary head; 0 turns the head's learning off.
    pub auxiliary: f64,
    /// Class weights: `balanced` makes rare classes count more ([`crate::class_weights`]).
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Weight of the Dice loss beside the cross-entropy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dice: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Pixels that the mean of the loss is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeanOver {
    /// All of them, those without a label included, whose loss is 0: mmsegmentation's default.
    All,
    /// Those with a label.
    Labelled,
}

/// Data augmentation of an image and its label map, in this order: resizing, a crop of the input's size, a mirror image,
/// photometric distortion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentAugmentation {
    /// Smallest and largest factor of the random resizing.
    pub resize_ratio: [f64; 2],
    /// Bounds of the longer and the shorter side, in pixels, that the factor is of; `None` stands for the image's own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize_base: Option<[usize; 2]>,
    /// A crop is drawn anew, up to ten times, where one class has more than this share of its labelled pixels; 1 takes the
    /// first.
    pub cat_max_ratio: f64,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Photometric distortion: brightness, contrast, saturation and hue, each in half of the images.
    pub photometric: bool,
}

/// Regularisation, against overfitting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRegularization {
    /// Drop path rate of the last block.
    pub drop_path: f64,
    /// Share of the channels that are dropped in front of the classifiers.
    pub head_dropout: f64,
}

/// Images in validation, and later in evaluation and inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceRecipe {
    /// Size of the network's input.
    #[serde(default)]
    pub resize: ResizeRule,
    /// What goes through the network at once: `"whole"`, or `{ slide = { crop = 512, stride = 341 } }`.
    #[serde(default)]
    pub mode: InferenceMode,
}

impl SegmentAugmentation {
    /// The transform to crops of a size.
    pub fn transform(&self, crop_size: ImageSize) -> SegmentationTransform {
        let Self { resize_ratio, resize_base, cat_max_ratio, flip, photometric } = *self;
        let flip_probability = flip;
        SegmentationTransform {
            crop_size,
            resize_base,
            resize_ratio,
            cat_max_ratio,
            flip_probability,
            photometric,
        }
    }
}

impl LossRecipe {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        let is_weight = |value: f64| value >= 0.0 && value.is_finite();
        check_range(is_weight(self.auxiliary), "weight of the auxiliary loss", self.auxiliary, "0 or above")?;
        check_range(is_weight(self.dice), "weight of the Dice loss", self.dice, "0 or above")
    }
}

impl SegmentRegularization {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        let Self { drop_path, head_dropout } = *self;
        check_range((0.0..1.0).contains(&drop_path), "drop path", drop_path, "in [0, 1)")?;
        check_range((0.0..1.0).contains(&head_dropout), "head dropout", head_dropout, "in [0, 1)")
    }
}

impl InferenceRecipe {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        self.resize.validate()?;
        match self.mode {
            InferenceMode::Whole => Ok(()),
            InferenceMode::Slide(window) => Ok(window.validate()?),
        }
    }
}
