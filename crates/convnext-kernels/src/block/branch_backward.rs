//! The block's branch backward, between the convolution and the residual addition, in f32, by image block in
//! three sweeps (see [`crate::block_backward()`]).
//!
//! Notation: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use crate::block::input::BranchInput;
use crate::block::segment_norm::SegmentNorm;
use crate::block_sums::{RowBlockSums, Sums};
use crate::blocking::{ImageBlock, RowBlock, Segment, by_image_block};
use crate::buffer::Buffer;
use crate::expansion::{GeluRecompute, GrnGeluBackward};
use crate::gemm::gemm;
use crate::gemm::weight_gradient::gemm_tn_accumulate;
use crate::grn_stats::GrnStats;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{add_to, scaled};

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

/// The slices of one image block: u, which becomes GELU'(u), then du, and those of [`Buffers`].
struct ImageBlockBuffers<'a> {
    expanded: &'a mut [f32],
    gradient: &'a mut [f32],
    normal: &'a mut [f32],
    dy: &'a mut [f32],
    values: &'a mut [f32],
}

impl Buffers {
    fn new(partition: &[ImageBlock], channels: usize, width: usize) -> Self {
        let rows = partition.iter().map(|image_block| image_block.rows.len()).max().unwrap_or(0);
        let take = |columns| Buffer::take(rows * columns);
        Self { gradient: take(channels), normal: take(channels), dy: take(width), values: take(width) }
    }

    fn with<'a>(
        &'a mut self,
        expanded: &'a mut [f32],
        rows: usize,
        [channels, width]: [usize; 2],
    ) -> ImageBlockBuffers<'a> {
        ImageBlockBuffers {
            expanded,
            gradient: &mut self.gradient[..rows * channels],
            normal: &mut self.normal[..rows * channels],
            dy: &mut self.dy[..rows * width],
            values: &mut self.values[..rows * width],
        }
    }
}

/// The slices of a row block in the first sweep.
struct FirstSweep<'a> {
    segments: &'a [Segment],
    buffers: ImageBlockBuffers<'a>,
    squares: &'a mut [f32],
    products: &'a mut [f32],
}

/// The slices of a row block in the second sweep.
struct SecondSweep<'a> {
    row_block: &'a RowBlock,
    expanded: &'a mut [f32],
    dy: &'a [f32],
    values: &'a mut [f32],
}

/// The inputs of a backward that all image blocks share.
pub(crate) struct BranchBackward<'a> {
    input: BranchInput<'a>,
    grn: [Cow<'a, [f32]>; 2],
    /// The first linear layer.
    expansion: Packed,
    /// The second one, with LayerScale.
    projection: Packed,
}

impl<'a> BranchBackward<'a> {
    /// Packs the linear layers.
    pub(crate) fn new(input: BranchInput<'a>) -> Self {
        let weights = input.block.weights;
        let (channels, width) = (weights.channels(), weights.width());
        let expansion = Packed::new(Matrix::new(weights.expand_weight, width, channels));
        let projection = Packed::new(Matrix::new(input.projection, channels, width));
        Self { input, grn: weights.grn_or_zeros(), expansion, projection }
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
        let mut buffers = Buffers::new(partition, channels, width);
        let mut sums = Sums::new(channels, width);
        let parts = by_image_block(partition, expanded, width, ddepthwise, channels);
        for (image_block, expanded, ddepthwise) in parts {
            let mut buffers = buffers.with(expanded, image_block.rows.len(), [channels, width]);
            self.run(image_block, &mut buffers, ddepthwise, &mut sums);
        }
        sums
    }

