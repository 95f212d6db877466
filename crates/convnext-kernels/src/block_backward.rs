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

use std::borrow::Cow;

use bytemuck::cast_slice_mut;
use pulp::Arch;

use crate::Sites;
use crate::bands::Bands;
use crate::bf16::block::Bf16BranchBackward;
use crate::bf16::columns::{bf16x2_count, unpack_columns};
use crate::bf16::packed::PackedBf16;
use crate::block::{
    BlockWeights, PackedBlock, Precision, Save, SavedActivations, active_images, copy_inactive, forward,
    layer_norm_segments,
};
use crate::block_sums::{RowBlockSums, Sums};
use crate::blocking::{
    ImageBlock, RowBlock, Segment, counted_from, image_blocks, partitions, rows_of, span_of,
};
use crate::buffer::Buffer;
use crate::depthwise;
use crate::expansion::{GeluRecompute, GrnGeluBackward, ScaleRows};
use crate::gemm::{gemm, gemm_tn_accumulate};
use crate::grn_stats::GrnStats;
use crate::isa::{Target, target};
use crate::layer_norm::LayerNormGradient;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{add_to, scaled, split_at_ranges};

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
/// forward is recomputed, with the same bits. `rows` is the block's input, unused if `saved` includes it.
///
/// # Panics
/// When sizes do not fit each other.
pub fn block_backward(
    sites: &Sites,
    rows: &[f32],
    weights: &BlockWeights<'_>,
    precision: Precision,
    drop_path_scales: Option<&[f32]>,
    saved: Option<SavedActivations>,
    dout: &[f32],
) -> BlockGradients {
    backward(target(), sites, rows, weights, precision, drop_path_scales, saved, dout)
}

