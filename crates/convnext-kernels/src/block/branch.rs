//! The block's branch forward, between the convolution and the residual addition.
//!
//! Notation: R rows of one image, C channels, E = 4C.

use bytemuck::{cast_slice, cast_slice_mut};

use crate::bf16::columns::PackColumns;
use crate::block::input::BlockInput;
use crate::block::segment_norm::SegmentNorm;
use crate::block::weights::BlockGrn;
use crate::blocking::ImageBlock;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::expansion::{BiasGelu, GrnApply};
use crate::grn_stats::GrnStats;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::residual::Residual;
use crate::segment_ends::SegmentEnds;
use crate::split::scaled;
use crate::storage::Lane;

/// The inputs of a forward that all image blocks share.
pub(crate) struct Branch<'a, E: Element> {
    pub(crate) input: &'a BlockInput<'a>,
    pub(crate) element: E,
    /// The first linear layer, and the second one with LayerScale.
    pub(crate) layers: &'a [E::Packed; 2],
    pub(crate) projection_bias: &'a [f32],
    pub(crate) grn: BlockGrn<'a>,
}

impl<E: Element> Branch<'_, E> {
    /// One image block, from the convolution's output to the block's. Unless `expanded` is empty, the first
    /// linear layer's output u, `[R, E]`, is saved there, as bf16x2 where it has half the size of f32.
    pub(crate) fn run(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        expanded: &mut [f32],
        out: &mut [f32],
    ) {
        let of_row = E::Lane::count(self.input.weights.width());
        let mut values = Buffer::take(image_block.rows.len() * of_row);
        let stats = self.expand(image_block, depthwise, cast_slice_mut(&mut values), expanded);
        self.project(image_block, &stats, cast_slice_mut(&mut values), out);
    }

    /// LayerNorm, the first linear layer, GELU and GRN's sums; `values` becomes h.
    fn expand(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        values: &mut [E::Lane],
        expanded: &mut [f32],
    ) -> GrnStats {
        let (arch, weights) = (self.input.target.arch, self.input.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let saved_width = expanded.len() / image_block.rows.len().max(1);
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(values, E::Lane::count(width)))
            .zip(image_block.split_by_row_block(expanded, saved_width))
            .zip(image_block.split_segments_by_row_block(&mut squares, width));
        parallel::for_each(work, |(((row_block, values), saved), squares)| {
            let segments = image_block.segments_of(row_block);
            let mut normal = Buffer::take(row_block.rows.len() * channels);
            SegmentNorm { arch, weights, segments, depthwise }.forward(&mut normal);
            let packed = self.element.pack_left(&normal, channels);
            let left = cast_slice(packed.as_ref().unwrap_or(&normal));
            let mut gemm = |expanded: &mut [f32]| {
                let (segments, expanded) = (&SegmentEnds::new(segments), cast_slice_mut(expanded));
                let bias = weights.expand_bias;
                let mut epilogue = BiasGelu { segments, bias, expanded, values, squares };
                self.element.gemm(Kernel::GemmForward, left, &self.layers[0], &mut epilogue);
            };
            if (1..E::Lane::count(width)).contains(&saved_width) {
                let mut exact = Buffer::take(row_block.rows.len() * width);
                gemm(&mut exact);
                let pack = PackColumns { rows: &exact, columns: width, bf16x2: cast_slice_mut(saved) };
                timed(Kernel::Rounding, || self.input.target.bf16.dispatch(pack));
            } else {
                gemm(saved);
            }
        });
        GrnStats::new(image_block, width, &squares, self.grn.variant, &self.grn.gamma)
    }

    /// GRN, the second linear layer and the residual addition.
    fn project(&self, image_block: &ImageBlock, stats: &GrnStats, values: &mut [E::Lane], out: &mut [f32]) {
        let weights = self.input.weights;
        let (channels, width) = (weights.channels(), weights.width());
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(values, E::Lane::count(width)))
            .zip(image_block.split_by_segment(out, channels));
        parallel::for_each(work, |((row_block, values), outs)| {
            let segments = image_block.segments_of(row_block);
            let ends = SegmentEnds::new(segments);
            for (index, segment) in segments.iter().enumerate().filter(|_| weights.grn.is_some()) {
                let values = &mut values[scaled(&ends.rows(index), E::Lane::count(width))];
                let scale = stats.scale(image_block.place_of(segment));
                let apply = GrnApply { values, scale, shift: &self.grn.beta };
                timed(Kernel::Expansion, || self.element.run(apply));
            }
            let rows = |rows| &self.input.rows[scaled(rows, channels)];
            let mut epilogue = Residual {
                segments: &ends,
                rows: segments.iter().map(|segment| rows(&segment.rows)).collect(),
                factors: segments.iter().map(|segment| self.input.factor(segment.image)).collect(),
                bias: self.projection_bias,
                outs,
            };
            self.element.gemm(Kernel::GemmForward, values, &self.layers[1], &mut epilogue);
        });
    }
}
