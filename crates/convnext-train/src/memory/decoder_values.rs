//! Values that FCMAE's decoder holds in memory in a training step.

use convnext_core::{DecoderKind, FcmaeConfig, UNetLayout};

use super::activation_values::{ActivationValues, BlockMemory, product};

/// Tensors of its width that a transformer block saves for its gradient, in ordinary operations: norms, queries, keys and
/// values, the residual stream, and those of four widths around the GELU. This and the next constant are fitted to measured
/// peaks of few and of many patches; as much as one block saves stands in memory besides while its gradient is made.
const TRANSFORMER_TENSORS: u64 = 27;

/// Matrices of scores that attention saves.
const SCORES: u64 = 4;

/// Halves of tensors of a step's input width, at its output's places, that a step of a UNet saves: the inputs of both
/// convolutions and of the first norm, a mask of what was cut off, the input of the second norm, and what goes out.
const STEP_HALVES: u64 = 9;

/// Such halves that stand in memory at once while the gradient of the largest step is made; fitted to measured peaks.
const STEP_WORKING_HALVES: u64 = 16;

/// Adds the decoder's layers for a batch of images, each of so many patches; `blocks` is the memory of ConvNeXt blocks.
pub(super) fn with_decoder(
    values: ActivationValues,
    config: &FcmaeConfig,
    [images, patches]: [u64; 2],
    blocks: BlockMemory,
) -> ActivationValues {
    let (depth, width) = (config.decoder.depth as u64, config.decoder.width as u64);
    let all = images.saturating_mul(patches);
    match config.decoder.kind {
        DecoderKind::ConvNext => values.and_blocks(depth, all, width, blocks),
        DecoderKind::Transformer { heads } => {
            let scores = product(&[SCORES, heads as u64, patches]);
            let block = all.saturating_mul(scores.saturating_add(TRANSFORMER_TENSORS * width));
            values.and_layers(depth.saturating_mul(block), block)
        }
        DecoderKind::UNet | DecoderKind::UNetNoSkip => {
            let layout = UNetLayout::of(config);
            // Values of a map of the input's width at the output's places, of which there are four times as many each time.
            let of_step = |(step, &[inputs, _]): (usize, &[usize; 2])| {
                product(&[all, 4_u64 << (2 * step), inputs as u64])
            };
            let steps = layout.steps.iter().enumerate().map(of_step);
            let largest = steps.clone().max().unwrap_or(0);
            let all_steps = steps.fold(0, u64::saturating_add);
            let halves = |values: u64, count: u64| values.saturating_mul(count) / 2;
            values.and_layers(halves(all_steps, STEP_HALVES), halves(largest, STEP_WORKING_HALVES))
        }
    }
}
