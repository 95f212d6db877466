//! The block's branch in bf16, forward and backward, between the convolution and the residual addition. The
//! counterpart of the image blocks in [`crate::block`] and [`crate::block_backward`], with the same sweeps;
//! intermediate activations are bf16x2, half the memory, and elementwise operations are fused into epilogues
//! of the GEMMs where they can be.
//!
//! Notation: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use crate::bf16::columns::{PackColumns, bf16x2_count};
use crate::bf16::expansion::{BiasGelu, GeluRecompute, GrnApply, GrnGeluBackward, Residual, SegmentEnds};
use crate::bf16::gemm::{Left, Right, Store, gemm, gemm_tn_accumulate};
use crate::bf16::packed::PackedBf16;
use crate::bf16::rows::{PackRows, padded, row_pairs};
use crate::block::{BlockWeights, layer_norm_segments};
use crate::block_backward::layer_norm_segments_backward;
use crate::block_sums::{RowBlockSums, Sums};
use crate::blocking::{ImageBlock, RowBlock};
use crate::buffer::Buffer;
use crate::expansion::ScaleRows;
use crate::grn_stats::GrnStats;
use crate::isa::Target;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{add_to, scaled};

/// The inputs of a forward that all image blocks share.
pub(crate) struct Bf16Branch<'a> {
    pub(crate) target: Target,
    pub(crate) weights: &'a BlockWeights<'a>,
    /// The first linear layer, and the second one with LayerScale.
    pub(crate) layers: &'a [PackedBf16; 2],
    pub(crate) projection_bias: &'a [f32],
    pub(crate) grn: [Cow<'a, [f32]>; 2],
    pub(crate) drop_path_scales: Option<&'a [f32]>,
}

