//! Arguments about the decoder of an autoencoder.

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::core::{DecoderConfig, DecoderKind, ModelConfig};

use super::values;

/// Arguments about the decoder of an autoencoder.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct DecoderArguments {
    /// Layers of the decoder [default: convnext; from weights, theirs]
    #[arg(long, value_name = "KIND")]
    decoder: Option<DecoderName>,
    /// Blocks of the decoder; not for a UNet [default: 1, or 8 for a transformer; from weights, theirs]
    #[arg(long, value_name = "N", value_parser = values::decoder_depth)]
    decoder_depth: Option<usize>,
    /// Channels of the decoder on the map of patches [default: 512, or 128 for the micro models; from weights, theirs]
    #[arg(long, value_name = "N", value_parser = values::decoder_width)]
    decoder_width: Option<usize>,
    /// Attention heads of a transformer decoder [default: one for 32 channels; from weights of the same width, theirs]
    #[arg(long, value_name = "N", value_parser = values::count)]
    decoder_heads: Option<usize>,
}

/// A kind of decoder by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecoderName {
    /// ConvNeXt blocks: the paper's
    #[value(name = "convnext")]
    ConvNext,
    /// A UNet with skip connections: the paper's ablation
    #[value(name = "unet")]
    UNet,
    /// A UNet without skip connections: the paper's ablation
    #[value(name = "unet-no-skip")]
    UNetNoSkip,
    /// The transformer of MAE: the paper's ablation
    Transformer,
}

impl DecoderName {
    fn of(kind: DecoderKind) -> Self {
        match kind {
            DecoderKind::ConvNext => Self::ConvNext,
            DecoderKind::UNet => Self::UNet,
            DecoderKind::UNetNoSkip => Self::UNetNoSkip,
            DecoderKind::Transformer { .. } => Self::Transformer,
        }
    }

    /// The usual decoder of this kind around an encoder.
    fn usual(self, encoder: &ModelConfig) -> DecoderConfig {
        match self {
            Self::ConvNext => DecoderConfig::new(DecoderKind::ConvNext, encoder),
            Self::UNet => DecoderConfig::new(DecoderKind::UNet, encoder),
            Self::UNetNoSkip => DecoderConfig::new(DecoderKind::UNetNoSkip, encoder),
            Self::Transformer => DecoderConfig::transformer(encoder),
        }
    }
}

impl DecoderArguments {
    /// `true` if anything about the decoder was asked for.
    pub(crate) fn is_given(self) -> bool {
        let Self { decoder, decoder_depth, decoder_width, decoder_heads } = self;
        decoder.is_some() || decoder_depth.is_some() || decoder_width.is_some() || decoder_heads.is_some()
    }

    /// The decoder of weights, or the usual one, with what was asked for: another kind is the usual one of its kind.
    ///
    /// # Errors
    /// When heads are asked for of a decoder that has none.
    pub(crate) fn apply(self, found: DecoderConfig, encoder: &ModelConfig) -> anyhow::Result<DecoderConfig> {
        let name = self.decoder.unwrap_or_else(|| DecoderName::of(found.kind));
        let is_new = name != DecoderName::of(found.kind);
        let usual = if is_new { name.usual(encoder) } else { found };
        let width = self.decoder_width.unwrap_or(usual.width);
        let kind = match (usual.kind, self.decoder_heads) {
            (DecoderKind::Transformer { .. }, Some(heads)) => DecoderKind::Transformer { heads },
            (kind, Some(_)) => {
                bail!(
                    "--decoder-heads is for --decoder transformer; a decoder of kind {} has none",
                    kind.name()
                )
            }
            (DecoderKind::Transformer { .. }, None) if width != usual.width => {
                DecoderKind::transformer(width)
            }
            (kind, None) => kind,
        };
        Ok(DecoderConfig { kind, depth: self.decoder_depth.unwrap_or(usual.depth), width, ..usual })
    }
}

#[cfg(test)]
mod tests {
    use convnext::core::find_model;

    use super::*;

    #[test]
    fn another_kind_has_its_own_defaults_and_the_same_keeps_those_of_weights() {
        let encoder = find_model("atto").unwrap().config();
        let plain = DecoderConfig::new(DecoderKind::ConvNext, &encoder);
        let of = |decoder, width, heads, found| {
            let arguments =
                DecoderArguments { decoder, decoder_depth: None, decoder_width: width, decoder_heads: heads };
            arguments.apply(found, &encoder).unwrap()
        };
        assert_eq!(DecoderArguments::default().apply(plain, &encoder).unwrap(), plain);
        let transformer = of(Some(DecoderName::Transformer), None, None, plain);
        assert_eq!((transformer.kind, transformer.depth), (DecoderKind::Transformer { heads: 16 }, 8));
        let kept = DecoderConfig { kind: DecoderKind::Transformer { heads: 4 }, depth: 3, ..transformer };
        assert_eq!(of(Some(DecoderName::Transformer), None, None, kept), kept);
        assert_eq!(of(None, Some(256), None, kept).kind, DecoderKind::Transformer { heads: 8 });
        assert_eq!(of(None, None, Some(2), kept).kind, DecoderKind::Transformer { heads: 2 });
        let narrow = of(Some(DecoderName::Transformer), Some(200), None, plain);
        assert_eq!((narrow.kind, narrow.width), (DecoderKind::Transformer { heads: 5 }, 200));
        assert_eq!(of(Some(DecoderName::ConvNext), None, None, kept), plain);
        let heads = DecoderArguments { decoder_heads: Some(4), ..DecoderArguments::default() };
        let error = heads.apply(plain, &encoder).unwrap_err().to_string();
        assert!(heads.is_given() && error.contains("kind convnext"), "{error}");
    }
}