#[expect(clippy::too_many_arguments, reason = "what a block depends on")]
pub(crate) fn backward(
    target: Target,
    sites: &Sites,
    rows: &[f32],
    weights: &BlockWeights<'_>,
    precision: Precision,
    drop_path_scales: Option<&[f32]>,
    saved: Option<SavedActivations>,
    dout: &[f32],
) -> BlockGradients {
    let Target { arch, bf16 } = target;
    let (channels, width) = (weights.channels(), weights.width());
    assert_eq!(dout.len(), sites.rows() * channels, "there is an output gradient for each row");
    let saved = saved.unwrap_or_else(|| {
        let packed = PackedBlock::new(weights, precision);
        let (_, saved) = forward(target, sites, rows, weights, &packed, drop_path_scales, Save::AsComputed);
        saved.unwrap_or_else(|| unreachable!("a forward that is told to save does"))
    });
    let SavedActivations { rows: saved_rows, mut depthwise, mut expanded } = saved;
    let saved_rows = saved_rows.map(|rows| {
        depthwise = unpack_columns(bf16, &depthwise, channels);
        if precision == Precision::F32 {
            expanded = unpack_columns(bf16, &expanded, width);
        }
        unpack_columns(bf16, &rows, channels)
    });
    let rows = saved_rows.as_deref().unwrap_or(rows);
    let images = active_images(sites.images(), drop_path_scales);
    let [folded_projection, _] = weights.scaled_projection();
    let image_blocks = image_blocks(sites, &images, width);
    let mut ddepthwise = Buffer::take(rows.len());
    let expansion = Matrix::new(weights.expand_weight, width, channels);
    let projection = Matrix::new(&folded_projection, channels, width);
    let (grn, partitions) = (weights.grn_or_zeros(), partitions(&image_blocks));
    let saved_width = if precision == Precision::F32 { width } else { bf16x2_count(width) };
    let saved = split_at_ranges(
        &mut expanded,
        partitions.iter().map(|partition| scaled(&rows_of(partition), saved_width)),
    );
    let outs = split_at_ranges(
        &mut ddepthwise,
        partitions.iter().map(|partition| scaled(&span_of(partition), channels)),
    );
    let work = partitions.iter().zip(saved).zip(outs);
    let depthwise = &depthwise[..];
    let parts = match precision {
        Precision::F32 => {
            let [expansion, projection] = [expansion, projection].map(Packed::new);
            let branch =
                BranchBackward { arch, weights, grn, expansion, projection, drop_path_scales, depthwise };
            parallel::map(work, |((partition, expanded), ddepthwise)| {
                branch.run_partition(partition, dout, expanded, ddepthwise)
            })
        }
        Precision::Bf16 => {
            let expansion = PackedBf16::new(bf16, expansion);
            let projection = PackedBf16::of_whole_interleaves(bf16, projection);
            let branch = Bf16BranchBackward {
                target,
                weights,
                grn,
                expansion,
                projection,
                drop_path_scales,
                depthwise,
            };
            parallel::map(work, |((partition, expanded), ddepthwise)| {
                let mut sums = Sums::new(channels, width);
                for (image_block, expanded, ddepthwise) in
                    by_image_block(partition, expanded, saved_width, ddepthwise, channels)
                {
                    branch.run(image_block, dout, cast_slice_mut(expanded), ddepthwise, &mut sums);
                }
                sums
            })
        }
    };
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_else(|| Sums::new(channels, width));
    parts.for_each(|part| sums.add(&part));
    let bands = Bands::new(sites, |image| images.binary_search(&image).is_ok());
    let mut drows = Buffer::take(rows.len());
    copy_inactive(sites, &images, dout, &mut drows);
    let taps = weights.depthwise_weight;
    let convolution = depthwise::backward(arch, &bands, rows, taps, &ddepthwise, dout, &mut drows);
    let shift_gradient = row_times(&sums.project_bias, &folded_projection);
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

/// The image blocks of a partition, each with its slices of the active rows and of the span.
fn by_image_block<'a>(
    partition: &'a [ImageBlock],
    expanded: &'a mut [f32],
    saved_width: usize,
    ddepthwise: &'a mut [f32],
    channels: usize,
) -> impl Iterator<Item = (&'a ImageBlock, &'a mut [f32], &'a mut [f32])> {
    let (first, span) = (rows_of(partition).start, span_of(partition).start);
    let saved =
        partition.iter().map(|image_block| scaled(&counted_from(first, &image_block.rows), saved_width));
    let outs = partition.iter().map(|image_block| scaled(&counted_from(span, &image_block.span), channels));
    let parts = split_at_ranges(expanded, saved).into_iter().zip(split_at_ranges(ddepthwise, outs));
    partition
        .iter()
        .zip(parts)
        .map(|(image_block, (expanded, ddepthwise))| (image_block, expanded, ddepthwise))
}

/// The intermediate results of the sweeps, as large as the largest image block.
struct Buffers {
    /// The branch's output gradient g, `[rows, C]`.
    gradient: Buffer,
    /// LayerNorm's output, `[rows, C]`.
    normal: Buffer,
    /// dy, `[rows, E]`.
    dy: Buffer,
    /// h, then y, `[rows, E]`.
    values: Buffer,
}

/// The slices of [`Buffers`] of one image block.
struct ImageBlockBuffers<'a> {
    gradient: &'a mut [f32],
    normal: &'a mut [f32],
    dy: &'a mut [f32],
    values: &'a mut [f32],
}

impl Buffers {
    fn new(rows: usize, channels: usize, width: usize) -> Self {
        let take = |columns| Buffer::take(rows * columns);
        Self { gradient: take(channels), normal: take(channels), dy: take(width), values: take(width) }
    }

    fn of(&mut self, rows: usize, channels: usize, width: usize) -> ImageBlockBuffers<'_> {
        ImageBlockBuffers {
            gradient: &mut self.gradient[..rows * channels],
            normal: &mut self.normal[..rows * channels],
            dy: &mut self.dy[..rows * width],
            values: &mut self.values[..rows * width],
        }
    }
}

/// The inputs of a backward that all image blocks share.
struct BranchBackward<'a> {
    arch: Arch,
    weights: &'a BlockWeights<'a>,
    grn: [Cow<'a, [f32]>; 2],
    /// The first linear layer.
    expansion: Packed,
    /// The second one, with LayerScale.
    projection: Packed,
    drop_path_scales: Option<&'a [f32]>,
    depthwise: &'a [f32],
}

