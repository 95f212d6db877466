//! Decoders of FCMAE (paper section 3 and Table 1; docs/facts.md, "Decoder" and "Decoder ablations").

use serde::{Deserialize, Serialize};

use crate::config::{ModelConfig, check_layer_scale};
use crate::error::ConfigError;
use crate::limits::{BLOCKS_RANGE, CHANNELS_RANGE, MAX_BLOCKS, MAX_CHANNELS};
use crate::response_norm::ResponseNorm;
use crate::stored_model::{StoredDecoder, StoredDecoderKind, StoredScale, norm_of, stored_norm};

/// Blocks of a transformer decoder, as in MAE.
const TRANSFORMER_DEPTH: usize = 8;

/// Channels of an attention head, as in MAE, whose decoder has 16 heads of 512 channels.
const HEAD_WIDTH: usize = 32;

/// Kind of a decoder: the rows of the paper's Table 1 on decoders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DecoderKind {
    /// Blocks of the encoder's family on the map of patches: the paper's design.
    #[default]
    ConvNext,
    /// From the map of patches to pixels, doubling by doubling, with skip connections from the encoder's other stages.
    /// The paper says no more of its UNet; ours follows the decoder of SparK.
    UNet,
    /// The same without skip connections.
    UNetNoSkip,
    /// The transformer of MAE: blocks of attention on the map of patches.
    Transformer {
        /// Attention heads, of which each has an equal share of the channels.
        heads: usize,
    },
}

impl DecoderKind {
    /// A transformer of so many channels with heads of about MAE's channels, 16 heads at 512 channels: the largest count that
    /// divides the channels and leaves each head 32 at least, or one head.
    pub fn transformer(width: usize) -> Self {
        let most = (width / HEAD_WIDTH).max(1);
        let heads = (1..=most).rev().find(|&heads| width.is_multiple_of(heads)).unwrap_or(1);
        Self::Transformer { heads }
    }

    /// `true` for both kinds of UNet.
    pub fn is_unet(self) -> bool {
        matches!(self, Self::UNet | Self::UNetNoSkip)
    }

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvNext => "convnext",
            Self::UNet => "unet",
            Self::UNetNoSkip => "unet-no-skip",
            Self::Transformer { .. } => "transformer",
        }
    }
}

/// The decoder of FCMAE (paper section 3.1; docs/facts.md, "Decoder").
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredDecoder", into = "StoredDecoder")]
pub struct DecoderConfig {
    /// Kind of its layers; of ConvNeXt blocks in the paper.
    pub kind: DecoderKind,
    /// Number of blocks; 1 in the paper. A UNet has no choice, since it doubles to the size of the pixels: always 1.
    pub depth: usize,
    /// Channels on the map of patches; 512 in the paper. A UNet halves them with each doubling.
    pub width: usize,
    /// Normalisation of the hidden channels in ConvNeXt blocks; `None` for other kinds.
    pub response_norm: Option<ResponseNorm>,
    /// Initial value of LayerScale in ConvNeXt blocks; `None` has none, as other kinds.
    pub layer_scale: Option<f64>,
}

impl DecoderConfig {
    /// The usual decoder of a kind around an encoder: one ConvNeXt block of the encoder's family or MAE's 8 transformer
    /// blocks, with 512 channels (128 for encoders of at most 128 channels). Heads are those of the kind.
    pub fn new(kind: DecoderKind, encoder: &ModelConfig) -> Self {
        let width = usual_width(encoder);
        let plain = Self { kind, depth: 1, width, response_norm: None, layer_scale: None };
        match kind {
            DecoderKind::ConvNext => {
                let ModelConfig { response_norm, layer_scale, .. } = *encoder;
                Self { response_norm, layer_scale, ..plain }
            }
            DecoderKind::UNet | DecoderKind::UNetNoSkip => plain,
            DecoderKind::Transformer { .. } => Self { depth: TRANSFORMER_DEPTH, ..plain },
        }
    }

    /// The usual transformer around an encoder, with the usual heads for its channels.
    pub fn transformer(encoder: &ModelConfig) -> Self {
        Self::new(DecoderKind::transformer(usual_width(encoder)), encoder)
    }

    /// `true` for a decoder that sees other stages of the encoder than the last.
    pub fn has_skips(&self) -> bool {
        self.kind == DecoderKind::UNet
    }

