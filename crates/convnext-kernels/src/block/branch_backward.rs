//! The block's branch backward, between the convolution and the residual addition, by image block in three
//! sweeps (see [`crate::block_backward()`]).
//!
//! Notation: R rows of one image, C channels, E = 4C.

use bytemuck::{cast_slice, cast_slice_mut};

use crate::bf16::rows::{padded, row_pairs};
use crate::block::branch_buffers::{Buffers, Slices};
use crate::block::input::BranchInput;
use crate::block::segment_norm::SegmentNorm;
use crate::block::weights::BlockGrn;
use crate::block_sums::{RowBlockSums, Sums};
use crate::blocking::{ImageBlock, Segment, by_image_block};
use crate::buffer::Buffer;
use crate::element::Element;
use crate::expansion::{GeluRecompute, GrnGeluBackward, RowPairs};
use crate::gemm::epilogue::{Onto, Store};
use crate::grn_stats::GrnStats;
use crate::packed::Matrix;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::segment_ends::SegmentEnds;
use crate::split::{add_to, scaled};
use crate::storage::Lane;

/// The inputs of a backward that all image blocks share.
pub(crate) struct BranchBackward<'a, E: Element> {
    input: BranchInput<'a>,
    element: E,
    grn: BlockGrn<'a>,
    /// The first linear layer, `[E, C]`.
    expansion: E::Packed,
    /// The second one with LayerScale, `[C, E]`.
    projection: E::Packed,
}

impl<'a, E: Element> BranchBackward<'a, E> {
    /// Packs the linear layers.
    pub(crate) fn new(input: BranchInput<'a>, element: E) -> Self {
        let weights = input.block.weights;
        let (channels, width) = (weights.channels(), weights.width());
        let expansion = element.pack(Matrix::new(weights.expand_weight, width, channels));
        let projection = element.pack_for_activations(Matrix::new(input.projection, channels, width));
        Self { input, element, grn: weights.grn_or_zeros(), expansion, projection }
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
        let parts = by_image_block(partition, expanded, E::Lane::count(width), ddepthwise, channels);
        for (image_block, expanded, ddepthwise) in parts {
            let mut buffers = Buffers::<E>::new(image_block, cast_slice_mut(expanded), [channels, width]);
            self.run(&mut buffers, ddepthwise, &mut sums);
        }
        sums
    }

