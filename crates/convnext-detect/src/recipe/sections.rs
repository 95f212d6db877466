//! The tables of a recipe of detection that others do not have.

use convnext_core::{ImageSize, MAX_IMAGE_SIDE, ResizeRule};
use convnext_data::{CopyPaste, DetectionResize, DetectionTransform};
use convnext_train::{TrainError, check_range};
use serde::{Deserialize, Serialize};

use crate::regions::assigner::AssignmentRule;
use crate::regions::suppression::Suppression;
use crate::tiles::Tiles;

/// Data augmentation of an image and its objects, in this order: resizing, a crop of the input's size, a mirror image,
/// objects pasted from another image that went through the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectAugmentation {
    /// Random resizing.
    pub resize: TrainingResize,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Probability that objects of another image are copied into an image (copy-paste); for data with masks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copy_paste: f64,
    /// Side in pixels of the tiles that larger images are learned from, one tile after the other, and that are looked at
    /// besides the whole afterwards; `None` takes the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Random resizing of the images of a training, in their proportions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingResize {
    /// Large-scale jittering: an image fits into the input's size times a factor between these two, and then a crop of the
    /// input's size is taken.
    Jitter([f64; 2]),
    /// The shorter side becomes one of these, in pixels, while the longer one stays within the input's longer side.
    ShortSides(Vec<usize>),
}

/// Regions that the heads learn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRecipe {
    /// Proposals of an image that the box head learns from, at most; a quarter of them show objects.
    pub sampled: usize,
    /// Proposals of an image that the region proposal network hands on, at most.
    pub proposals: usize,
    /// Intersection over union from which on the anchors nearest to an object stand for it ([`AssignmentRule::low_quality`]):
    /// at 0 every object has an anchor, as in torchvision; at mmdetection's 0.3 the region proposal network learns nothing
    /// of objects that are much smaller than every anchor. Recipes of before, which do not say it, have mmdetection's.
    #[serde(default = "of_mmdetection")]
    pub minimum_anchor_overlap: f64,
}

fn of_mmdetection() -> f64 {
    AssignmentRule::ANCHORS.low_quality
}

/// Regularisation, against overfitting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectRegularization {
    /// Drop path rate of the last block.
    pub drop_path: f64,
}

/// Images in validation, and later in evaluation and inference.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectInferenceRecipe {
    /// Size of the network's input; `None` fits images into the input's size of the training, or, where that chooses among
    /// short sides, into its longer side and the largest of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizeRule>,
    /// What becomes of boxes that lie on better ones.
    #[serde(default)]
    pub suppression: Suppression,
}

impl DetectAugmentation {
    /// The transform to images of at most this size.
    pub fn transform(&self, size: ImageSize) -> DetectionTransform {
        let resize = match &self.resize {
            TrainingResize::Jitter(ratio) => DetectionResize::Jitter { size, ratio: *ratio },
            TrainingResize::ShortSides(short) => {
                DetectionResize::MultiScale { short: short.clone(), long: size.long_side() }
            }
        };
        DetectionTransform { resize, flip_probability: self.flip }
    }

    /// Objects of other images that are pasted.
    pub fn copy_paste(&self) -> CopyPaste {
        CopyPaste { probability: self.copy_paste }
    }

    /// Checks every value against its range, for images of at most this size.
    pub(super) fn validate(&self, size: ImageSize) -> Result<(), TrainError> {
        self.transform(size).validate()?;
        self.copy_paste().validate()?;
        if let Some(tile) = self.tile {
            check_range(
                (Tiles::LEAST_SIDE..=MAX_IMAGE_SIDE).contains(&tile),
                "side of tiles",
                tile as f64,
                Tiles::SIDE_RANGE,
            )?;
        }
        Ok(())
    }
}

impl RegionRecipe {
    /// The rule by which anchors learn objects.
    pub fn anchor_rule(&self) -> AssignmentRule {
        AssignmentRule { low_quality: self.minimum_anchor_overlap, ..AssignmentRule::ANCHORS }
    }

    pub(super) fn validate(&self) -> Result<(), TrainError> {
        let Self { sampled, proposals, minimum_anchor_overlap: overlap } = *self;
        let most = 10_000;
        check_range((4..=most).contains(&sampled), "sampled regions", sampled as f64, "from 4 to 10000")?;
        check_range((1..=most).contains(&proposals), "proposals", proposals as f64, "from 1 to 10000")?;
        check_range((0.0..=1.0).contains(&overlap), "minimum anchor overlap", overlap, "from 0 to 1")
    }
}

impl DetectRegularization {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        check_range((0.0..1.0).contains(&self.drop_path), "drop path", self.drop_path, "in [0, 1)")
    }
}
