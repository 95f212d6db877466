//! Task metadata of a masked autoencoder.

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::cost::{Cost, flops, pretraining_macs, pretraining_norms};
use crate::decoder_config::DecoderConfig;
use crate::decoder_tensors::decoder_tensors;
use crate::error::ConfigError;
use crate::fcmae_config::{EncoderKind, FcmaeConfig, FcmaeObjective};
use crate::image_size::ImageSize;
use crate::large_counts::sum;
use crate::mask::PatchGrid;
use crate::preprocessing::Preprocessing;
use crate::tagged::Kind;
use crate::task_metadata::TaskMetadata;
use crate::tensors::{ENCODER_PREFIX, TensorShape, backbone_tensors, trained_values};

/// Masked autoencoding: predicting removed patches from the others (paper section 3.1): the decoder behind the backbone, which is the encoder,
/// and its training objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmaeTask {
    /// Treatment of removed patches in the encoder.
    pub encoder_kind: EncoderKind,
    /// The decoder.
    pub decoder: DecoderConfig,
    /// Fraction of patches that were removed, in (0, 1).
    pub mask_ratio: f64,
    /// `true` if pixels were normalised within each patch.
    pub normalize_target: bool,
}

impl Kind for FcmaeTask {
    const KIND: &'static str = "fcmae";
}

impl FcmaeTask {
    /// The task of an autoencoder.
    pub fn new(config: &FcmaeConfig, objective: FcmaeObjective) -> Self {
        let FcmaeConfig { encoder_kind, decoder, .. } = *config;
        let FcmaeObjective { mask_ratio, normalize_target } = objective;
        Self { encoder_kind, decoder, mask_ratio, normalize_target }
    }

    /// The architecture, around its backbone.
    pub fn config(&self, backbone: &ModelConfig) -> FcmaeConfig {
        let Self { encoder_kind, decoder, .. } = *self;
        FcmaeConfig { encoder: backbone.clone(), encoder_kind, decoder }
    }

    /// The training objective.
    pub fn objective(&self) -> FcmaeObjective {
        FcmaeObjective { mask_ratio: self.mask_ratio, normalize_target: self.normalize_target }
    }
}

impl TaskMetadata for FcmaeTask {
    fn validate(&self, backbone: &ModelConfig, preprocessing: &Preprocessing) -> Result<(), ConfigError> {
        self.config(backbone).validate()?;
        self.objective().validate()?;
        // Its masks are of one grid.
        let ImageSize { height, width } = preprocessing.fixed_size()?;
        PatchGrid::of_image(backbone, height, width).map(drop)
    }

    fn describe(&self, backbone: &ModelConfig) -> String {
        format!(
            "masked autoencoder {} with {}{}, trained with mask ratio {} on {} patches",
            backbone.name,
            self.decoder.describe(),
            self.encoder_kind.in_words().map_or_else(String::new, |words| format!(" and {words}")),
            self.mask_ratio,
            if self.normalize_target { "normalised" } else { "plain" }
        )
    }

    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        let config = self.config(backbone);
        let mut tensors = backbone_tensors(ENCODER_PREFIX, backbone);
        tensors.extend(decoder_tensors(&config, config.values_per_patch()));
        tensors
    }

    /// Of a step's forward pass at the mask ratio of the training.
    fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        let config = self.config(backbone);
        let macs = sum(pretraining_macs(&config, self.mask_ratio, size)?);
        let norms = pretraining_norms(&config, self.mask_ratio, size)?;
        Ok(Cost { parameters: trained_values(self.tensors(backbone)), macs, flops: flops(macs, norms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    #[test]
    fn an_encoder_that_is_not_the_papers_is_told() {
        let mut config = FcmaeConfig::new(find_model("micro").unwrap().config());
        for (kind, words) in [
            (EncoderKind::Sparse, "1 block(s) of 128 channels, trained with mask ratio 0.6"),
            (EncoderKind::MaskedDense, "128 channels and a masked dense encoder, trained"),
            (EncoderKind::Leaky, "128 channels and a leaky encoder, trained"),
            (EncoderKind::Tokens, "128 channels and an encoder with mask tokens, trained"),
        ] {
            config.encoder_kind = kind;
            let found = FcmaeTask::new(&config, FcmaeObjective::default()).describe(&config.encoder);
            assert!(found.contains(words), "{found}");
        }
    }
}
