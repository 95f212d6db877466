//! Data for segmentation, as it is trained and measured on.

use std::path::PathBuf;

use convnext_core::ClassNames;

use crate::datasets::parts::Split;
use crate::datasets::split::HELD_OUT;
use crate::pixels::orientation::Orientation;
use crate::segmentation::learned_classes::LearnedClasses;
use crate::segmentation::set::SegmentationSet;

/// How a data set for segmentation is read.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationLayout {
    /// A file of the classes, their numbers and colours: CSV, TOML, or one name a line.
    pub classes: Option<PathBuf>,
    /// Numbers of the masks whose pixels are ignored; 255 is where it is no class.
    pub ignored: Vec<u16>,
    /// 0 is ignored, and classes begin at 1.
    pub reduce_zero_label: bool,
    /// Classes of a model that the data is measured with: what its numbers mean where the data does not say.
    pub model: Option<LearnedClasses>,
    /// What is done with the EXIF orientation of images: a mask has the size that its image then has.
    pub orientation: Orientation,
    /// Share of the images that is held out where the data has no part for validation, in (0, 1).
    pub validation_fraction: f64,
}

impl Default for SegmentationLayout {
    /// Classes by what is found, and a fifth for validation.
    fn default() -> Self {
        Self {
            classes: None,
            ignored: Vec::new(),
            reduce_zero_label: false,
            model: None,
            orientation: Orientation::default(),
            validation_fraction: HELD_OUT,
        }
    }
}

/// A data set for training a segmentation network. All parts have the same classes.
#[derive(Debug, Clone)]
pub struct SegmentationData {
    /// Training images.
    pub train: SegmentationSet,
    /// Validation images.
    pub validation: SegmentationSet,
    /// Images for a last test, where validation does not use them.
    pub test: Option<SegmentationSet>,
    /// The names of the classes.
    pub classes: ClassNames,
    /// The numbers of each class in the masks; empty where each is the position of its class, where colours are the classes,
    /// and of annotations, which have no such numbers.
    pub numbers: Vec<Vec<u16>>,
    /// Red, green and blue of each class; empty where the data says nothing of them.
    pub palette: Vec<[u8; 3]>,
    /// `true` if `validation` was held out of the training images, because the data has no such part.
    pub held_out: bool,
    /// The part that `validation` is: the one for a test where there is none for validation; `None` when it was held out.
    pub validation_split: Option<Split>,
    /// Description of the source of the training images.
    pub train_source: String,
    /// Description of the source of the validation images.
    pub validation_source: String,
    /// What was decided about the masks, in words.
    pub decisions: Vec<String>,
}

/// Some images of a data set that are measured on.
#[derive(Debug, Clone)]
pub struct SegmentationPart {
    /// The split; `None` for all images of data without splits.
    pub split: Option<Split>,
    /// Description of their source.
    pub source: String,
    /// The images and their label maps.
    pub images: SegmentationSet,
    /// What was decided about the masks, in words.
    pub decisions: Vec<String>,
}
