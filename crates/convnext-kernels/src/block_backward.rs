//! The ConvNeXt block, backward.
//!
//! In a few partitions, each with gradient sums of its own, and by image block in three sweeps. With g the
//! output gradient times drop path's factor and W2 the second linear layer with LayerScale folded in: the
//! first sweep over the row blocks computes dy = g W2, recomputes h from the saved u, and sums for GRN; the
//! second one computes du and from it the gradient of the convolution's output; the third one accumulates the
//! weight gradients of both linear layers, cut into row blocks with one writer each in a partition. The
//! convolution's backward runs last, over the whole batch.
//!
//! Notation: N images, R rows of one image, C channels, E = 4C.

use crate::bands::Bands;
use crate::bf16::columns::unpack_columns;
use crate::block::block_forward;
use crate::block::branch_backward::BranchBackward;
use crate::block::input::{BlockInput, BranchInput};
use crate::block::packed::PackedBlock;
use crate::block::saved::{Save, SavedActivations};
use crate::block::weights::BlockWeights;
use crate::block_sums::Sums;
use crate::blocking::{image_blocks, partitions, rows_of, span_of};
use crate::buffer::Buffer;
use crate::depthwise::Depthwise;
use crate::element::Element;
use crate::parallel;
use crate::precision::Precision;
use crate::split::{scaled, split_at_ranges};
use crate::storage::Lane;

/// The gradients of a block, in the layouts of [`BlockWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct BlockGradients {
    /// Of the block's input, `[N R, C]`.
    pub rows: Buffer,
    /// `[C, 49]`.
    pub depthwise_weight: Vec<f32>,
    /// `[C]`.
    pub depthwise_bias: Vec<f32>,
    /// `[C]`.
    pub norm_weight: Vec<f32>,
    /// `[C]`.
    pub norm_bias: Vec<f32>,
    /// `[E, C]`.
    pub expand_weight: Vec<f32>,
    /// `[E]`.
    pub expand_bias: Vec<f32>,
    /// `[C, E]`.
    pub project_weight: Vec<f32>,
    /// `[C]`.
    pub project_bias: Vec<f32>,
    /// GRN's gamma and beta, each `[E]`.
    pub grn: Option<[Vec<f32>; 2]>,
    /// `[C]`.
    pub layer_scale: Option<Vec<f32>>,
}

/// The gradients of [`crate::block_forward`] for an output gradient `dout`, `[N R, C]`.
///
/// `saved` are the activations that the forward saved, and are overwritten; without them, that much of the
/// forward is recomputed, with the same bits.
///
/// # Panics
/// When sizes do not fit each other, or activations were saved in f32 for a backward in bf16.
pub fn block_backward(
    input: &BlockInput<'_>,
    precision: Precision,
    saved: Option<SavedActivations>,
    dout: &[f32],
) -> BlockGradients {
    let BlockInput { sites, weights, .. } = *input;
    assert_eq!(dout.len(), sites.rows() * weights.channels(), "there is an output gradient for each row");
    let saved = saved.unwrap_or_else(|| recompute(input, precision));
    let SavedActivations { rows, depthwise, mut expanded } = unpack(input, precision, saved);
    let rows = rows.as_deref().unwrap_or(input.rows);
    let [projection, _] = weights.scaled_projection();
    let branch = BranchInput { block: input, projection: &projection, depthwise: &depthwise, dout };
    let mut ddepthwise = Buffer::take(rows.len());
    let images = input.active_images();
    let buffers = [&mut expanded[..], &mut ddepthwise[..]];
    let sums = match precision {
        Precision::F32 => branch_backward(branch, input.target.arch, &images, buffers),
        Precision::Bf16 => branch_backward(branch, input.target.bf16, &images, buffers),
    };
    let bands = Bands::new(sites, |image| images.binary_search(&image).is_ok());
    let mut drows = Buffer::take(rows.len());
    input.copy_inactive(&images, dout, &mut drows);
    let (arch, weight) = (input.target.arch, weights.depthwise_weight);
    let convolution = Depthwise { arch, bands: &bands, rows, weight }.backward(&ddepthwise, dout, &mut drows);
    let shift_gradient = row_times(&sums.project_bias, &projection);
    let (project_weight, project_bias, layer_scale) =
        unfold_layer_scale(weights, sums.project_weight, sums.project_bias);
    BlockGradients {
        rows: drows,
        depthwise_weight: convolution.weight,
        depthwise_bias: convolution.bias,
        norm_weight: sums.norm_weight,
        norm_bias: sums.norm_bias,
        expand_weight: sums.expand_weight,
        expand_bias: sums.expand_bias,
        project_weight,
        project_bias,
        grn: weights.grn.is_some().then_some([sums.grn_gamma, shift_gradient]),
        layer_scale,
    }
}

