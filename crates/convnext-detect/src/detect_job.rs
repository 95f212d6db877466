//! Everything that decides a detection training, as `config.toml` has it.

use std::path::PathBuf;

use convnext_core::{MaskRcnnConfig, ModelConfig};
use convnext_train::{Freeze, RunSettings};
use serde::Serialize;

use crate::recipe::detect_recipe::DetectRecipe;

/// Everything that decides a detection training.
#[derive(Debug, Clone, Serialize)]
pub struct DetectJob {
    /// Settings of the run, such as its folder and its seed.
    #[serde(flatten)]
    pub run: RunSettings,
    /// The images to train on.
    #[serde(flatten)]
    pub labels: ObjectSubset,
    /// Frozen part of the model: with [`Freeze::Encoder`] the backbone learns nothing.
    #[serde(skip_serializing_if = "is_nothing")]
    pub freeze: Freeze,
    /// The backbone; its number of classes is set from the data.
    pub model: ModelConfig,
    /// Pyramid and heads.
    pub head: MaskRcnnConfig,
    /// Training recipe.
    pub recipe: DetectRecipe,
}

fn is_nothing(freeze: &Freeze) -> bool {
    *freeze == Freeze::Nothing
}

/// How the images and objects of a training were chosen, for the record of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ObjectSubset {
    /// A file of annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<PathBuf>,
    /// Crowds are learned as objects.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub crowd_as_object: bool,
    /// Images that are listed and not there are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_missing: bool,
    /// Share of the images that becomes validation when the data has no such part.
    pub validation_fraction: f64,
    /// Use only so many labelled images.
    #[serde(rename = "labelled_images", skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Use only this share of the labelled images.
    #[serde(rename = "label_fraction", skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
}
