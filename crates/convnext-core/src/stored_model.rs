//! Serialised form of a model's blocks in weight files, those of earlier versions included.
//!
//! `grn` and `layer_scale` are switches, as they always were; `response_norm` names what stands in the place of GRN, and
//! `layer_scale_init` an initial value that is not the usual one, so that files of plain models are what they were.
//! In the first layout a model held values of its training as well: `drop_path` and `head_init_scale`, which nobody
//! needs to use the weights, and LayerScale as its initial value. They are read; what a training was is in the recipe
//! beside them.

use serde::{Deserialize, Serialize};

use crate::block_parameter_rules::LAYER_SCALE_INIT;
use crate::limits::STAGES;
use crate::response_norm::ResponseNorm;

/// [`crate::ModelConfig`] as files of any age hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredModel {
    pub(crate) name: String,
    pub(crate) depths: [usize; STAGES],
    pub(crate) widths: [usize; STAGES],
    pub(crate) grn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_norm: Option<ResponseNorm>,
    #[serde(default)]
    pub(crate) layer_scale: StoredScale,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer_scale_init: Option<f64>,
    pub(crate) classes: usize,
    pub(crate) input_channels: usize,
    pub(crate) stem_stride: usize,
    #[serde(default, rename = "drop_path", skip_serializing)]
    pub(crate) _drop_path: Option<f64>,
    #[serde(default, rename = "head_init_scale", skip_serializing)]
    pub(crate) _head_init_scale: Option<f64>,
}

/// [`crate::DecoderConfig`] as files of any age hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredDecoder {
    #[serde(default, skip_serializing_if = "StoredDecoderKind::is_convnext")]
    pub(crate) kind: StoredDecoderKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heads: Option<usize>,
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) grn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_norm: Option<ResponseNorm>,
    pub(crate) layer_scale: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer_scale_init: Option<f64>,
}

/// The kind of a decoder by name; files of the paper's decoder do not tell it.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredDecoderKind {
    #[default]
    #[serde(rename = "convnext")]
    ConvNext,
    #[serde(rename = "unet")]
    UNet,
    #[serde(rename = "unet-no-skip")]
    UNetNoSkip,
    Transformer,
}

impl StoredDecoderKind {
    fn is_convnext(&self) -> bool {
        *self == Self::ConvNext
    }
}

/// The normalisation by the switch of GRN and the name of another one.
pub(crate) fn norm_of(grn: bool, other: Option<ResponseNorm>) -> Option<ResponseNorm> {
    other.or(grn.then_some(ResponseNorm::Grn))
}

/// The switch of GRN, and the name of another normalisation.
pub(crate) fn stored_norm(norm: Option<ResponseNorm>) -> (bool, Option<ResponseNorm>) {
    (norm == Some(ResponseNorm::Grn), norm.filter(|&norm| norm != ResponseNorm::Grn))
}

/// LayerScale as a switch, or as its initial value or `null`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredScale {
    Switch(bool),
    Initial(Option<f64>),
}

impl Default for StoredScale {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl StoredScale {
    /// The switch, and an initial value that is not the usual one.
    pub(crate) fn of(initial: Option<f64>) -> (Self, Option<f64>) {
        (Self::Switch(initial.is_some()), initial.filter(|&value| value != LAYER_SCALE_INIT))
    }

    /// Its initial value, of which a key beside it may tell.
    pub(crate) fn initial(&self, other: Option<f64>) -> Option<f64> {
        match *self {
            Self::Switch(on) => on.then_some(other.unwrap_or(LAYER_SCALE_INIT)),
            Self::Initial(value) => value,
        }
    }
}
