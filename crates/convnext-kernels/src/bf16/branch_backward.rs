//! The block's branch in bf16, backward. The counterpart of [`crate::block::branch_backward`], with the same
//! sweeps; intermediate activations are bf16x2, half the memory, and elementwise operations are fused into
//! epilogues of the GEMMs where they can be.
//!
//! Notation: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use bytemuck::cast_slice_mut;

use crate::bf16::columns::{PackColumns, bf16x2_count};
use crate::bf16::expansion::{GeluRecompute, GrnGeluBackward};
use crate::bf16::gemm::epilogue::Store;
use crate::bf16::gemm::micro_tiles::Left;
use crate::bf16::gemm::{Right, gemm, gemm_tn_accumulate};
use crate::bf16::packed::PackedBf16;
use crate::bf16::rows::{PackRows, padded, row_pairs};
use crate::bf16::segment_ends::SegmentEnds;
use crate::block::input::BranchInput;
use crate::block::segment_norm::SegmentNorm;
use crate::block_sums::{RowBlockSums, Sums};
use crate::blocking::{ImageBlock, RowBlock, Segment, by_image_block};
use crate::buffer::Buffer;
use crate::grn_stats::GrnStats;
use crate::packed::Matrix;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{add_to, scaled};
use crate::target::Target;

/// The inputs of a backward that all image blocks share.
pub(crate) struct Bf16BranchBackward<'a> {
    input: BranchInput<'a>,
    grn: [Cow<'a, [f32]>; 2],
    /// The first linear layer, `[E, C]`.
    expansion: PackedBf16,
    /// The second one with LayerScale, `[C, E]`.
    projection: PackedBf16,
}

/// The intermediate results of an image block's sweeps.
struct Buffers<'a> {
    /// u, column-packed `[R, E]`; becomes GELU'(u), then du.
    expanded: &'a mut [u32],
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

impl<'a> Buffers<'a> {
    fn new(image_block: &ImageBlock, expanded: &'a mut [u32], [channels, width]: [usize; 2]) -> Self {
        let by_row_pairs = |columns| Buffer::take(image_block.row_pairs() * padded(columns));
        let by_rows = |columns| Buffer::take(image_block.rows.len() * bf16x2_count(columns));
        Self {
            expanded,
            gradient: by_row_pairs(channels),
            normal: by_row_pairs(channels),
            dy: by_rows(width),
            values: by_rows(width),
            du: by_row_pairs(width),
            y: by_row_pairs(width),
        }
    }
}

/// The slices of a row block in the first sweep.
struct FirstSweep<'a> {
    segments: &'a [Segment],
    expanded: &'a mut [u32],
    gradient: &'a mut [u32],
    normal: &'a mut [u32],
    dy: &'a mut [u32],
    values: &'a mut [u32],
    squares: &'a mut [f32],
    products: &'a mut [f32],
}

/// The slices of a row block in the second sweep.
struct SecondSweep<'a> {
    row_block: &'a RowBlock,
    expanded: &'a mut [u32],
    dy: &'a [u32],
    values: &'a [u32],
    du: &'a mut [u32],
    y: &'a mut [u32],
}

impl<'a> Bf16BranchBackward<'a> {
    /// Packs the linear layers.
    pub(crate) fn new(input: BranchInput<'a>) -> Self {
        let (bf16, weights) = (input.block.target.bf16, input.block.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let expansion = Matrix::new(weights.expand_weight, width, channels);
        let projection = Matrix::new(input.projection, channels, width);
        Self {
            input,
            grn: weights.grn_or_zeros(),
            expansion: PackedBf16::new(bf16, expansion),
            projection: PackedBf16::of_whole_interleaves(bf16, projection),
        }
    }

    /// C and E.
    fn sizes(&self) -> [usize; 2] {
        [self.input.block.weights.channels(), self.input.block.weights.width()]
    }

    /// The image blocks of a partition, one after the other: `expanded` is u and is overwritten, `ddepthwise`
    /// becomes the gradient of the convolution's output.
    pub(crate) fn run_partition(
        &self,
        partition: &[ImageBlock],
        expanded: &mut [f32],
        ddepthwise: &mut [f32],
    ) -> Sums {
        let [channels, width] = self.sizes();
        let mut sums = Sums::new(channels, width);
        let parts = by_image_block(partition, expanded, bf16x2_count(width), ddepthwise, channels);
        for (image_block, expanded, ddepthwise) in parts {
            let mut buffers = Buffers::new(image_block, cast_slice_mut(expanded), [channels, width]);
            self.run(image_block, &mut buffers, ddepthwise, &mut sums);
        }
        sums
    }

    fn run(
        &self,
        image_block: &ImageBlock,
        buffers: &mut Buffers<'_>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let [channels, width] = self.sizes();
        let (stats, products) = self.first_sweep(image_block, buffers, &mut sums.project_bias);
        let through_norm = stats.backward(image_block, &products, &self.grn[0], &mut sums.grn_gamma);
        self.second_sweep(image_block, (&stats, &through_norm), buffers, ddepthwise, sums);
        let Buffers { gradient, normal, du, y, .. } = buffers;
        let bf16 = self.input.block.target.bf16;
        let (of_expansion, of_projection) = ([width, channels], [channels, width]);
        gemm_tn_accumulate(bf16, [du.bf16x2(), normal.bf16x2()], of_expansion, &mut sums.expand_weight);
        gemm_tn_accumulate(bf16, [gradient.bf16x2(), y.bf16x2()], of_projection, &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes GELU'(u).
    fn first_sweep(
        &self,
        image_block: &ImageBlock,
        buffers: &mut Buffers<'_>,
        bias_sums: &mut [f32],
    ) -> (GrnStats, Vec<f32>) {
        let [channels, width] = self.sizes();
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let mut products = squares.clone();
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(buffers.expanded, bf16x2_count(width)))
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
                let rows = row_block.rows.len();
                let slices =
                    FirstSweep { segments, expanded, gradient, normal, dy, values, squares, products };
                self.first_sweep_of(rows, slices)
            },
        );
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (GrnStats::new(image_block, width, &squares, &self.grn[0]), products)
    }

