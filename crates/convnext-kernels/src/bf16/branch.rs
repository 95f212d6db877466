//! The block's branch in bf16, forward. The counterpart of [`crate::block::branch`], with the same
//! sweeps; intermediate activations are bf16x2, half the memory, and elementwise operations are fused into
//! epilogues of the GEMMs where they can be.
//!
//! Notation: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use crate::bf16::columns::{PackColumns, bf16x2_count};
use crate::bf16::expansion::{BiasGelu, GrnApply, Residual};
use crate::bf16::gemm::micro_tiles::Left;
use crate::bf16::gemm::{Right, gemm};
use crate::bf16::packed::PackedBf16;
use crate::bf16::segment_ends::SegmentEnds;
use crate::block::input::BlockInput;
use crate::block::segment_norm::SegmentNorm;
use crate::blocking::ImageBlock;
use crate::buffer::Buffer;
use crate::grn_stats::GrnStats;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::scaled;
use crate::target::Target;

/// The inputs of a forward that all image blocks share.
pub(crate) struct Bf16Branch<'a> {
    pub(crate) input: &'a BlockInput<'a>,
    /// The first linear layer, and the second one with LayerScale.
    pub(crate) layers: &'a [PackedBf16; 2],
    pub(crate) projection_bias: &'a [f32],
    pub(crate) grn: [Cow<'a, [f32]>; 2],
}

impl Bf16Branch<'_> {
    /// One image block, from the convolution's output to the block's. Unless `expanded` is empty, the first
    /// linear layer's output is saved there, column-packed `[R, E]`.
    pub(crate) fn run(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        expanded: &mut [u32],
        out: &mut [f32],
    ) {
        let mut values = Buffer::take(image_block.rows.len() * bf16x2_count(self.input.weights.width()));
        let stats = self.expand(image_block, depthwise, values.bf16x2_mut(), expanded);
        self.project(image_block, &stats, values.bf16x2_mut(), out);
    }

    /// LayerNorm, the first linear layer, GELU and GRN's sums; `values` becomes h.
    fn expand(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        values: &mut [u32],
        expanded: &mut [u32],
    ) -> GrnStats {
        let (Target { arch, bf16 }, weights) = (self.input.target, self.input.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let saved = image_block
            .split_by_row_block(expanded, if expanded.is_empty() { 0 } else { bf16x2_count(width) });
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let sums = image_block.split_segments_by_row_block(&mut squares, width);
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(values, bf16x2_count(width)))
            .zip(saved)
            .zip(sums);
        parallel::for_each(work, |(((row_block, values), expanded), squares)| {
            let segments = image_block.segments_of(row_block);
            let mut normal = Buffer::take(row_block.rows.len() * channels);
            SegmentNorm { arch, weights, segments, depthwise }.forward(&mut normal);
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
    fn project(&self, image_block: &ImageBlock, stats: &GrnStats, values: &mut [u32], out: &mut [f32]) {
        let (bf16, weights) = (self.input.target.bf16, self.input.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work = (image_block.row_blocks.iter())
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
            let mut epilogue = Residual {
                segments: &SegmentEnds::new(segments),
                rows: segments
                    .iter()
                    .map(|segment| &self.input.rows[scaled(&segment.rows, channels)])
                    .collect(),
                factors: segments.iter().map(|segment| self.input.factor(segment.image)).collect(),
                bias: self.projection_bias,
                outs,
            };
            let (left, right) = (Left::Columns(values), Right::Packed(&self.layers[1]));
            gemm(bf16, Kernel::GemmForward, left, 0..row_block.rows.len(), &right, &mut epilogue);
        });
    }
}