/// The activations that a forward would have saved.
fn recompute(input: &BlockInput<'_>, precision: Precision) -> SavedActivations {
    let packed = PackedBlock::new(input.weights, precision);
    let (_, saved) = block_forward(input, &packed, Save::AsComputed);
    saved.unwrap_or_else(|| unreachable!("a forward that is told to save does"))
}

/// Unpacks activations that were saved in bf16, but for u where the branch's backward is in bf16 too.
fn unpack(input: &BlockInput<'_>, precision: Precision, saved: SavedActivations) -> SavedActivations {
    let (bf16, weights) = (input.target.bf16, input.weights);
    let SavedActivations { rows: Some(rows), depthwise, expanded } = saved else { return saved };
    SavedActivations {
        rows: Some(unpack_columns(bf16, &rows, weights.channels())),
        depthwise: unpack_columns(bf16, &depthwise, weights.channels()),
        expanded: match precision {
            Precision::F32 => unpack_columns(bf16, &expanded, weights.width()),
            Precision::Bf16 => expanded,
        },
    }
}

/// The backward of the branch of the active `images`, by partition: `expanded` is u and is overwritten,
/// `ddepthwise` becomes the gradient of the convolution's output.
fn branch_backward<E: Element>(
    input: BranchInput<'_>,
    element: E,
    images: &[usize],
    [expanded, ddepthwise]: [&mut [f32]; 2],
) -> Sums {
    let BlockInput { sites, weights, .. } = *input.block;
    let (channels, width) = (weights.channels(), weights.width());
    let values = images.len() * sites.rows_per_image() * E::Lane::count(width);
    assert_eq!(expanded.len(), values, "the activations were saved in this precision");
    let image_blocks = image_blocks(sites, images, width);
    let partitions = partitions(&image_blocks);
    let saved = partitions.iter().map(|partition| scaled(&rows_of(partition), E::Lane::count(width)));
    let outs = partitions.iter().map(|partition| scaled(&span_of(partition), channels));
    let parts = split_at_ranges(expanded, saved).into_iter().zip(split_at_ranges(ddepthwise, outs));
    let branch = BranchBackward::new(input, element);
    let sums = parallel::map(partitions.iter().zip(parts), |(partition, (expanded, ddepthwise))| {
        branch.run_partition(partition, expanded, ddepthwise)
    });
    let mut parts = sums.into_iter();
    let mut sums = parts.next().unwrap_or_else(|| Sums::new(channels, width));
    parts.for_each(|part| sums.add(&part));
    sums
}

/// From the gradients of the folded second layer W2' = diag(scale) W2, b2' = scale b2 to those of W2, b2
/// and the scale.
fn unfold_layer_scale(
    weights: &BlockWeights<'_>,
    mut weight: Vec<f32>,
    mut bias: Vec<f32>,
) -> (Vec<f32>, Vec<f32>, Option<Vec<f32>>) {
    let Some(scale) = weights.layer_scale else { return (weight, bias, None) };
    let width = weights.width();
    let mut gradient = Vec::with_capacity(scale.len());
    let rows = weight.chunks_exact_mut(width).zip(weights.project_weight.chunks_exact(width));
    for ((row, of_row), (value, (bias, of_bias))) in
        rows.zip(scale.iter().zip(bias.iter_mut().zip(weights.project_bias)))
    {
        let product: f32 = row.iter().zip(of_row).map(|(gradient, weight)| gradient * weight).sum();
        gradient.push(product + *bias * of_bias);
        row.iter_mut().for_each(|gradient| *gradient *= value);
        *bias *= value;
    }
    (weight, bias, Some(gradient))
}

/// `row matrix`: `[R]` and `[R, columns]` to `[columns]`. GRN's beta is added to every row alike, so its
/// gradient is that of the second linear layer's bias, times the layer's weight.
fn row_times(row: &[f32], matrix: &[f32]) -> Vec<f32> {
    const TASK_COLUMNS: usize = 256;
    let columns = matrix.len() / row.len();
    let mut out = vec![0.0; columns];
    parallel::for_each(out.chunks_mut(TASK_COLUMNS).enumerate(), |(task, out)| {
        for (factor, matrix_row) in row.iter().zip(matrix.chunks_exact(columns)) {
            for (out, value) in out.iter_mut().zip(&matrix_row[task * TASK_COLUMNS..]) {
                *out += factor * value;
            }
        }
    });
    out
}