    /// Checks every value against its range, around an encoder.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub(crate) fn validate(&self, encoder: &ModelConfig) -> Result<(), ConfigError> {
        let Self { kind, depth, width, .. } = *self;
        let out_of_range = |what, found: usize, expected| {
            Err(ConfigError::OutOfRange { what, found: found.to_string(), expected })
        };
        if !(1..=MAX_BLOCKS).contains(&depth) {
            return out_of_range("decoder depth", depth, BLOCKS_RANGE);
        }
        if !(1..=MAX_CHANNELS).contains(&width) {
            return out_of_range("decoder width", width, CHANNELS_RANGE);
        }
        match kind {
            DecoderKind::ConvNext => check_layer_scale(self.layer_scale),
            _ if self.response_norm.is_some() || self.layer_scale.is_some() => Err(ConfigError::OutOfRange {
                what: "normalisation or LayerScale of the decoder's blocks",
                found: format!("given for {}", kind.name()),
                expected: "left out: only ConvNeXt blocks have them",
            }),
            DecoderKind::UNet | DecoderKind::UNetNoSkip => self.validate_unet(encoder.patch_size()),
            DecoderKind::Transformer { heads } => self.validate_transformer(heads),
        }
    }

    fn validate_unet(&self, patch: usize) -> Result<(), ConfigError> {
        let (what, found, expected) = if self.depth != 1 {
            ("decoder depth", self.depth, "1 for a UNet, which doubles to the size of the pixels")
        } else if !self.width.is_multiple_of(patch) {
            (
                "decoder width",
                self.width,
                "a multiple of the patch (8 x stem stride) for a UNet, which halves it",
            )
        } else {
            return Ok(());
        };
        Err(ConfigError::OutOfRange { what, found: found.to_string(), expected })
    }

    fn validate_transformer(&self, heads: usize) -> Result<(), ConfigError> {
        let (what, found, expected) = if !self.width.is_multiple_of(4) {
            ("decoder width", self.width, "a multiple of 4 for a transformer, which embeds y and x")
        } else if heads == 0 || !self.width.is_multiple_of(heads) {
            ("decoder heads", heads, "a divisor of the decoder's width")
        } else {
            return Ok(());
        };
        Err(ConfigError::OutOfRange { what, found: found.to_string(), expected })
    }

    /// Such as `a decoder of 1 block(s) of 512 channels`.
    pub(crate) fn describe(&self) -> String {
        let Self { kind, depth, width, .. } = self;
        match kind {
            DecoderKind::ConvNext => format!("a decoder of {depth} block(s) of {width} channels"),
            DecoderKind::UNet => format!("a UNet decoder of {width} channels"),
            DecoderKind::UNetNoSkip => format!("a UNet decoder of {width} channels without skip connections"),
            DecoderKind::Transformer { heads } => {
                format!("a transformer decoder of {depth} block(s) of {width} channels and {heads} head(s)")
            }
        }
    }
}

/// Channels of the usual decoder around an encoder.
fn usual_width(encoder: &ModelConfig) -> usize {
    if encoder.last_width() <= 128 { 128 } else { 512 }
}

impl TryFrom<StoredDecoder> for DecoderConfig {
    type Error = ConfigError;

    fn try_from(stored: StoredDecoder) -> Result<Self, ConfigError> {
        let kind = match (stored.kind, stored.heads) {
            (StoredDecoderKind::ConvNext, None) => DecoderKind::ConvNext,
            (StoredDecoderKind::UNet, None) => DecoderKind::UNet,
            (StoredDecoderKind::UNetNoSkip, None) => DecoderKind::UNetNoSkip,
            (StoredDecoderKind::Transformer, Some(heads)) => DecoderKind::Transformer { heads },
            (_, heads) => {
                return Err(ConfigError::OutOfRange {
                    what: "decoder heads",
                    found: heads.map_or_else(|| "left out".to_owned(), |heads| heads.to_string()),
                    expected: "given for a transformer, and left out for any other decoder",
                });
            }
        };
        Ok(Self {
            kind,
            depth: stored.depth,
            width: stored.width,
            response_norm: norm_of(stored.grn, stored.response_norm)?,
            layer_scale: StoredScale::Switch(stored.layer_scale).initial(stored.layer_scale_init)?,
        })
    }
}

