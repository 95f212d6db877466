//! The residual addition at the end of a block, and its gradient.
//!
//! Notation: R rows, C channels.

use pulp::{Simd, WithSimd};

use crate::gemm::epilogue::{Epilogue, Output};
use crate::lanes::{add, load, store};
use crate::profile::Kernel;
use crate::segment_ends::SegmentEnds;
use crate::storage::{Lane, Storage};

/// Epilogue: the residual addition, `out = rows + factor (branch + bias)`.
pub(crate) struct Residual<'a> {
    pub(crate) segments: &'a SegmentEnds,
    /// Of each segment, `[R, C]`.
    pub(crate) rows: Vec<&'a [f32]>,
    /// Drop path's factor of each segment's image.
    pub(crate) factors: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// Of each segment, `[R, C]`.
    pub(crate) outs: Vec<&'a mut [f32]>,
}

impl<L: Lane> Epilogue<L> for Residual<'_> {
    const KERNEL: Option<Kernel> = Some(Kernel::Residual);

    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(&mut self, storage: S, output: &Output<'_>) {
        let simd = storage.simd();
        let width = self.bias.len();
        let columns = &output.columns;
        let bias = &self.bias[columns.clone()];
        for (segment, rows) in self.segments.of(output.rows.clone()) {
            let begin = self.segments.begin(segment);
            let factor = simd.splat_f32s(self.factors[segment]);
            for row in rows {
                let place = (row - begin) * width;
                let from = &self.rows[segment][place..][columns.clone()];
                let out = &mut self.outs[segment][place..][columns.clone()];
                for at in (0..out.len()).step_by(S::Simd::F32_LANES) {
                    let branch = simd.add_f32s(load(simd, output.row(row), at), load(simd, bias, at));
                    store(simd, out, at, simd.mul_add_e_f32s(branch, factor, load(simd, from, at)));
                }
            }
        }
    }
}

/// Scales rows, `out = factor rows`, and sums them.
pub(crate) struct ScaleRows<'a> {
    /// `[R, C]`.
    pub(crate) rows: &'a [f32],
    pub(crate) factor: f32,
    /// `[R, C]`.
    pub(crate) out: &'a mut [f32],
    /// The output rows are added, `[C]`.
    pub(crate) sums: &'a mut [f32],
}

impl WithSimd for ScaleRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, factor, out, sums } = self;
        let (width, factor) = (sums.len(), simd.splat_f32s(factor));
        for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for at in (0..width).step_by(S::F32_LANES) {
                let value = simd.mul_f32s(load(simd, row, at), factor);
                store(simd, out, at, value);
                add(simd, sums, at, value);
            }
        }
    }
}
