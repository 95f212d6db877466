//! Arguments about the masks of data for segmentation.

use std::path::PathBuf;

use clap::Args;
use convnext::data::{LearnedClasses, Orientation, SegmentationLayout};

/// What the numbers and colours of masks mean.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SegmentationDataArguments {
    /// Classes of masks: CSV with the columns name and id or colour, TOML, or a name a line [default: as the data says]
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// Number in masks whose pixels are neither trained nor measured on; may be repeated [default: 255 where it is no class]
    #[arg(long, value_name = "N")]
    pub(crate) ignore_index: Vec<u16>,
    /// In masks 0 is ignored, and classes begin at 1, as in ADE20K
    #[arg(long)]
    pub(crate) reduce_zero_label: bool,
}

impl SegmentationDataArguments {
    /// How the data is read; `model` are the classes of weights that it is measured with, `orientation` what is done with EXIF.
    pub(crate) fn layout(
        &self,
        model: Option<LearnedClasses>,
        validation_fraction: Option<f64>,
        orientation: Orientation,
    ) -> SegmentationLayout {
        let default = SegmentationLayout::default();
        SegmentationLayout {
            classes: self.classes.clone(),
            ignored: self.ignore_index.clone(),
            reduce_zero_label: self.reduce_zero_label,
            model,
            orientation,
            validation_fraction: validation_fraction.unwrap_or(default.validation_fraction),
        }
    }

    /// `true` if any of them is given.
    pub(crate) fn are_given(&self) -> bool {
        self.classes.is_some() || !self.ignore_index.is_empty() || self.reduce_zero_label
    }
}