impl Bf16Branch<'_> {
    /// One image block, from the convolution's output to the block's. Unless `expanded` is empty, the first
    /// linear layer's output is saved there, column-packed `[R, E]`.
    pub(crate) fn run(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        rows: &[f32],
        expanded: &mut [u32],
        out: &mut [f32],
    ) {
        let mut values = Buffer::take(image_block.rows.len() * bf16x2_count(self.weights.width()));
        let stats = self.expand(image_block, depthwise, values.bf16x2_mut(), expanded);
        self.project(image_block, &stats, rows, values.bf16x2_mut(), out);
    }

    /// LayerNorm, the first linear layer, GELU and GRN's sums; `values` becomes h.
    fn expand(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        values: &mut [u32],
        expanded: &mut [u32],
    ) -> GrnStats {
        let (Target { arch, bf16 }, weights) = (self.target, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let saved = image_block
            .split_by_row_block(expanded, if expanded.is_empty() { 0 } else { bf16x2_count(width) });
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let sums = image_block.split_segments_by_row_block(&mut squares, width);
        let work = image_block
            .row_blocks
            .iter()
            .zip(image_block.split_by_row_block(values, bf16x2_count(width)))
            .zip(saved)
            .zip(sums);
        parallel::for_each(work, |(((row_block, values), expanded), squares)| {
            let segments = image_block.segments_of(row_block);
            let mut normal = Buffer::take(row_block.rows.len() * channels);
            layer_norm_segments(arch, weights, segments, depthwise, &mut normal);
            let mut bf16x2 = Buffer::take(row_block.rows.len() * bf16x2_count(channels));
            timed(Kernel::Rounding, || {
                bf16.dispatch(PackColumns { rows: &normal, columns: channels, bf16x2: bf16x2.bf16x2_mut() });
            });
            let ends = SegmentEnds::new(segments);
            let mut epilogue =
                BiasGelu { segments: &ends, bias: weights.expand_bias, expanded, values, squares };
            let (left, right) = (Left::Columns(bf16x2.bf16x2()), Right::Packed(&self.layers[0]));
            gemm(bf16, Kernel::GemmForward, left, 0..row_block.rows.len(), &right, &mut epilogue);
        });
        GrnStats::new(image_block, width, &squares, &self.grn[0])
    }

    /// GRN, the second linear layer and the residual addition.
    fn project(
        &self,
        image_block: &ImageBlock,
        stats: &GrnStats,
        rows: &[f32],
        values: &mut [u32],
        out: &mut [f32],
    ) {
        let (bf16, weights) = (self.target.bf16, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work = image_block
            .row_blocks
            .iter()
            .zip(image_block.split_by_row_block(values, bf16x2_count(width)))
            .zip(image_block.split_by_segment(out, channels));
        parallel::for_each(work, |((row_block, values), outs)| {
            let segments = image_block.segments_of(row_block);
            let mut done = 0;
            for segment in segments.iter().filter(|_| weights.grn.is_some()) {
                let values = &mut values[scaled(&(done..done + segment.rows.len()), bf16x2_count(width))];
                let scale = stats.scale(image_block.place_of(segment));
                timed(Kernel::Expansion, || bf16.dispatch(GrnApply { values, scale, shift: &self.grn[1] }));
                done += segment.rows.len();
            }
            let factor = |image: usize| self.drop_path_scales.map_or(1.0, |scales| scales[image]);
            let mut epilogue = Residual {
                segments: &SegmentEnds::new(segments),
                rows: segments.iter().map(|segment| &rows[scaled(&segment.rows, channels)]).collect(),
                factors: segments.iter().map(|segment| factor(segment.image)).collect(),
                bias: self.projection_bias,
                outs,
            };
            let (left, right) = (Left::Columns(values), Right::Packed(&self.layers[1]));
            gemm(bf16, Kernel::GemmForward, left, 0..row_block.rows.len(), &right, &mut epilogue);
        });
    }
}

/// The inputs of a backward that all image blocks share.
pub(crate) struct Bf16BranchBackward<'a> {
    pub(crate) target: Target,
    pub(crate) weights: &'a BlockWeights<'a>,
    pub(crate) grn: [Cow<'a, [f32]>; 2],
    /// The first linear layer, `[E, C]`.
    pub(crate) expansion: PackedBf16,
    /// The second one with LayerScale, `[C, E]`.
    pub(crate) projection: PackedBf16,
    pub(crate) drop_path_scales: Option<&'a [f32]>,
    /// The convolution's output, `[N R, C]`.
    pub(crate) depthwise: &'a [f32],
}

/// The intermediate results of an image block's sweeps.
struct Buffers {
    /// The branch's output gradient g, row-packed `[R, C]`.
    gradient: Buffer,
    /// LayerNorm's output, row-packed `[R, C]`.
    normal: Buffer,
    /// dy, column-packed `[R, E]`.
    dy: Buffer,
    /// h, column-packed `[R, E]`.
    values: Buffer,
    /// du and y, row-packed `[R, E]`.
    du: Buffer,
    y: Buffer,
}

impl Bf16BranchBackward<'_> {
    /// One image block: `expanded` is u and is overwritten, `ddepthwise` becomes the gradient of the
    /// convolution's output.
    pub(crate) fn run(
        &self,
        image_block: &ImageBlock,
        dout: &[f32],
        expanded: &mut [u32],
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (channels, width) = (self.weights.channels(), self.weights.width());
        let by_row_pairs = |columns| Buffer::take(image_block.row_pairs() * padded(columns));
        let by_rows = |columns| Buffer::take(image_block.rows.len() * bf16x2_count(columns));
        let mut buffers = Buffers {
            gradient: by_row_pairs(channels),
            normal: by_row_pairs(channels),
            dy: by_rows(width),
            values: by_rows(width),
            du: by_row_pairs(width),
            y: by_row_pairs(width),
        };
        let (stats, products) =
            self.first_sweep(image_block, dout, expanded, &mut buffers, &mut sums.project_bias);
        let through_norm = stats.backward(image_block, &products, &self.grn[0], &mut sums.grn_gamma);
        self.second_sweep(image_block, &stats, &through_norm, expanded, &mut buffers, ddepthwise, sums);
        let Buffers { gradient, normal, du, y, .. } = &buffers;
        let bf16 = self.target.bf16;
        let (of_expansion, of_projection) = ([width, channels], [channels, width]);
        gemm_tn_accumulate(bf16, [du.bf16x2(), normal.bf16x2()], of_expansion, &mut sums.expand_weight);
        gemm_tn_accumulate(bf16, [gradient.bf16x2(), y.bf16x2()], of_projection, &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes GELU'(u).
    fn first_sweep(
        &self,
        image_block: &ImageBlock,
        dout: &[f32],
        expanded: &mut [u32],
        buffers: &mut Buffers,
        bias_sums: &mut [f32],
    ) -> (GrnStats, Vec<f32>) {
        let (Target { arch, bf16 }, weights) = (self.target, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let mut products = squares.clone();
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(expanded, bf16x2_count(width)))
            .zip(image_block.split_row_pairs_by_row_block(buffers.gradient.bf16x2_mut(), padded(channels)))
            .zip(image_block.split_row_pairs_by_row_block(buffers.normal.bf16x2_mut(), padded(channels)))
            .zip(image_block.split_by_row_block(buffers.dy.bf16x2_mut(), bf16x2_count(width)))
            .zip(image_block.split_by_row_block(buffers.values.bf16x2_mut(), bf16x2_count(width)))
            .zip(image_block.split_segments_by_row_block(&mut squares, width))
            .zip(image_block.split_segments_by_row_block(&mut products, width));
        let sums: Vec<Vec<f32>> = parallel::map(
            work,
            |(((((((row_block, expanded), gradient), normal), dy), values), squares), products)| {
                let segments = image_block.segments_of(row_block);
                let mut exact = Buffer::take(row_block.rows.len() * channels);
                layer_norm_segments(arch, weights, segments, self.depthwise, &mut exact);
                self.pack_rows(image_block, row_block, &exact, channels, normal);
                let mut sums = vec![0.0; channels];
                let mut done = 0;
                for segment in segments {
                    let factor = self.drop_path_scales.map_or(1.0, |scales| scales[segment.image]);
                    let out = &mut exact[scaled(&(done..done + segment.rows.len()), channels)];
                    let rows = &dout[scaled(&segment.rows, channels)];
                    timed(Kernel::Residual, || {
                        arch.dispatch(ScaleRows { rows, factor, out, sums: &mut sums });
                    });
                    done += segment.rows.len();
                }
                self.pack_rows(image_block, row_block, &exact, channels, gradient);
                let mut bf16x2 = Buffer::take(row_block.rows.len() * bf16x2_count(channels));
                timed(Kernel::Rounding, || {
                    bf16.dispatch(PackColumns {
                        rows: &exact,
                        columns: channels,
                        bf16x2: bf16x2.bf16x2_mut(),
                    });
                });
                let ends = SegmentEnds::new(segments);
                let mut epilogue =
                    GeluRecompute { segments: &ends, width, expanded, dy, values, squares, products };
                let (left, right) = (Left::Columns(bf16x2.bf16x2()), Right::Packed(&self.projection));
                let rows = 0..row_block.rows.len();
                gemm(bf16, Kernel::GemmInputGradient, left, rows, &right, &mut epilogue);
                sums
            },
        );
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (GrnStats::new(image_block, width, &squares, &self.grn[0]), products)
    }

    /// Row-packs the rows of a row block, segment by segment.
    fn pack_rows(
        &self,
        image_block: &ImageBlock,
        row_block: &RowBlock,
        rows: &[f32],
        columns: usize,
        bf16x2: &mut [u32],
    ) {
        let (mut rest, mut to) = (rows, bf16x2);
        for segment in image_block.segments_of(row_block) {
            let (rows, after) = rest.split_at(segment.rows.len() * columns);
            let (bf16x2, after_bf16x2) = to.split_at_mut(row_pairs(segment.rows.len()) * padded(columns));
            timed(Kernel::Rounding, || self.target.bf16.dispatch(PackRows { rows, columns, bf16x2 }));
            (rest, to) = (after, after_bf16x2);
        }
    }

    /// The second sweep: fills `du` and `y`.
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of its own meaning")]
    fn second_sweep(
        &self,
        image_block: &ImageBlock,
        stats: &GrnStats,
        through_norm: &[f32],
        expanded: &mut [u32],
        buffers: &mut Buffers,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (bf16, weights) = (self.target.bf16, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let Buffers { dy, values, du, y, .. } = buffers;
        let (dy, values) = (dy.bf16x2(), values.bf16x2());
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(expanded, bf16x2_count(width)))
            .zip(image_block.split_row_pairs_by_row_block(du.bf16x2_mut(), padded(width)))
            .zip(image_block.split_row_pairs_by_row_block(y.bf16x2_mut(), padded(width)))
            .zip(image_block.split_by_segment(ddepthwise, channels));
        let partial: Vec<RowBlockSums> = parallel::map(work, |((((row_block, expanded), du), y), outs)| {
            let mut sums = RowBlockSums::new(channels, width);
            let of_row_block = scaled(&row_block.rows, bf16x2_count(width));
            let (dy, values) = (&dy[of_row_block.clone()], &values[of_row_block]);
            let (mut done, mut row_pair) = (0, 0);
            for segment in image_block.segments_of(row_block) {
                let rows = scaled(&(done..done + segment.rows.len()), bf16x2_count(width));
                let of_row_pairs =
                    scaled(&(row_pair..row_pair + row_pairs(segment.rows.len())), padded(width));
                let place = image_block.place_of(segment);
                let backward = GrnGeluBackward {
                    expanded: &mut expanded[rows.clone()],
                    values: &values[rows.clone()],
                    dy: &dy[rows],
                    du_row_pairs: &mut du[of_row_pairs.clone()],
                    y_row_pairs: &mut y[of_row_pairs],
                    scale: stats.scale(place),
                    shift: &self.grn[1],
                    through_norm: &through_norm[place * width..][..width],
                    dbias: &mut sums.expand_bias,
                };
                timed(Kernel::ExpansionGradient, || bf16.dispatch(backward));
                (done, row_pair) = (done + segment.rows.len(), row_pair + row_pairs(segment.rows.len()));
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
        du: &[u32],
        outs: Vec<&mut [f32]>,
        sums: &mut RowBlockSums,
    ) {
        let (Target { arch, bf16 }, weights) = (self.target, self.weights);
        let channels = weights.channels();
        let mut dnormal = Buffer::take(row_block.rows.len() * channels);
        let mut epilogue = Store { out: &mut dnormal, columns: channels, bias: None };
        let (left, right) = (Left::Columns(du), Right::Packed(&self.expansion));
        gemm(bf16, Kernel::GemmInputGradient, left, 0..row_block.rows.len(), &right, &mut epilogue);
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
