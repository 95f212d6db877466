//! Everything that decides a segmentation training, as `config.toml` has it.

use std::path::PathBuf;

use convnext_core::{ModelConfig, UperNetConfig};
use convnext_train::{Freeze, RunSettings};
use serde::Serialize;

use crate::recipe::segment_recipe::SegmentRecipe;

/// Everything that decides a segmentation training.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentJob {
    /// Settings of the run, such as its folder and its seed.
    #[serde(flatten)]
    pub run: RunSettings,
    /// The images to train on.
    #[serde(flatten)]
    pub labels: MaskSubset,
    /// Frozen part of the model: with [`Freeze::Encoder`] the backbone learns nothing.
    #[serde(skip_serializing_if = "is_nothing")]
    pub freeze: Freeze,
    /// Ranks whose batch norms of the heads are synchronised: they normalise by the micro-batches of a round together. `None`
    /// normalises each micro-batch by itself, as one process does. With another number of ranks it is another training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_batch_norm: Option<usize>,
    /// The backbone; its number of classes is set from the data.
    pub model: ModelConfig,
    /// The heads.
    pub head: UperNetConfig,
    /// Training recipe.
    pub recipe: SegmentRecipe,
}

fn is_nothing(freeze: &Freeze) -> bool {
    *freeze == Freeze::Nothing
}

/// How the images and masks of a training were chosen, for the record of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MaskSubset {
    /// A file of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<PathBuf>,
    /// Numbers of the masks whose pixels are ignored.
    #[serde(rename = "ignore_index", skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<u16>,
    /// 0 is ignored, and classes begin at 1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reduce_zero_label: bool,
    /// Share of the images that becomes validation when the data has no such part.
    pub validation_fraction: f64,
    /// Use only so many labelled images.
    #[serde(rename = "labelled_images", skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Use only this share of the labelled images.
    #[serde(rename = "label_fraction", skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
}
