//! Part of the data that a result was measured on, in words.

use clap::ValueEnum;
use convnext::data::{
    DetectionData, DetectionPart, LabelledData, Part, SegmentationData, SegmentationPart, Split,
};
use serde::Serialize;

/// A part of the data, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    /// What is learned from
    Train,
    /// What is measured on while training
    #[value(aliases = ["val", "valid"])]
    Validation,
    /// What is kept for a last test
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Validation => Self::Validation,
            SplitName::Test => Self::Test,
        }
    }
}

/// The images that were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MeasuredPart {
    /// `train`, `validation`, `test`, `held out`, or `all` where there are no parts.
    pub(crate) split: String,
    /// Source of these images, such as `photos/val`.
    pub(crate) source: String,
}

impl MeasuredPart {
    /// One part, or everything.
    pub(crate) fn of(part: &Part) -> Self {
        Self::of_split(part.split, "all", &part.source)
    }

    /// One part of images with masks, or everything.
    pub(crate) fn of_masks(part: &SegmentationPart) -> Self {
        Self::of_split(part.split, "all", &part.source)
    }

    /// The validation part of a training.
    pub(crate) fn of_validation(data: &LabelledData) -> Self {
        Self::of_split(data.validation_split, "held out", &data.validation_source)
    }

    /// The validation part of a segmentation training.
    pub(crate) fn of_segmentation(data: &SegmentationData) -> Self {
        Self::of_split(data.validation_split, "held out", &data.validation_source)
    }

    /// One part of images with objects, or everything.
    pub(crate) fn of_objects(part: &DetectionPart) -> Self {
        Self::of_split(part.split, "all", &part.source)
    }

    /// The validation part of a detection training.
    pub(crate) fn of_detection(data: &DetectionData) -> Self {
        Self::of_split(data.validation_split, "held out", &data.validation_source)
    }

    fn of_split(split: Option<Split>, otherwise: &str, source: &str) -> Self {
        let split = split.map_or_else(|| otherwise.to_owned(), |split| split.to_string());
        Self { split, source: source.to_owned() }
    }

    /// `true` for the part that is meant for a last test.
    pub(crate) fn is_test(&self) -> bool {
        self.split == Split::Test.to_string()
    }

    /// Such as `the validation part, photos/val`.
    pub(crate) fn in_words(&self) -> String {
        let Self { split, source } = self;
        match split.as_str() {
            "all" => format!("all images of {source}"),
            "held out" => format!("what is held out of {source}"),
            split => format!("the {split} part, {source}"),
        }
    }
}
