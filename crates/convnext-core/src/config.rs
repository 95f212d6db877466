//! Architecture of a backbone (paper section 3 and appendix A; docs/facts.md, "Macro structure", "Block", "GRN").

use serde::{Deserialize, Serialize};

use crate::block_parameter_rules::LAYER_SCALE_INIT;
use crate::error::ConfigError;
use crate::limits::{
    CHANNELS_RANGE, CLASSES_RANGE, MAX_BLOCKS, MAX_CHANNELS, MAX_CLASSES, STAGE_BLOCKS_RANGE,
    STAGE_CHANNELS_RANGE, STAGES,
};
use crate::response_norm::ResponseNorm;
use crate::stored_model::{StoredModel, StoredScale, norm_of, stored_norm};
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
    /// Normalisation of the hidden channels in the blocks of this family.
    pub fn response_norm(self) -> Option<ResponseNorm> {
        (self == Self::V2).then_some(ResponseNorm::Grn)
    }

    /// Initial value of LayerScale, if the blocks of this family end with it.
    pub fn layer_scale(self) -> Option<f64> {
        (self == Self::V1).then_some(LAYER_SCALE_INIT)
    }
}

/// The architecture of one ConvNeXt classifier: what its tensors need. How it is trained (drop path, the scale of a fresh
/// head) is for recipes to say.
///
/// GRN and LayerScale are independent: V1 has only LayerScale, V2 only GRN, and a V2 with LayerScale, or with another
/// normalisation in the place of GRN, is an ablation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredModel", into = "StoredModel")]
pub struct ModelConfig {
    /// Name of the row of [`crate::MODELS`] that this configuration started from.
    pub name: String,
    /// Blocks in each stage.
    pub depths: [usize; STAGES],
    /// Channels of each stage.
    pub widths: [usize; STAGES],
    /// Normalisation of the hidden channels after the GELU of every block: GRN in V2, none in V1.
    pub response_norm: Option<ResponseNorm>,
    /// Initial value of LayerScale at the end of every block (V1: [`LAYER_SCALE_INIT`]); `None` has none.
    pub layer_scale: Option<f64>,
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

impl TryFrom<StoredModel> for ModelConfig {
    type Error = ConfigError;

    fn try_from(stored: StoredModel) -> Result<Self, ConfigError> {
        Ok(Self {
            name: stored.name,
            depths: stored.depths,
            widths: stored.widths,
            response_norm: norm_of(stored.grn, stored.response_norm)?,
            layer_scale: stored.layer_scale.initial(stored.layer_scale_init)?,
            classes: stored.classes,
            input_channels: stored.input_channels,
            stem_stride: stored.stem_stride,
        })
    }
}

impl From<ModelConfig> for StoredModel {
    fn from(config: ModelConfig) -> Self {
        let (grn, response_norm) = stored_norm(config.response_norm);
        let (layer_scale, layer_scale_init) = StoredScale::of(config.layer_scale);
        Self {
            name: config.name,
            depths: config.depths,
            widths: config.widths,
            grn,
            response_norm,
            layer_scale,
            layer_scale_init,
            classes: config.classes,
            input_channels: config.input_channels,
            stem_stride: config.stem_stride,
            _drop_path: None,
            _head_init_scale: None,
        }
    }
}

impl ModelConfig {
    /// Side of an FCMAE patch in pixels: the reach of one site of the last stage.
    pub fn patch_size(&self) -> usize {
        self.stem_stride << (STAGES - 1)
    }

    /// `true` if the hidden channels are normalised by GRN itself, and not by a variant or another layer.
    pub fn has_grn(&self) -> bool {
        self.response_norm == Some(ResponseNorm::Grn)
    }

    /// The normalisation in the place of GRN; `None` for GRN itself, and for blocks without any.
    pub fn alternative(&self) -> Option<ResponseNorm> {
        self.response_norm.filter(|&norm| norm != ResponseNorm::Grn)
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
        check(blocks_fit, "depths", format!("{:?}", self.depths), STAGE_BLOCKS_RANGE)?;
        let channels_fit = |channels: &usize| (1..=MAX_CHANNELS).contains(channels);
        let widths_fit = self.widths.iter().all(channels_fit);
        check(widths_fit, "widths", format!("{:?}", self.widths), STAGE_CHANNELS_RANGE)?;
        let inputs = self.input_channels;
        check(channels_fit(&inputs), "input channels", inputs.to_string(), CHANNELS_RANGE)?;
        check(self.classes <= MAX_CLASSES, "classes", self.classes.to_string(), CLASSES_RANGE)?;
        check(
            [1, 2, 4].contains(&self.stem_stride),
            "stem stride",
            self.stem_stride.to_string(),
            "1, 2 or 4",
        )?;
        check_layer_scale(self.layer_scale)
    }
}

/// Checks the initial value of LayerScale, if there is one.
///
/// # Errors
/// [`ConfigError::OutOfRange`] when it is not a positive number.
pub(crate) fn check_layer_scale(initial: Option<f64>) -> Result<(), ConfigError> {
    match initial {
        Some(value) if !(value.is_finite() && value > 0.0) => Err(ConfigError::OutOfRange {
            what: "layer scale",
            found: value.to_string(),
            expected: "a positive number",
        }),
        _ => Ok(()),
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
        let cases: [(ModelConfig, &str); 5] = [
            (ModelConfig { stem_stride: 3, ..micro() }, "stem stride is 3"),
            (ModelConfig { depths: [1, 0, 1, 1], ..micro() }, "depths is [1, 0, 1, 1]"),
            (ModelConfig { input_channels: 0, ..micro() }, "input channels is 0"),
            (ModelConfig { layer_scale: Some(0.0), ..micro() }, "layer scale is 0"),
            (ModelConfig { layer_scale: Some(f64::NAN), ..micro() }, "layer scale is NaN"),
        ];
        for (config, expected) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
