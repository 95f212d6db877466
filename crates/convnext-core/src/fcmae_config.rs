//! Architecture and objective of a masked autoencoder (paper section 3.1).

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::decoder_config::{DecoderConfig, DecoderKind};
use crate::error::ConfigError;

/// Treatment of removed patches in the encoder of FCMAE. It belongs to the architecture: the tensors are the
/// same for each kind but [`Self::Tokens`], but they are weights of another function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    /// Submanifold sparse convolution on the kept sites only: the paper's design and the fast one.
    #[default]
    Sparse,
    /// Dense convolution with the mask applied before and after each depthwise convolution: the
    /// paper's other implementation. Equal to [`Self::Sparse`] at kept sites; the reference.
    MaskedDense,
    /// Removed patches are zeroed once after the stem, then plain dense layers run over all sites,
    /// so that information leaks: our reading of "without sparse convolution" in the paper's Table 1.
    Leaky,
    /// A learned mask token stands at removed patches after the stem, then plain dense layers run over all sites, as in
    /// SimMIM. The encoder itself fills the removed patches, so the decoder sees its features there as well, and has no
    /// mask token of its own.
    Tokens,
}

impl EncoderKind {
    /// `true` if the encoder computes at the sites of removed patches as well.
    pub fn computes_everywhere(self) -> bool {
        self != Self::Sparse
    }

    /// `true` if no mask stands between kept and removed patches behind the stem: what the layers see of an image, a batch norm's
    /// statistics included, is all of its sites.
    pub fn mixes_patches(self) -> bool {
        matches!(self, Self::Leaky | Self::Tokens)
    }

    /// The encoder in words, unless it is the paper's.
    pub(crate) fn in_words(self) -> Option<&'static str> {
        match self {
            Self::Sparse => None,
            Self::MaskedDense => Some("a masked dense encoder"),
            Self::Leaky => Some("a leaky encoder"),
            Self::Tokens => Some("an encoder with mask tokens"),
        }
    }

    /// `true` if the decoder sees the features of all patches, not only of the kept ones.
    pub fn fills_removed_patches(self) -> bool {
        self == Self::Tokens
    }
}

/// The architecture of one masked autoencoder: an encoder without head and a decoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FcmaeConfig {
    /// The encoder; its head is not used (`classes` is 0).
    pub encoder: ModelConfig,
    /// Treatment of removed patches in the encoder.
    pub encoder_kind: EncoderKind,
    /// The decoder.
    pub decoder: DecoderConfig,
}

/// Objective of a masked autoencoder (paper section 3.1): mask ratio and target.
///
/// A training has it from its recipe; weights keep it as a record of theirs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FcmaeObjective {
    /// Fraction of patches that are removed, in (0, 1); 0.6 in the paper.
    pub mask_ratio: f64,
    /// Predict pixels normalised within each patch (as in the paper) or plain pixels.
    pub normalize_target: bool,
}

impl Default for FcmaeObjective {
    /// The paper's: 0.6 of the patches, normalised.
    fn default() -> Self {
        Self { mask_ratio: 0.6, normalize_target: true }
    }
}

impl FcmaeObjective {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] when the mask ratio does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.mask_ratio > 0.0 && self.mask_ratio < 1.0 {
            return Ok(());
        }
        let (found, expected) = (self.mask_ratio.to_string(), "between 0 and 1, both excluded");
        Err(ConfigError::OutOfRange { what: "mask ratio", found, expected })
    }
}

impl FcmaeConfig {
    /// The paper's masked autoencoder around an encoder: sparse, a decoder of one block of the encoder's family with
    /// 512 channels (128 for encoders of at most 128 channels).
    pub fn new(mut encoder: ModelConfig) -> Self {
        encoder.classes = 0;
        let decoder = DecoderConfig::new(DecoderKind::ConvNext, &encoder);
        Self { encoder, encoder_kind: EncoderKind::default(), decoder }
    }

    /// Values that the decoder predicts for one patch: channels x patch side squared.
    pub fn values_per_patch(&self) -> usize {
        let patch = self.encoder.patch_size();
        self.encoder.input_channels * patch * patch
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.encoder.validate()?;
        self.decoder.validate(&self.encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_parameter_rules::LAYER_SCALE_INIT;
    use crate::response_norm::ResponseNorm;
    use crate::sizes::find_model;

    #[test]
    fn each_bad_value_is_named() {
        let objective = FcmaeObjective { mask_ratio: 1.0, ..FcmaeObjective::default() };
        assert!(objective.validate().unwrap_err().to_string().contains("mask ratio is 1"));
        let mut config = FcmaeConfig::new(find_model("v1-micro").unwrap().config());
        assert_eq!(config.validate(), Ok(()));
        config.decoder.layer_scale = Some(-1.0);
        assert!(config.validate().unwrap_err().to_string().contains("layer scale is -1"));
    }

    #[test]
    fn plain_models_are_stored_as_ever_and_others_by_name() {
        for (model, grn, layer_scale) in [("micro", "true", "false"), ("v1-micro", "false", "true")] {
            let text = serde_json::to_string(&find_model(model).unwrap().config()).unwrap();
            let switches = format!(r#""grn":{grn},"layer_scale":{layer_scale},"classes""#);
            assert!(text.contains(&switches), "{text}");
        }
        let norms = ResponseNorm::ALL.map(Some).into_iter().chain([None]);
        for response_norm in norms {
            for layer_scale in [None, Some(LAYER_SCALE_INIT), Some(1.0)] {
                let config =
                    ModelConfig { response_norm, layer_scale, ..find_model("micro").unwrap().config() };
                let text = serde_json::to_string(&config).unwrap();
                assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config, "{text}");
                let decoder = FcmaeConfig::new(config).decoder;
                let text = serde_json::to_string(&decoder).unwrap();
                assert_eq!(serde_json::from_str::<DecoderConfig>(&text).unwrap(), decoder, "{text}");
            }
        }
    }
}