    /// The first sweep of a row block of so many rows. Returns the sums of g, `[C]`.
    fn first_sweep_of(&self, count: usize, slices: FirstSweep<'_>) -> Vec<f32> {
        let (Target { arch, bf16 }, weights) = (self.input.block.target, self.input.block.weights);
        let [channels, width] = self.sizes();
        let FirstSweep { segments, expanded, gradient, normal, dy, values, squares, products } = slices;
        let mut exact = Buffer::take(count * channels);
        SegmentNorm { arch, weights, segments, depthwise: self.input.depthwise }.forward(&mut exact);
        self.pack_rows(segments, &exact, channels, normal);
        let sums = self.input.scale_gradient(segments, &mut exact);
        self.pack_rows(segments, &exact, channels, gradient);
        let mut bf16x2 = Buffer::take(count * bf16x2_count(channels));
        timed(Kernel::Rounding, || {
            bf16.dispatch(PackColumns { rows: &exact, columns: channels, bf16x2: bf16x2.bf16x2_mut() });
        });
        let ends = SegmentEnds::new(segments);
        let mut epilogue = GeluRecompute { segments: &ends, width, expanded, dy, values, squares, products };
        let (left, right) = (Left::Columns(bf16x2.bf16x2()), Right::Packed(&self.projection));
        gemm(bf16, Kernel::GemmInputGradient, left, 0..count, &right, &mut epilogue);
        sums
    }

    /// Row-packs the rows of a row block, segment by segment.
    fn pack_rows(&self, segments: &[Segment], rows: &[f32], columns: usize, bf16x2: &mut [u32]) {
        let (mut rest, mut to) = (rows, bf16x2);
        for segment in segments {
            let (rows, after) = rest.split_at(segment.rows.len() * columns);
            let (bf16x2, after_bf16x2) = to.split_at_mut(row_pairs(segment.rows.len()) * padded(columns));
            let pack = PackRows { rows, columns, bf16x2 };
            timed(Kernel::Rounding, || self.input.block.target.bf16.dispatch(pack));
            (rest, to) = (after, after_bf16x2);
        }
    }

    /// The second sweep: fills `du` and `y`. GRN gives its statistics and the factors of h in its gradient.
    fn second_sweep(
        &self,
        image_block: &ImageBlock,
        grn: (&GrnStats, &[f32]),
        buffers: &mut Buffers<'_>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let [channels, width] = self.sizes();
        let Buffers { expanded, dy, values, du, y, .. } = buffers;
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
            let mut slices = SecondSweep { row_block, expanded, dy, values, du, y };
            self.grn_backward(image_block, grn, &mut slices, &mut sums.expand_bias);
            self.norm_backward(image_block.segments_of(row_block), slices.expanded, outs, &mut sums);
            sums
        });
        partial.iter().for_each(|partial| sums.add_row_block(partial));
    }

    /// Backward of GRN and GELU in a row block.
    fn grn_backward(
        &self,
        image_block: &ImageBlock,
        (stats, through_norm): (&GrnStats, &[f32]),
        slices: &mut SecondSweep<'_>,
        dbias: &mut [f32],
    ) {
        let width = self.input.block.weights.width();
        let (mut done, mut row_pair) = (0, 0);
        for segment in image_block.segments_of(slices.row_block) {
            let rows = scaled(&(done..done + segment.rows.len()), bf16x2_count(width));
            let of_row_pairs = scaled(&(row_pair..row_pair + row_pairs(segment.rows.len())), padded(width));
            let place = image_block.place_of(segment);
            let backward = GrnGeluBackward {
                expanded: &mut slices.expanded[rows.clone()],
                values: &slices.values[rows.clone()],
                dy: &slices.dy[rows],
                du_row_pairs: &mut slices.du[of_row_pairs.clone()],
                y_row_pairs: &mut slices.y[of_row_pairs],
                scale: stats.scale(place),
                shift: &self.grn[1],
                through_norm: &through_norm[place * width..][..width],
                dbias,
            };
            timed(Kernel::ExpansionGradient, || self.input.block.target.bf16.dispatch(backward));
            (done, row_pair) = (done + segment.rows.len(), row_pair + row_pairs(segment.rows.len()));
        }
    }

    /// Backward of the first linear layer and LayerNorm, from du of a row block.
    fn norm_backward(
        &self,
        segments: &[Segment],
        du: &[u32],
        outs: Vec<&mut [f32]>,
        sums: &mut RowBlockSums,
    ) {
        let (Target { arch, bf16 }, weights) = (self.input.block.target, self.input.block.weights);
        let channels = weights.channels();
        let count = segments.iter().map(|segment| segment.rows.len()).sum();
        let mut dnormal = Buffer::take(count * channels);
        let mut epilogue = Store { out: &mut dnormal, columns: channels, bias: None };
        let (left, right) = (Left::Columns(du), Right::Packed(&self.expansion));
        gemm(bf16, Kernel::GemmInputGradient, left, 0..count, &right, &mut epilogue);
        SegmentNorm { arch, weights, segments, depthwise: self.input.depthwise }
            .backward(&dnormal, outs, sums);
    }
}