impl From<DecoderConfig> for StoredDecoder {
    fn from(config: DecoderConfig) -> Self {
        let DecoderConfig { kind, depth, width, response_norm, layer_scale } = config;
        let (grn, response_norm) = stored_norm(response_norm);
        let (_, layer_scale_init) = StoredScale::of(layer_scale);
        let (kind, heads) = match kind {
            DecoderKind::ConvNext => (StoredDecoderKind::ConvNext, None),
            DecoderKind::UNet => (StoredDecoderKind::UNet, None),
            DecoderKind::UNetNoSkip => (StoredDecoderKind::UNetNoSkip, None),
            DecoderKind::Transformer { heads } => (StoredDecoderKind::Transformer, Some(heads)),
        };
        let layer_scale = layer_scale.is_some();
        Self { kind, heads, depth, width, grn, response_norm, layer_scale, layer_scale_init }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fcmae_config::FcmaeConfig;
    use crate::sizes::find_model;

    const KINDS: [DecoderKind; 4] = [
        DecoderKind::ConvNext,
        DecoderKind::UNet,
        DecoderKind::UNetNoSkip,
        DecoderKind::Transformer { heads: 4 },
    ];

    #[test]
    fn each_kind_is_stored_by_name_and_the_papers_as_ever() {
        let encoder = find_model("micro").unwrap().config();
        for kind in KINDS {
            let decoder = DecoderConfig::new(kind, &encoder);
            let text = serde_json::to_string(&decoder).unwrap();
            assert_eq!(serde_json::from_str::<DecoderConfig>(&text).unwrap(), decoder, "{text}");
            assert_eq!(text.contains(r#""kind""#), kind != DecoderKind::ConvNext, "{text}");
            assert_eq!(text.contains(kind.name()), kind != DecoderKind::ConvNext, "{text}");
        }
        let plain = serde_json::to_string(&DecoderConfig::new(KINDS[0], &encoder)).unwrap();
        assert_eq!(plain, r#"{"depth":1,"width":128,"grn":true,"layer_scale":false}"#);
        for (key, value) in [("heads", "4"), ("kind", r#""transformer""#), ("kind", r#""vit""#)] {
            let other = plain.replace(r#"{"depth""#, &format!(r#"{{"{key}":{value},"depth""#));
            assert!(serde_json::from_str::<DecoderConfig>(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_usual_decoders_are_those_of_the_paper_and_of_mae() {
        let encoder = find_model("atto").unwrap().config();
        let transformer = DecoderConfig::transformer(&encoder);
        assert_eq!(transformer.kind, DecoderKind::Transformer { heads: 16 });
        assert_eq!((transformer.depth, transformer.width), (8, 512));
        assert_eq!(DecoderConfig::new(DecoderKind::ConvNext, &encoder), FcmaeConfig::new(encoder).decoder);
    }

    #[test]
    fn the_usual_heads_fit_every_width_of_a_transformer() {
        let encoder = find_model("micro").unwrap().config();
        assert_eq!(DecoderConfig::transformer(&encoder).kind, DecoderKind::Transformer { heads: 4 });
        // Of 100, 176 and 200 channels a 32nd is no divisor.
        for (width, expected) in [(4, 1), (36, 1), (96, 3), (100, 2), (176, 4), (200, 5), (512, 16)] {
            let kind = DecoderKind::transformer(width);
            assert_eq!(kind, DecoderKind::Transformer { heads: expected }, "{width}");
            let mut config = FcmaeConfig::new(encoder.clone());
            config.decoder = DecoderConfig { width, ..DecoderConfig::new(kind, &encoder) };
            assert_eq!(config.validate(), Ok(()), "{width}");
        }
    }

    #[test]
    fn each_bad_value_is_named() {
        let refused = |kind, change: fn(&mut DecoderConfig), words: &str| {
            let mut config = FcmaeConfig::new(find_model("micro").unwrap().config());
            config.decoder = DecoderConfig::new(kind, &config.encoder);
            assert_eq!(config.validate(), Ok(()), "{kind:?}");
            change(&mut config.decoder);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(words), "{kind:?}: {error}");
        };
        let [convnext, unet, _, transformer] = KINDS;
        refused(convnext, |decoder| decoder.depth = 0, "decoder depth is 0");
        refused(convnext, |decoder| decoder.width = 0, "decoder width is 0");
        refused(unet, |decoder| decoder.depth = 2, "1 for a UNet");
        refused(unet, |decoder| decoder.width = 48, "a multiple of the patch");
        refused(unet, |decoder| decoder.response_norm = Some(ResponseNorm::Grn), "given for unet");
        refused(transformer, |decoder| decoder.width = 30, "a multiple of 4");
        refused(transformer, |decoder| decoder.kind = DecoderKind::Transformer { heads: 3 }, "heads is 3");
        refused(transformer, |decoder| decoder.kind = DecoderKind::Transformer { heads: 0 }, "heads is 0");
        refused(transformer, |decoder| decoder.layer_scale = Some(1.0), "given for transformer");
    }
}