    fn run(
        &self,
        image_block: &ImageBlock,
        buffers: &mut ImageBlockBuffers<'_>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (stats, products) = self.first_sweep(image_block, buffers, &mut sums.project_bias);
        let through_norm = stats.backward(image_block, &products, &self.grn[0], &mut sums.grn_gamma);
        self.second_sweep(image_block, (&stats, &through_norm), buffers, ddepthwise, sums);
        let (arch, rows) = (self.input.block.target.arch, image_block.rows.len());
        let [channels, width] = self.sizes();
        // The third sweep.
        let ImageBlockBuffers { expanded: du, gradient, normal, values: y, .. } = buffers;
        let [du, y] = [du, y].map(|values| Matrix::new(values, rows, width));
        let [normal, gradient] = [normal, gradient].map(|values| Matrix::new(values, rows, channels));
        gemm_tn_accumulate(arch, du, normal, &mut sums.expand_weight);
        gemm_tn_accumulate(arch, gradient, y, &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes
    /// GELU'(u).
    fn first_sweep(
        &self,
        image_block: &ImageBlock,
        buffers: &mut ImageBlockBuffers<'_>,
        bias_sums: &mut [f32],
    ) -> (GrnStats, Vec<f32>) {
        let [channels, width] = self.sizes();
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let mut products = squares.clone();
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(buffers.expanded, width))
            .zip(image_block.split_by_row_block(buffers.gradient, channels))
            .zip(image_block.split_by_row_block(buffers.normal, channels))
            .zip(image_block.split_by_row_block(buffers.dy, width))
            .zip(image_block.split_by_row_block(buffers.values, width))
            .zip(image_block.split_segments_by_row_block(&mut squares, width))
            .zip(image_block.split_segments_by_row_block(&mut products, width));
        let sums: Vec<Vec<f32>> = parallel::map(
            work,
            |(((((((row_block, expanded), gradient), normal), dy), values), squares), products)| {
                let segments = image_block.segments_of(row_block);
                let buffers = ImageBlockBuffers { expanded, gradient, normal, dy, values };
                let slices = FirstSweep { segments, buffers, squares, products };
                self.first_sweep_of(row_block.rows.len(), slices)
            },
        );
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (GrnStats::new(image_block, width, &squares, &self.grn[0]), products)
    }

    /// The first sweep of a row block of so many rows. Returns the sums of g, `[C]`.
    fn first_sweep_of(&self, count: usize, slices: FirstSweep<'_>) -> Vec<f32> {
        let (arch, weights) = (self.input.block.target.arch, self.input.block.weights);
        let [channels, width] = self.sizes();
        let FirstSweep { segments, buffers, squares, products } = slices;
        let ImageBlockBuffers { expanded, gradient, normal, dy, values } = buffers;
        let sums = self.input.scale_gradient(segments, gradient);
        SegmentNorm { arch, weights, segments, depthwise: self.input.depthwise }.forward(normal);
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
    }

    /// The second sweep: `expanded` becomes du, `values` becomes y. GRN gives its statistics and the factors
    /// of h in its gradient.
    fn second_sweep(
        &self,
        image_block: &ImageBlock,
        grn: (&GrnStats, &[f32]),
        buffers: &mut ImageBlockBuffers<'_>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let [channels, width] = self.sizes();
        let dy = &*buffers.dy;
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(buffers.expanded, width))
            .zip(image_block.split_by_row_block(buffers.values, width))
            .zip(image_block.split_by_segment(ddepthwise, channels));
        let partial: Vec<RowBlockSums> = parallel::map(work, |(((row_block, expanded), values), outs)| {
            let mut sums = RowBlockSums::new(channels, width);
            let dy = &dy[scaled(&row_block.rows, width)];
            let mut slices = SecondSweep { row_block, expanded, dy, values };
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
        let [_, width] = self.sizes();
        let mut done = 0;
        for segment in image_block.segments_of(slices.row_block) {
            let rows = scaled(&(done..done + segment.rows.len()), width);
            let place = image_block.place_of(segment);
            let backward = GrnGeluBackward {
                expanded: &mut slices.expanded[rows.clone()],
                values: &mut slices.values[rows.clone()],
                dy: &slices.dy[rows],
                scale: stats.scale(place),
                shift: &self.grn[1],
                through_norm: &through_norm[place * width..][..width],
                dbias,
            };
            timed(Kernel::ExpansionGradient, || self.input.block.target.arch.dispatch(backward));
            done += segment.rows.len();
        }
    }

    /// Backward of the first linear layer and LayerNorm, from du of a row block.
    fn norm_backward(
        &self,
        segments: &[Segment],
        du: &[f32],
        outs: Vec<&mut [f32]>,
        sums: &mut RowBlockSums,
    ) {
        let (arch, weights) = (self.input.block.target.arch, self.input.block.weights);
        let [channels, width] = self.sizes();
        let count = du.len() / width.max(1);
        let mut dnormal = Buffer::take(count * channels);
        let du = Matrix::new(du, count, width);
        gemm(arch, Kernel::GemmInputGradient, du, &self.expansion, &mut dnormal, false);
        SegmentNorm { arch, weights, segments, depthwise: self.input.depthwise }
            .backward(&dnormal, outs, sums);
    }
}
