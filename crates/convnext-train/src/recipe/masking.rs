//! Masking and prediction target of FCMAE.

use convnext_core::FcmaeObjective;
use serde::{Deserialize, Serialize};

/// Masking and prediction target of FCMAE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingRecipe {
    /// Share of patches that are removed.
    pub ratio: f64,
    /// Predict pixels normalised within their patch.
    pub normalize_target: bool,
}

impl MaskingRecipe {
    /// Training objective of the autoencoder.
    pub fn objective(&self) -> FcmaeObjective {
        FcmaeObjective { mask_ratio: self.ratio, normalize_target: self.normalize_target }
    }
}
