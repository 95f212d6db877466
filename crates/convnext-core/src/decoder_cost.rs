//! The cost of FCMAE's decoders, by formula.

use crate::block_layout::BlockLayout;
use crate::decoder_config::{DecoderConfig, DecoderKind};
use crate::fcmae_config::FcmaeConfig;
use crate::large_counts::{product, sum};
use crate::unet_layout::UNetLayout;

/// Multiply-adds of a decoder for one image of so many patches, of which so many are kept. Its first layer runs where the
/// encoder's features are seen, its last one at removed patches.
pub(crate) fn decoder_macs(config: &FcmaeConfig, patches: u64, kept: u64) -> u64 {
    let DecoderConfig { kind, depth, width, .. } = config.decoder;
    let (depth, width) = (depth as u64, width as u64);
    let seen = if config.encoder_kind.fills_removed_patches() { patches } else { kept };
    let project = product([seen, config.encoder.last_width() as u64, width]);
    let predict = |width: u64| product([patches - kept, width, config.values_per_patch() as u64]);
    match kind {
        DecoderKind::ConvNext => {
            let block = BlockLayout::of_decoder(&config.decoder).macs_per_site();
            sum([project, product([depth, patches, block]), predict(width)])
        }
        DecoderKind::UNet | DecoderKind::UNetNoSkip => {
            let layout = UNetLayout::of(config);
            sum([project, unet_macs(&layout, patches, seen), predict(layout.last_width() as u64)])
        }
        // Linear layers: query, key and value, 3 D^2, what follows them, D^2, and the MLP, 8 D^2. Attention: the products of
        // queries and keys, and the weighted sums of values.
        DecoderKind::Transformer { .. } => {
            let block = sum([product([12, width, width]), product([2, patches, width])]);
            sum([project, product([depth, patches, block]), predict(width)])
        }
    }
}

/// Those of the steps and the skip connections of a UNet.
fn unet_macs(layout: &UNetLayout, patches: u64, seen: u64) -> u64 {
    let step = |(step, &[inputs, outputs]): (usize, &[usize; 2])| {
        let (before, inputs, outputs) = (patches << (2 * step), inputs as u64, outputs as u64);
        before * 16 * inputs * inputs + 4 * before * 9 * (inputs * inputs + inputs * outputs)
    };
    let skip =
        |(step, &[stage, width]): (usize, &[usize; 2])| (seen << (2 * step + 2)) * (stage * width) as u64;
    let steps: u64 = layout.steps.iter().enumerate().map(step).sum();
    let skips: u64 = layout.skips.iter().enumerate().map(skip).sum();
    steps + skips
}

/// Values that the LayerNorms of a decoder put out for each patch.
pub(crate) fn decoder_norms(decoder: &DecoderConfig) -> u64 {
    let (depth, width) = (decoder.depth as u64, decoder.width as u64);
    match decoder.kind {
        DecoderKind::ConvNext => depth * BlockLayout::of_decoder(decoder).norm_outputs_per_site(),
        DecoderKind::UNet | DecoderKind::UNetNoSkip => 0,
        DecoderKind::Transformer { .. } => (2 * depth + 1) * width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fcmae_config::EncoderKind;
    use crate::sizes::find_model;

    fn atto(kind: DecoderKind) -> FcmaeConfig {
        let mut config = FcmaeConfig::new(find_model("atto").unwrap().config());
        config.decoder = DecoderConfig::new(kind, &config.encoder);
        config
    }

    /// The paper's sizes: 49 patches, of which 19 are kept.
    #[test]
    fn multiply_adds_are_those_by_hand() {
        let ends = 19 * 320 * 512 + 30 * 512 * 3072;
        let transformer = atto(DecoderKind::transformer(512));
        let block = 49 * 12 * 512 * 512 + 2 * 49 * 49 * 512;
        assert_eq!(decoder_macs(&transformer, 49, 19), ends + 8 * block);
        assert_eq!(decoder_norms(&transformer.decoder), 17 * 512);

        // Each step has four times the sites and half the channels, so each costs the same.
        let step = 49 * 512 * 512 * (16 + 4 * 9 + 2 * 9);
        let plain = 19 * 320 * 512 + 5 * step + 30 * 16 * 3072;
        let skips = 19 * (4 * 160 * 256 + 16 * 80 * 128 + 64 * 40 * 64);
        assert_eq!(decoder_macs(&atto(DecoderKind::UNetNoSkip), 49, 19), plain);
        assert_eq!(decoder_macs(&atto(DecoderKind::UNet), 49, 19), plain + skips);
    }

    #[test]
    fn an_encoder_with_tokens_is_projected_everywhere() {
        let sparse = atto(DecoderKind::ConvNext);
        let tokens = FcmaeConfig { encoder_kind: EncoderKind::Tokens, ..sparse.clone() };
        let more = decoder_macs(&tokens, 49, 19) - decoder_macs(&sparse, 49, 19);
        assert_eq!(more, 30 * 320 * 512);
    }
}
