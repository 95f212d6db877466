//! Values that FCMAE's decoder holds in memory in a training step.

use convnext_core::{DecoderKind, FcmaeConfig, UNetLayout};

use super::activation_values::{ActivationValues, BlockMemory};

/// Tensors of its width that a transformer block saves for its gradient, in ordinary operations: norms, queries, keys and
/// values, the residual stream, and five of four widths around the GELU. This and the next constants count what the layers
/// save, rounded up.
const TRANSFORMER_TENSORS: u64 = 40;

/// Matrices of scores that attention saves.
const SCORES: u64 = 4;

/// Tensors of a step's input width, at its output's places, that a step of a UNet saves, and of its output width.
const STEP_TENSORS: [u64; 2] = [8, 6];

/// Adds the decoder's layers for a batch of images, each of so many patches; `blocks` is the memory of ConvNeXt blocks.
pub(super) fn with_decoder(
    values: ActivationValues,
    config: &FcmaeConfig,
    [images, patches]: [u64; 2],
    blocks: BlockMemory,
) -> ActivationValues {
    let (depth, width) = (config.decoder.depth as u64, config.decoder.width as u64);
    let all = images * patches;
    match config.decoder.kind {
        DecoderKind::ConvNext => values.and_blocks(depth, all, width, blocks),
        DecoderKind::Transformer { heads } => {
            let of_patch = TRANSFORMER_TENSORS * width + SCORES * heads as u64 * patches;
            let block = all.saturating_mul(of_patch);
            values.and_layers(depth.saturating_mul(block), block)
        }
        DecoderKind::UNet | DecoderKind::UNetNoSkip => {
            let layout = UNetLayout::of(config);
            let of_step = |(step, widths): (usize, &[usize; 2])| {
                let of_place: u64 =
                    widths.iter().zip(STEP_TENSORS).map(|(&width, count)| width as u64 * count).sum();
                (all << (2 * step + 2)).saturating_mul(of_place)
            };
            let steps = layout.steps.iter().enumerate().map(of_step);
            let largest = steps.clone().max().unwrap_or(0);
            values.and_layers(steps.fold(0, u64::saturating_add), largest)
        }
    }
}