    fn run(&self, buffers: &mut Buffers<'_, E>, ddepthwise: &mut [f32], sums: &mut Sums) {
        let [channels, width] = self.sizes();
        let (stats, products) = self.first_sweep(buffers, &mut sums.project_bias);
        let gamma = &self.grn.gamma;
        let through_norm = stats.backward(buffers.image_block, &products, gamma, &mut sums.grn_gamma);
        self.second_sweep((&stats, &through_norm), buffers, ddepthwise, sums);
        // The third sweep.
        let [normal, gradient, du, y] = buffers.sides();
        self.element.gemm_tn_accumulate([du, normal], [width, channels], &mut sums.expand_weight);
        self.element.gemm_tn_accumulate([gradient, y], [channels, width], &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes GELU'(u).
    fn first_sweep(&self, buffers: &mut Buffers<'_, E>, bias_sums: &mut [f32]) -> (GrnStats, Vec<f32>) {
        let (image_block, [_, width]) = (buffers.image_block, self.sizes());
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let mut products = squares.clone();
        let work = (buffers.split().into_iter())
            .zip(image_block.split_segments_by_row_block(&mut squares, width))
            .zip(image_block.split_segments_by_row_block(&mut products, width));
        let sums: Vec<Vec<f32>> = parallel::map(work, |((slices, squares), products)| {
            self.first_sweep_of(slices, [squares, products])
        });
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (GrnStats::new(image_block, width, &squares, self.grn.variant, &self.grn.gamma), products)
    }

    /// The first sweep of a row block. Returns the sums of g, `[C]`.
    fn first_sweep_of(&self, slices: Slices<'_, E::Lane>, [squares, products]: [&mut [f32]; 2]) -> Vec<f32> {
        let element = self.element;
        let [channels, width] = self.sizes();
        let Slices { segments, expanded, gradient, normal, dy, values, .. } = slices;
        element.write_side(segments, channels, normal, |normal| self.norm(segments).forward(normal));
        element.write_side(segments, channels, gradient, |gradient| {
            let sums = self.input.scale_gradient(segments, gradient);
            let packed = element.pack_left(gradient, channels);
            let left = cast_slice(packed.as_deref().unwrap_or(gradient));
            let segments = &SegmentEnds::new(segments);
            let mut epilogue = GeluRecompute { segments, width, expanded, dy, values, squares, products };
            element.gemm(Kernel::GemmInputGradient, left, &self.projection, &mut epilogue);
            sums
        })
    }

    /// LayerNorm of a row block.
    fn norm<'b>(&'b self, segments: &'b [Segment]) -> SegmentNorm<'b> {
        let block = self.input.block;
        let (arch, depthwise) = (block.target.arch, self.input.depthwise);
        SegmentNorm { arch, weights: block.weights, segments, depthwise }
    }

    /// The second sweep: `expanded` becomes du, and y is computed. GRN gives its statistics and the factors of
    /// h in its gradient.
    fn second_sweep(
        &self,
        grn: (&GrnStats, &[f32]),
        buffers: &mut Buffers<'_, E>,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (image_block, [channels, width]) = (buffers.image_block, self.sizes());
        let work = buffers.split().into_iter().zip(image_block.split_by_segment(ddepthwise, channels));
        let partial: Vec<RowBlockSums> = parallel::map(work, |(mut slices, outs)| {
            let mut sums = RowBlockSums::new(channels, width);
            self.grn_backward(image_block, grn, &mut slices, &mut sums.expand_bias);
            self.norm_backward(slices.segments, slices.expanded, outs, &mut sums);
            sums
        });
        partial.iter().for_each(|partial| sums.add_row_block(partial));
    }

    /// Backward of GRN and GELU in a row block.
    fn grn_backward(
        &self,
        image_block: &ImageBlock,
        (stats, through_norm): (&GrnStats, &[f32]),
        slices: &mut Slices<'_, E::Lane>,
        dbias: &mut [f32],
    ) {
        let [_, width] = self.sizes();
        let (mut done, mut row_pair) = (0, 0);
        for segment in slices.segments {
            let place = image_block.place_of(segment);
            let pairs = row_pair..row_pair + row_pairs(segment.rows.len());
            let rows = scaled(&(done..done + segment.rows.len()), E::Lane::count(width));
            (done, row_pair) = (done + segment.rows.len(), pairs.end);
            let of_pairs = scaled(&pairs, padded(width));
            let backward = GrnGeluBackward {
                expanded: &mut slices.expanded[rows.clone()],
                values: &mut slices.values[rows.clone()],
                dy: &slices.dy[rows],
                row_pairs: E::ROW_PACKS.then(|| RowPairs {
                    du: &mut slices.du[of_pairs.clone()],
                    y: &mut slices.y[of_pairs],
                    padded: padded(width),
                }),
                scale: stats.scale(place),
                shift: &self.grn.beta,
                through_norm: &through_norm[place * width..][..width],
                dbias,
            };
            timed(Kernel::ExpansionGradient, || self.element.run(backward));
        }
    }

    /// Backward of the first linear layer and LayerNorm, from du of a row block.
    fn norm_backward(
        &self,
        segments: &[Segment],
        du: &[E::Lane],
        outs: Vec<&mut [f32]>,
        sums: &mut RowBlockSums,
    ) {
        let [channels, _] = self.sizes();
        let count: usize = segments.iter().map(|segment| segment.rows.len()).sum();
        let mut dnormal = Buffer::take(count * channels);
        let mut epilogue = Store { out: &mut dnormal, columns: channels, onto: Onto::Nothing };
        self.element.gemm(Kernel::GemmInputGradient, du, &self.expansion, &mut epilogue);
        self.norm(segments).backward(&dnormal, outs, sums);
    }
}
