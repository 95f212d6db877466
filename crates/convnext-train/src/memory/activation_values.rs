//! Values that the layers of a network hold in memory in a training step.

use convnext_core::{ConfigError, EncoderKind, FcmaeConfig, ImageSize, MLP_RATIO, ModelConfig, ResponseNorm};
use convnext_nn::{Activations, Precision, has_kernels};

/// Tensors of a block's width that it saves for its gradient, unless it computes them again: what goes in,
/// what the convolution puts out, and four for what the first linear layer does.
const SAVED_TENSORS: u64 = 2 + MLP_RATIO as u64;

/// Memory of a block's training, in tensors of its width.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockMemory {
    /// Halves of tensors that it saves for its gradient.
    saved_halves: u64,
    /// Tensors that stand in memory at once while its gradient is made.
    working: u64,
}

impl BlockMemory {
    /// Of blocks whose graph is that of the whole model.
    const OF_GRAPH: Self = Self { saved_halves: 2 * GRAPH_TENSORS, working: WORKING_TENSORS };

    /// Of the encoder's blocks in an autoencoder.
    pub(super) fn of_encoder(config: &FcmaeConfig, memory: Activations, precision: Precision) -> Self {
        match config.encoder_kind {
            // In ordinary operations, whatever the blocks are made of.
            EncoderKind::MaskedDense => Self::OF_GRAPH,
            EncoderKind::Sparse | EncoderKind::Leaky | EncoderKind::Tokens => {
                Self::of(config.encoder.response_norm, memory, precision)
            }
        }
    }

    /// Of blocks with this normalisation, with kernels or in ordinary operations.
    pub(super) fn of(norm: Option<ResponseNorm>, memory: Activations, precision: Precision) -> Self {
        let (saved_halves, working) = match (norm, memory, precision) {
            (Some(ResponseNorm::Bn), ..) => return Self::OF_GRAPH,
            _ if !has_kernels(norm) => (2, REFERENCE_WORKING_TENSORS),
            (_, Activations::Save, Precision::F32) => (2 * SAVED_TENSORS, WORKING_TENSORS),
            (_, Activations::Save, Precision::Bf16) | (_, Activations::SaveBf16, _) => {
                (SAVED_TENSORS, WORKING_TENSORS)
            }
            (_, Activations::Recompute, _) => (2, WORKING_TENSORS),
        };
        Self { saved_halves, working }
    }
}

/// Tensors of a stage's width that the layer before it saves: its input, the normalised one, its output.
const DOWNSAMPLING_TENSORS: u64 = 3;

/// Tensors of a block's width that stand in memory at once while its gradient is made; fitted to measured peaks.
const WORKING_TENSORS: u64 = 10;

/// The same of a block without kernels, whose graph is made anew for its gradient; fitted to measured peaks.
const REFERENCE_WORKING_TENSORS: u64 = 55;

/// Tensors of a block's width that a block saves whose graph is that of the whole model; fitted to measured peaks of blocks
/// with a batch norm, and taken for those of a masked dense encoder as well.
const GRAPH_TENSORS: u64 = 38;

/// Values that the layers save for the backward pass, and those of the largest block at work.
pub(super) struct ActivationValues {
    saved: u64,
    largest: u64,
}

impl ActivationValues {
    /// Of an encoder that sees this share of its sites, and whose blocks need this memory.
    ///
    /// # Errors
    /// [`ConfigError`] when images do not fit the model.
    pub(super) fn of_encoder(
        config: &ModelConfig,
        size: ImageSize,
        batch: u64,
        share: f64,
        blocks: BlockMemory,
    ) -> Result<Self, ConfigError> {
        let mut all = Self { saved: 0, largest: 0 };
        let stages =
            config.stage_sizes(size.height, size.width)?.into_iter().zip(config.widths).zip(config.depths);
        for (([rows, columns], width), depth) in stages {
            let sites = (batch as f64 * (rows * columns) as f64 * share).ceil() as u64;
            all = all.and_blocks(depth as u64, sites, width as u64, blocks);
            let before = DOWNSAMPLING_TENSORS.saturating_mul(sites).saturating_mul(width as u64);
            all.saved = all.saved.saturating_add(before);
        }
        Ok(all)
    }

    /// Adds blocks of a stage.
    pub(super) fn and_blocks(self, depth: u64, sites: u64, width: u64, blocks: BlockMemory) -> Self {
        let input = sites.saturating_mul(width);
        Self {
            saved: self
                .saved
                .saturating_add(input.saturating_mul(depth.saturating_mul(blocks.saved_halves)) / 2),
            largest: self.largest.max(input.saturating_mul(blocks.working)),
        }
    }

    /// Adds layers that save so many values, and hold so many more at work.
    pub(super) fn and_layers(self, saved: u64, working: u64) -> Self {
        Self { saved: self.saved.saturating_add(saved), largest: self.largest.max(working) }
    }

    /// Values of the largest block at work: where nothing is saved, all that there are.
    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    /// The sum of both.
    pub(super) fn values(&self) -> u64 {
        self.saved.saturating_add(self.largest)
    }
}

/// A product, or the largest number if there is none so large.
pub(super) fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, &factor| product.saturating_mul(factor))
}
