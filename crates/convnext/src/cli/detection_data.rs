//! Arguments about the annotations of data for detection.

use std::path::PathBuf;

use clap::Args;
use convnext::core::ClassNames;
use convnext::data::DetectionLayout;

/// Where annotations are, and what they mean.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DetectionDataArguments {
    /// File of annotations: COCO's JSON, or YOLO's data.yaml [default: what lies among the images]
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: Option<PathBuf>,
    /// Crowds (iscrowd) are objects like others
    #[arg(long)]
    pub(crate) crowd_as_object: bool,
    /// Leave out images that annotations list and that are not there
    #[arg(long)]
    pub(crate) allow_missing: bool,
}

impl DetectionDataArguments {
    /// How the data is read; `model` are the classes of weights that it is measured with.
    pub(crate) fn layout(
        &self,
        model: Option<ClassNames>,
        validation_fraction: Option<f64>,
    ) -> DetectionLayout {
        let default = DetectionLayout::default();
        DetectionLayout {
            annotations: self.annotations.clone(),
            validation_fraction: validation_fraction.unwrap_or(default.validation_fraction),
            crowd_as_object: self.crowd_as_object,
            allow_missing: self.allow_missing,
            model,
        }
    }

    /// `true` if any of them is given.
    pub(crate) fn are_given(&self) -> bool {
        self.annotations.is_some() || self.crowd_as_object || self.allow_missing
    }
}
