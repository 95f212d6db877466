//! LayerNorm of the rows of a row block, segment by segment.
//!
//! Notation: N images, R rows of one image, C channels.

use pulp::Arch;

use crate::block::weights::BlockWeights;
use crate::block_sums::RowBlockSums;
use crate::blocking::Segment;
use crate::layer_norm::{LayerNorm, LayerNormGradient};
use crate::profile::{Kernel, timed};
use crate::split::scaled;

/// LayerNorm between the convolution's output, `[N R, C]`, and the rows of a row block, `[count, C]`.
pub(crate) struct SegmentNorm<'a> {
    pub(crate) arch: Arch,
    pub(crate) weights: &'a BlockWeights<'a>,
    pub(crate) segments: &'a [Segment],
    /// The convolution's output, `[N R, C]`.
    pub(crate) depthwise: &'a [f32],
}

impl SegmentNorm<'_> {
    /// Normalises the rows of the row block into `normal`, `[count, C]`.
    pub(crate) fn forward(&self, normal: &mut [f32]) {
        let channels = self.weights.channels();
        let mut rest = normal;
        for segment in self.segments {
            let (out, after) = rest.split_at_mut(segment.rows.len() * channels);
            rest = after;
            let norm = LayerNorm {
                rows: &self.depthwise[scaled(&segment.rows, channels)],
                weight: self.weights.norm_weight,
                bias: self.weights.norm_bias,
                out,
            };
            timed(Kernel::LayerNorm, || self.arch.dispatch(norm));
        }
    }

    /// From the gradient of [`SegmentNorm::forward`]'s output, `[count, C]`, to that of the convolution's
    /// output, by segment.
    pub(crate) fn backward(&self, dnormal: &[f32], outs: Vec<&mut [f32]>, sums: &mut RowBlockSums) {
        let mut rest = dnormal;
        for (segment, drows) in self.segments.iter().zip(outs) {
            let (dout, after) = rest.split_at(drows.len());
            rest = after;
            let norm = LayerNormGradient {
                rows: &self.depthwise[scaled(&segment.rows, self.weights.channels())],
                weight: self.weights.norm_weight,
                dout,
                drows,
                dweight: &mut sums.norm_weight,
                dbias: &mut sums.norm_bias,
            };
            timed(Kernel::LayerNormGradient, || self.arch.dispatch(norm));
        }
    }
}