impl BranchBackward<'_> {
    /// The image blocks of a partition, one after the other.
    fn run_partition(
        &self,
        partition: &[ImageBlock],
        dout: &[f32],
        expanded: &mut [f32],
        ddepthwise: &mut [f32],
    ) -> Sums {
        let (channels, width) = (self.weights.channels(), self.weights.width());
        let most_rows = partition.iter().map(|image_block| image_block.rows.len()).max().unwrap_or(0);
        let mut buffers = Buffers::new(most_rows, channels, width);
        let mut sums = Sums::new(channels, width);
        for (image_block, expanded, ddepthwise) in
            by_image_block(partition, expanded, width, ddepthwise, channels)
        {
            let buffers = buffers.of(image_block.rows.len(), channels, width);
            self.run(image_block, dout, expanded, buffers, ddepthwise, &mut sums);
        }
        sums
    }

    /// One image block: `expanded` is u and is overwritten, `ddepthwise` becomes the gradient of the
    /// convolution's output.
    fn run(
        &self,
        image_block: &ImageBlock,
        dout: &[f32],
        expanded: &mut [f32],
        buffers: ImageBlockBuffers<'_>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let ImageBlockBuffers { gradient, normal, dy, values } = buffers;
        let (stats, products) = self.first_sweep(
            image_block,
            dout,
            expanded,
            gradient,
            normal,
            dy,
            values,
            &mut sums.project_bias,
        );
        let through_norm = stats.backward(image_block, &products, &self.grn[0], &mut sums.grn_gamma);
        self.second_sweep(image_block, &stats, &through_norm, expanded, dy, values, ddepthwise, sums);
        let (channels, width) = (self.weights.channels(), self.weights.width());
        let rows = image_block.rows.len();
        // The third sweep.
        let [du, y] = [expanded, values].map(|values| Matrix::new(values, rows, width));
        let [normal, gradient] = [normal, gradient].map(|values| Matrix::new(values, rows, channels));
        gemm_tn_accumulate(self.arch, du, normal, &mut sums.expand_weight);
        gemm_tn_accumulate(self.arch, gradient, y, &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes
    /// GELU'(u).
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of its own meaning")]
    fn first_sweep(
        &self,
        image_block: &ImageBlock,
        dout: &[f32],
        expanded: &mut [f32],
        gradient: &mut [f32],
        normal: &mut [f32],
        dy: &mut [f32],
        values: &mut [f32],
        bias_sums: &mut [f32],
    ) -> (GrnStats, Vec<f32>) {
        let (arch, weights) = (self.arch, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let mut products = squares.clone();
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(expanded, width))
            .zip(image_block.split_by_row_block(gradient, channels))
            .zip(image_block.split_by_row_block(normal, channels))
            .zip(image_block.split_by_row_block(dy, width))
            .zip(image_block.split_by_row_block(values, width))
            .zip(image_block.split_segments_by_row_block(&mut squares, width))
            .zip(image_block.split_segments_by_row_block(&mut products, width));
        let sums: Vec<Vec<f32>> = parallel::map(
            work,
            |(((((((row_block, expanded), gradient), normal), dy), values), squares), products)| {
                let segments = image_block.segments_of(row_block);
                let count = row_block.rows.len();
                let mut sums = vec![0.0; channels];
                let mut done = 0;
                for segment in segments {
                    let factor = self.drop_path_scales.map_or(1.0, |scales| scales[segment.image]);
                    let out = &mut gradient[scaled(&(done..done + segment.rows.len()), channels)];
                    let rows = &dout[scaled(&segment.rows, channels)];
                    timed(Kernel::Residual, || {
                        arch.dispatch(ScaleRows { rows, factor, out, sums: &mut sums });
                    });
                    done += segment.rows.len();
                }
                layer_norm_segments(arch, weights, segments, self.depthwise, normal);
                let gradient = Matrix::new(gradient, count, channels);
                gemm(arch, Kernel::GemmInputGradient, gradient, &self.projection, dy, false);
                let mut done = 0;
                let pooled = squares.chunks_exact_mut(width).zip(products.chunks_exact_mut(width));
                for (segment, (squares, products)) in segments.iter().zip(pooled) {
                    let rows = scaled(&(done..done + segment.rows.len()), width);
                    let recompute = GeluRecompute {
                        expanded: &mut expanded[rows.clone()],
                        dy: &dy[rows.clone()],
                        values: &mut values[rows],
                        squares,
                        products,
                    };
                    timed(Kernel::ExpansionGradient, || arch.dispatch(recompute));
                    done += segment.rows.len();
                }
                sums
            },
        );
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (GrnStats::new(image_block, width, &squares, &self.grn[0]), products)
    }

    /// The second sweep: `expanded` becomes du, `values` becomes y.
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of its own meaning")]
    fn second_sweep(
        &self,
        image_block: &ImageBlock,
        stats: &GrnStats,
        through_norm: &[f32],
        expanded: &mut [f32],
        dy: &[f32],
        values: &mut [f32],
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (arch, weights) = (self.arch, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(expanded, width))
            .zip(image_block.split_by_row_block(values, width))
            .zip(image_block.split_by_segment(ddepthwise, channels));
        let partial: Vec<RowBlockSums> = parallel::map(work, |(((row_block, expanded), values), outs)| {
            let mut sums = RowBlockSums::new(channels, width);
            let dy = &dy[scaled(&row_block.rows, width)];
            let mut done = 0;
            for segment in image_block.segments_of(row_block) {
                let rows = scaled(&(done..done + segment.rows.len()), width);
                let place = image_block.place_of(segment);
                let backward = GrnGeluBackward {
                    expanded: &mut expanded[rows.clone()],
                    values: &mut values[rows.clone()],
                    dy: &dy[rows],
                    scale: stats.scale(place),
                    shift: &self.grn[1],
                    through_norm: &through_norm[place * width..][..width],
                    dbias: &mut sums.expand_bias,
                };
                timed(Kernel::ExpansionGradient, || arch.dispatch(backward));
                done += segment.rows.len();
            }
            self.norm_backward(image_block, row_block, expanded, outs, &mut sums);
            sums
        });
        partial.iter().for_each(|partial| sums.add_row_block(partial));
    }

    /// Backward of the first linear layer and LayerNorm, from du of a row block.
    fn norm_backward(
        &self,
        image_block: &ImageBlock,
        row_block: &RowBlock,
        du: &[f32],
        outs: Vec<&mut [f32]>,
        sums: &mut RowBlockSums,
    ) {
        let (arch, weights) = (self.arch, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let count = row_block.rows.len();
        let mut dnormal = Buffer::take(count * channels);
        let du = Matrix::new(du, count, width);
        gemm(arch, Kernel::GemmInputGradient, du, &self.expansion, &mut dnormal, false);
        layer_norm_segments_backward(
            arch,
            weights,
            self.depthwise,
            image_block.segments_of(row_block),
            &dnormal,
            outs,
            sums,
        );
    }
}

/// Backward of [`layer_norm_segments`]: from the gradient of LayerNorm's output, the rows of a row block, to
/// that of the convolution's output, by segment.
pub(crate) fn layer_norm_segments_backward(
    arch: Arch,
    weights: &BlockWeights<'_>,
    depthwise: &[f32],
    segments: &[Segment],
    dnormal: &[f32],
    outs: Vec<&mut [f32]>,
    sums: &mut RowBlockSums,
) {
    let mut rest = dnormal;
    for (segment, drows) in segments.iter().zip(outs) {
        let (dout, after) = rest.split_at(drows.len());
        rest = after;
        let norm = LayerNormGradient {
            rows: &depthwise[scaled(&segment.rows, weights.channels())],
            weight: weights.norm_weight,
            dout,
            drows,
            dweight: &mut sums.norm_weight,
            dbias: &mut sums.norm_bias,
        };
        timed(Kernel::LayerNormGradient, || arch.dispatch(norm));
    }
}
