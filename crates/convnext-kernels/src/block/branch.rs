//! The block's branch forward, between the convolution and the residual addition, in f32.
//!
//! Notation: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use bytemuck::cast_slice_mut;

use crate::bf16::columns::PackColumns;
use crate::block::input::BlockInput;
use crate::block::segment_norm::SegmentNorm;
use crate::blocking::{ImageBlock, Segment};
use crate::buffer::Buffer;
use crate::expansion::{BiasGelu, GrnApply, Residual};
use crate::gemm::gemm;
use crate::grn_stats::GrnStats;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::scaled;

/// The inputs of a forward that all image blocks share.
pub(crate) struct Branch<'a> {
    pub(crate) input: &'a BlockInput<'a>,
    /// The first linear layer, and the second one with LayerScale.
    pub(crate) layers: &'a [Packed; 2],
    pub(crate) projection_bias: &'a [f32],
    pub(crate) grn: [Cow<'a, [f32]>; 2],
}

impl Branch<'_> {
    /// One image block, from the convolution's output to the block's. Unless `expanded` is empty, the first
    /// linear layer's output u, `[R, E]`, is saved there, as bf16x2 where it has half the size.
    pub(crate) fn run(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        expanded: &mut [f32],
        out: &mut [f32],
    ) {
        let mut values = Buffer::take(image_block.rows.len() * self.input.weights.width());
        let stats = self.expand(image_block, depthwise, &mut values, expanded);
        self.project(image_block, &stats, &mut values, out);
    }

    /// LayerNorm, the first linear layer, GELU and GRN's sums; `values` becomes h.
    fn expand(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        values: &mut [f32],
        expanded: &mut [f32],
    ) -> GrnStats {
        let (arch, weights) = (self.input.target.arch, self.input.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let saved_width = expanded.len() / image_block.rows.len().max(1);
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(values, width))
            .zip(image_block.split_by_row_block(expanded, saved_width))
            .zip(image_block.split_segments_by_row_block(&mut squares, width));
        parallel::for_each(work, |(((row_block, values), saved), squares)| {
            let segments = image_block.segments_of(row_block);
            let count = row_block.rows.len();
            let mut normal = Buffer::take(count * channels);
            SegmentNorm { arch, weights, segments, depthwise }.forward(&mut normal);
            let normal = Matrix::new(&normal, count, channels);
            gemm(arch, Kernel::GemmForward, normal, &self.layers[0], values, false);
            if saved_width > 0 && saved_width < width {
                let mut exact = Buffer::take(count * width);
                self.gelu(segments, values, &mut exact, squares);
                let pack = PackColumns { rows: &exact, columns: width, bf16x2: cast_slice_mut(saved) };
                timed(Kernel::Rounding, || self.input.target.bf16.dispatch(pack));
            } else {
                self.gelu(segments, values, saved, squares);
            }
        });
        GrnStats::new(image_block, width, &squares, &self.grn[0])
    }

    /// Bias, GELU and GRN's sums of the segments of a row block.
    fn gelu(&self, segments: &[Segment], values: &mut [f32], expanded: &mut [f32], squares: &mut [f32]) {
        let (bias, width) = (self.input.weights.expand_bias, self.input.weights.width());
        let mut done = 0;
        for (segment, squares) in segments.iter().zip(squares.chunks_exact_mut(width)) {
            let rows = scaled(&(done..done + segment.rows.len()), width);
            let expanded = if expanded.is_empty() { &mut [][..] } else { &mut expanded[rows.clone()] };
            let values = &mut values[rows];
            timed(Kernel::Expansion, || {
                self.input.target.arch.dispatch(BiasGelu { values, bias, expanded, squares });
            });
            done += segment.rows.len();
        }
    }

    /// GRN, the second linear layer and the residual addition.
    fn project(&self, image_block: &ImageBlock, stats: &GrnStats, values: &mut [f32], out: &mut [f32]) {
        let (arch, weights) = (self.input.target.arch, self.input.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work = (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(values, width))
            .zip(image_block.split_by_segment(out, channels));
        parallel::for_each(work, |((row_block, values), outs)| {
            let segments = image_block.segments_of(row_block);
            let mut done = 0;
            for segment in segments.iter().filter(|_| weights.grn.is_some()) {
                let values = &mut values[scaled(&(done..done + segment.rows.len()), width)];
                let scale = stats.scale(image_block.place_of(segment));
                timed(Kernel::Expansion, || arch.dispatch(GrnApply { values, scale, shift: &self.grn[1] }));
                done += segment.rows.len();
            }
            let mut branch = Buffer::take(row_block.rows.len() * channels);
            let y = Matrix::new(values, row_block.rows.len(), width);
            gemm(arch, Kernel::GemmForward, y, &self.layers[1], &mut branch, false);
            self.add_to_rows(segments, &branch, outs);
        });
    }

    /// The residual addition of the segments of a row block.
    fn add_to_rows(&self, segments: &[Segment], branch: &[f32], outs: Vec<&mut [f32]>) {
        let mut rest = branch;
        for (segment, out) in segments.iter().zip(outs) {
            let (branch, after) = rest.split_at(out.len());
            rest = after;
            let residual = Residual {
                rows: &self.input.rows[scaled(&segment.rows, self.input.weights.channels())],
                branch,
                bias: self.projection_bias,
                factor: self.input.factor(segment.image),
                out,
            };
            timed(Kernel::Residual, || self.input.target.arch.dispatch(residual));
        }
    }
}
