//! Data for detection, as it is trained and measured on.

use std::path::PathBuf;

use convnext_core::ClassNames;

use crate::datasets::parts::Split;
use crate::datasets::split::HELD_OUT;
use crate::detection::quirks::AnnotationRemark;
use crate::detection::set::DetectionSet;

/// How a data set for detection is read.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionLayout {
    /// A file of annotations (COCO's JSON, or YOLO's `data.yaml`); `None` for what lies among the images.
    pub annotations: Option<PathBuf>,
    /// Share of the images that is held out where the data has no part for validation, in (0, 1).
    pub validation_fraction: f64,
    /// Regions of many objects (`iscrowd`) are objects like others, as some programs mark every mask.
    pub crowd_as_object: bool,
    /// Images that are listed and not there are left out.
    pub allow_missing: bool,
    /// Classes of a model that the data is measured with: the names of numbers that nothing in the data names.
    pub model: Option<ClassNames>,
}

impl Default for DetectionLayout {
    /// What lies among the images, all of it there, and a fifth for validation.
    fn default() -> Self {
        Self {
            annotations: None,
            validation_fraction: HELD_OUT,
            crowd_as_object: false,
            allow_missing: false,
            model: None,
        }
    }
}

/// A data set for training a detector. All parts have the same classes.
#[derive(Debug, Clone)]
pub struct DetectionData {
    /// Training images.
    pub train: DetectionSet,
    /// Validation images.
    pub validation: DetectionSet,
    /// Images for a last test, where validation does not use them.
    pub test: Option<DetectionSet>,
    /// The names of the classes.
    pub classes: ClassNames,
    /// `true` if `validation` was held out of the training images, because the data has no such part.
    pub held_out: bool,
    /// The part that `validation` is: the one for a test where there is none for validation; `None` when it was held out.
    pub validation_split: Option<Split>,
    /// Description of the source of the training images.
    pub train_source: String,
    /// Description of the source of the validation images.
    pub validation_source: String,
    /// What was decided about the annotations, in words.
    pub decisions: Vec<String>,
    /// What was mended or left out.
    pub remarks: Vec<AnnotationRemark>,
}

/// Some images of a data set that are measured on.
#[derive(Debug, Clone)]
pub struct DetectionPart {
    /// The split; `None` for all images of data without splits.
    pub split: Option<Split>,
    /// Description of their source.
    pub source: String,
    /// The images and their objects.
    pub images: DetectionSet,
    /// What was decided about the annotations, in words.
    pub decisions: Vec<String>,
    /// What was mended or left out.
    pub remarks: Vec<AnnotationRemark>,
}
