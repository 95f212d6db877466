//! The decoder of FCMAE, of any kind.

use burn::prelude::*;
use convnext_core::{DecoderConfig, DecoderKind, FcmaeConfig};
use convnext_kernels::Precision;

use crate::decoders::convnext::ConvNextDecoder;
use crate::decoders::patch_decoder::PatchDecoder;
use crate::decoders::transformer::TransformerDecoder;
use crate::decoders::unet::UNetDecoder;
use crate::ops::block_plan::Activations;
use crate::parameters::Scope;

/// The layers of a decoder of any kind.
#[derive(Module, Debug)]
pub enum Decoder {
    /// ConvNeXt blocks.
    ConvNext(ConvNextDecoder),
    /// A UNet, with or without skip connections.
    UNet(UNetDecoder),
    /// The transformer of MAE.
    Transformer(TransformerDecoder),
}

impl Decoder {
    /// The freshly initialised decoder of an autoencoder, with its parameters below `scope`.
    pub(crate) fn new(config: &FcmaeConfig, scope: &Scope) -> Self {
        let DecoderConfig { kind, depth, width, .. } = config.decoder;
        match kind {
            DecoderKind::ConvNext => Self::ConvNext(ConvNextDecoder::new(&config.decoder, scope)),
            DecoderKind::UNet | DecoderKind::UNetNoSkip => Self::UNet(UNetDecoder::new(config, scope)),
            DecoderKind::Transformer { heads } => {
                Self::Transformer(TransformerDecoder::new([depth, width, heads], scope))
            }
        }
    }

    /// Its layers.
    pub fn layers(&self) -> &dyn PatchDecoder {
        match self {
            Self::ConvNext(decoder) => decoder,
            Self::UNet(decoder) => decoder,
            Self::Transformer(decoder) => decoder,
        }
    }

    /// The same decoder with this setting of the saved activations of ConvNeXt blocks; others save what they need.
    pub(crate) fn with_activations(self, activations: Activations) -> Self {
        match self {
            Self::ConvNext(decoder) => Self::ConvNext(decoder.with_activations(activations)),
            other => other,
        }
    }

    /// The same decoder with this precision of linear layers and convolutions on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        match self {
            Self::ConvNext(decoder) => Self::ConvNext(decoder.with_precision(precision)),
            Self::UNet(decoder) => Self::UNet(decoder.with_precision(precision)),
            Self::Transformer(decoder) => Self::Transformer(decoder.with_precision(precision)),
        }
    }
}
