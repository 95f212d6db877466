//! Architecture of a model (paper section 3 and appendix A; docs/facts.md, "Macro structure", "Block", "GRN",
//! "Decoder").

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::limits::{MAX_BLOCKS, MAX_CHANNELS, MAX_CLASSES, STAGES};
use crate::stored_model::StoredModel;
use crate::tagged::Kind;

/// The two generations of the model family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// ConvNeXt V1: LayerScale, no GRN.
    V1,
    /// ConvNeXt V2: Global Response Normalization, no LayerScale.
    V2,
}

impl Family {
    /// `true` when the blocks of this family hold a Global Response Normalization.
    pub fn has_grn(self) -> bool {
        self == Self::V2
    }

    /// `true` when the blocks of this family end with LayerScale.
    pub fn has_layer_scale(self) -> bool {
        self == Self::V1
    }
}

/// The architecture of one ConvNeXt classifier: what its tensors need. How it is trained (drop path, the scale of a fresh
/// head) is for recipes to say.
///
/// GRN and LayerScale are independent switches: V1 has only LayerScale, V2 only GRN,
/// and a V2 with LayerScale is an ablation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredModel")]
pub struct ModelConfig {
    /// Name of the row of [`crate::MODELS`] that this configuration started from.
    pub name: String,
    /// Blocks in each stage.
    pub depths: [usize; STAGES],
    /// Channels of each stage.
    pub widths: [usize; STAGES],
    /// Global Response Normalization after the GELU of every block (V2).
    pub grn: bool,
    /// LayerScale at the end of every block (V1), which starts at [`crate::LAYER_SCALE_INIT`].
    pub layer_scale: bool,
    /// Number of classes; 0 builds no head.
    pub classes: usize,
    /// Channels of the input image.
    pub input_channels: usize,
    /// Side and stride of the stem convolution: 4 in the paper, 2 or 1 for small images.
    pub stem_stride: usize,
}

impl Kind for ModelConfig {
    const KIND: &'static str = "convnext";
    const PLACE: &'static str = "backbone";
}

impl From<StoredModel> for ModelConfig {
    fn from(stored: StoredModel) -> Self {
        let StoredModel {
            name, depths, widths, grn, layer_scale, classes, input_channels, stem_stride, ..
        } = stored;
        Self {
            name,
            depths,
            widths,
            grn,
            layer_scale: layer_scale.is_on(),
            classes,
            input_channels,
            stem_stride,
        }
    }
}

impl ModelConfig {
    /// Side of an FCMAE patch in pixels: the reach of one site of the last stage.
    pub fn patch_size(&self) -> usize {
        self.stem_stride << (STAGES - 1)
    }

    /// Channels of the last stage.
    pub fn last_width(&self) -> usize {
        self.widths[STAGES - 1]
    }

    /// Drop path rate of every block, in order, from that of the last one: `linspace(0, rate, blocks)`, both ends
    /// included (docs/facts.md, "Block").
    pub fn drop_path_rates(&self, rate: f64) -> Vec<f64> {
        let blocks: usize = self.depths.iter().sum();
        let last = blocks.saturating_sub(1).max(1) as f64;
        (0..blocks).map(|block| rate * block as f64 / last).collect()
    }

    /// Height and width of the feature map of each stage, flooring as PyTorch does.
    ///
    /// # Errors
    /// [`ConfigError::ImageTooSmall`] when the last stage would have no site, and
    /// [`ConfigError::OutOfRange`] when the configuration itself is not sound.
    pub fn stage_sizes(&self, height: usize, width: usize) -> Result<[[usize; 2]; STAGES], ConfigError> {
        self.validate()?;
        let mut size = [height / self.stem_stride, width / self.stem_stride];
        let mut sizes = [size; STAGES];
        for stage in sizes.iter_mut().skip(1) {
            size = [size[0] / 2, size[1] / 2];
            *stage = size;
        }
        if size.contains(&0) {
            return Err(ConfigError::ImageTooSmall {
                height,
                width,
                stem_stride: self.stem_stride,
                minimum: self.patch_size(),
            });
        }
        Ok(sizes)
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, what: &'static str, found: String, expected: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found, expected }) }
        };
        let blocks_fit = self.depths.iter().all(|depth| (1..=MAX_BLOCKS).contains(depth));
        check(blocks_fit, "depths", format!("{:?}", self.depths), "from 1 to 1000 in each stage")?;
        let channels_fit = |channels: &usize| (1..=MAX_CHANNELS).contains(channels);
        let widths_fit = self.widths.iter().all(channels_fit);
        check(widths_fit, "widths", format!("{:?}", self.widths), "from 1 to 65536 in each stage")?;
        let inputs = self.input_channels;
        check(channels_fit(&inputs), "input channels", inputs.to_string(), "from 1 to 65536")?;
        check(self.classes <= MAX_CLASSES, "classes", self.classes.to_string(), "at most 10000000")?;
        check([1, 2, 4].contains(&self.stem_stride), "stem stride", self.stem_stride.to_string(), "1, 2 or 4")
    }
}

/// Treatment of removed patches in the encoder of FCMAE. It belongs to the architecture: the tensors are the
/// same for each kind, but they are weights of another function.
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
}

/// The decoder of FCMAE (paper section 3.1; docs/facts.md, "Decoder").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Number of blocks; 1 in the paper.
    pub depth: usize,
    /// Channels; 512 in the paper.
    pub width: usize,
    /// GRN in the decoder's blocks.
    pub grn: bool,
    /// LayerScale in the decoder's blocks.
    pub layer_scale: bool,
}

/// The architecture of one masked autoencoder: an encoder without head and a decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        let width = if encoder.last_width() <= 128 { 128 } else { 512 };
        let decoder = DecoderConfig { depth: 1, width, grn: encoder.grn, layer_scale: encoder.layer_scale };
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
        let out_of_range = |what, found, expected| Err(ConfigError::OutOfRange { what, found, expected });
        if !(1..=MAX_BLOCKS).contains(&self.decoder.depth) {
            return out_of_range("decoder depth", self.decoder.depth.to_string(), "from 1 to 1000");
        }
        if !(1..=MAX_CHANNELS).contains(&self.decoder.width) {
            return out_of_range("decoder width", self.decoder.width.to_string(), "from 1 to 65536");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    fn micro() -> ModelConfig {
        find_model("micro").unwrap().config()
    }

    #[test]
    fn drop_path_runs_from_zero_to_the_rate() {
        assert_eq!(micro().drop_path_rates(0.2), [0.0, 0.05, 0.1, 0.15000000000000002, 0.2]);
    }

    #[test]
    fn stages_floor_like_pytorch() {
        let config = ModelConfig { stem_stride: 4, ..micro() };
        assert_eq!(config.stage_sizes(75, 97).unwrap(), [[18, 24], [9, 12], [4, 6], [2, 3]]);
        let error = config.stage_sizes(31, 64).unwrap_err();
        assert!(error.to_string().contains("at least 32 pixels"), "{error}");
    }

    #[test]
    fn each_bad_value_is_named() {
        let cases: [(ModelConfig, &str); 3] = [
            (ModelConfig { stem_stride: 3, ..micro() }, "stem stride is 3"),
            (ModelConfig { depths: [1, 0, 1, 1], ..micro() }, "depths is [1, 0, 1, 1]"),
            (ModelConfig { input_channels: 0, ..micro() }, "input channels is 0"),
        ];
        for (config, expected) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let objective = FcmaeObjective { mask_ratio: 1.0, ..FcmaeObjective::default() };
        assert!(objective.validate().unwrap_err().to_string().contains("mask ratio is 1"));
    }
}
