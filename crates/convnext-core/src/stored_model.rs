//! Serialised form of a model's configuration in weight files, those of earlier versions included.
//!
//! In the first layout it held values of its training as well: `drop_path` and `head_init_scale`, which nobody needs to
//! use the weights, and LayerScale as its initial value. They are read and passed over; what a training was is in the
//! recipe beside them.

use serde::Deserialize;

use crate::limits::STAGES;

/// [`crate::ModelConfig`] as files of any age hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredModel {
    pub(crate) name: String,
    pub(crate) depths: [usize; STAGES],
    pub(crate) widths: [usize; STAGES],
    pub(crate) grn: bool,
    #[serde(default)]
    pub(crate) layer_scale: StoredScale,
    pub(crate) classes: usize,
    pub(crate) input_channels: usize,
    pub(crate) stem_stride: usize,
    #[serde(default, rename = "drop_path")]
    _drop_path: Option<f64>,
    #[serde(default, rename = "head_init_scale")]
    _head_init_scale: Option<f64>,
}

/// LayerScale as a switch, or as its initial value or `null`.
#[derive(Deserialize)]
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
    /// `true` if there is LayerScale.
    pub(crate) fn is_on(&self) -> bool {
        match self {
            Self::Switch(on) => *on,
            Self::Initial(value) => value.is_some(),
        }
    }
}
