//! What a model is made of (paper section 3 and appendix A; facts A1 to A3, C3).

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Number of stages of every ConvNeXt.
pub const STAGES: usize = 4;

/// Most blocks of a stage or of a decoder, channels and classes. Far above any model; a file or a slip
/// of the fingers that goes beyond is refused before anything is allocated for it.
pub const MOST_BLOCKS: usize = 1_000;
/// See [`MOST_BLOCKS`].
pub const MOST_CHANNELS: usize = 65_536;
/// See [`MOST_BLOCKS`].
pub const MOST_CLASSES: usize = 10_000_000;

/// The two generations of the model family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// ConvNeXt V1: LayerScale (initial value 1e-6), no GRN.
    V1,
    /// ConvNeXt V2: Global Response Normalization, no LayerScale.
    V2,
}

impl Family {
    /// `true` when the blocks of this family hold a Global Response Normalization.
    pub fn has_grn(self) -> bool {
        self == Self::V2
    }

    /// The initial value of LayerScale, `None` where the family has none.
    pub fn layer_scale(self) -> Option<f64> {
        match self {
            Self::V1 => Some(1e-6),
            Self::V2 => None,
        }
    }
}

/// One ConvNeXt classifier: widths, depths and options.
///
/// GRN and LayerScale are independent switches: V1 has only LayerScale, V2 only GRN,
/// and a V2 with LayerScale is an ablation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Name of the row of [`crate::MODELS`] that this configuration started from.
    pub name: String,
    /// Blocks in each stage.
    pub depths: [usize; STAGES],
    /// Channels of each stage.
    pub widths: [usize; STAGES],
    /// Global Response Normalization after the GELU of every block (V2).
    pub grn: bool,
    /// Initial value of LayerScale at the end of every block (V1: 1e-6); `None` leaves it out.
    pub layer_scale: Option<f64>,
    /// Number of classes; 0 builds no head.
    pub classes: usize,
    /// Channels of the input image.
    pub input_channels: usize,
    /// Side and stride of the stem convolution: 4 in the paper, 2 or 1 for small images.
    pub stem_stride: usize,
    /// Drop path rate of the last block; earlier blocks follow a straight line from 0.
    pub drop_path: f64,
    /// Factor on the freshly drawn head: 1 from scratch, 0.001 when fine-tuning.
    pub head_init_scale: f64,
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

    /// Drop path rate of every block, in order: `linspace(0, drop_path, blocks)`, both ends included
    /// (facts A2).
    pub fn drop_path_rates(&self) -> Vec<f64> {
        let blocks: usize = self.depths.iter().sum();
        let last = blocks.saturating_sub(1).max(1) as f64;
        (0..blocks).map(|block| self.drop_path * block as f64 / last).collect()
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
        let blocks_fit = self.depths.iter().all(|depth| (1..=MOST_BLOCKS).contains(depth));
        check(blocks_fit, "depths", format!("{:?}", self.depths), "from 1 to 1000 in each stage")?;
        let channels_fit = |channels: &usize| (1..=MOST_CHANNELS).contains(channels);
        let widths_fit = self.widths.iter().all(channels_fit);
        check(widths_fit, "widths", format!("{:?}", self.widths), "from 1 to 65536 in each stage")?;
        let inputs = self.input_channels;
        check(channels_fit(&inputs), "input channels", inputs.to_string(), "from 1 to 65536")?;
        check(self.classes <= MOST_CLASSES, "classes", self.classes.to_string(), "at most 10000000")?;
        check(
            [1, 2, 4].contains(&self.stem_stride),
            "stem stride",
            self.stem_stride.to_string(),
            "1, 2 or 4",
        )?;
        check((0.0..1.0).contains(&self.drop_path), "drop path", self.drop_path.to_string(), "in [0, 1)")?;
        check(
            self.head_init_scale.is_finite() && self.head_init_scale >= 0.0,
            "head initialisation",
            self.head_init_scale.to_string(),
            "finite and not negative",
        )
    }
}

/// How the encoder of FCMAE treats removed patches.
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

/// The decoder of FCMAE (paper section 3.1; facts C3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Number of blocks; 1 in the paper.
    pub depth: usize,
    /// Channels; 512 in the paper.
    pub width: usize,
    /// GRN in the decoder's blocks.
    pub grn: bool,
    /// LayerScale (1e-6) in the decoder's blocks.
    pub layer_scale: bool,
}

/// One masked autoencoder: an encoder without head, a decoder, and how they are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmaeConfig {
    /// The encoder; its head is not used (`classes` is 0).
    pub encoder: ModelConfig,
    /// How the encoder treats removed patches.
    pub encoder_kind: EncoderKind,
    /// The decoder.
    pub decoder: DecoderConfig,
    /// Share of patches that are removed, in (0, 1); 0.6 in the paper.
    pub mask_ratio: f64,
    /// Predict pixels normalised within each patch (the default) or plain pixels.
    pub normalize_target: bool,
}

impl FcmaeConfig {
    /// The paper's masked autoencoder around an encoder: sparse, mask ratio 0.6, a decoder of one
    /// block of the encoder's family with 512 channels (128 for encoders of at most 128 channels).
    pub fn new(mut encoder: ModelConfig) -> Self {
        encoder.classes = 0;
        let width = if encoder.last_width() <= 128 { 128 } else { 512 };
        let decoder =
            DecoderConfig { depth: 1, width, grn: encoder.grn, layer_scale: encoder.layer_scale.is_some() };
        Self {
            encoder,
            encoder_kind: EncoderKind::default(),
            decoder,
            mask_ratio: 0.6,
            normalize_target: true,
        }
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
        if !(1..=MOST_BLOCKS).contains(&self.decoder.depth) {
            return out_of_range("decoder depth", self.decoder.depth.to_string(), "from 1 to 1000");
        }
        if !(1..=MOST_CHANNELS).contains(&self.decoder.width) {
            return out_of_range("decoder width", self.decoder.width.to_string(), "from 1 to 65536");
        }
        if !(self.mask_ratio > 0.0 && self.mask_ratio < 1.0) {
            return out_of_range("mask ratio", self.mask_ratio.to_string(), "between 0 and 1, both excluded");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_model;

    fn micro() -> ModelConfig {
        find_model("micro").unwrap().config()
    }

    #[test]
    fn drop_path_runs_from_zero_to_the_rate() {
        let config = ModelConfig { drop_path: 0.2, ..micro() };
        assert_eq!(config.drop_path_rates(), [0.0, 0.05, 0.1, 0.15000000000000002, 0.2]);
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
        let cases: [(ModelConfig, &str); 4] = [
            (ModelConfig { stem_stride: 3, ..micro() }, "stem stride is 3"),
            (ModelConfig { drop_path: 1.0, ..micro() }, "drop path is 1"),
            (ModelConfig { depths: [1, 0, 1, 1], ..micro() }, "depths is [1, 0, 1, 1]"),
            (ModelConfig { input_channels: 0, ..micro() }, "input channels is 0"),
        ];
        for (config, expected) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let mut fcmae = FcmaeConfig::new(micro());
        fcmae.mask_ratio = 1.0;
        assert!(fcmae.validate().unwrap_err().to_string().contains("mask ratio is 1"));
    }
}
