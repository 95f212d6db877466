//! Epilogues: operations on a micro-tile once it is accumulated, while it is in the L1 cache.

use std::ops::Range;

use pulp::Simd;

use crate::bf16::bf16x2::Bf16x2;
use crate::bf16::packed::MAX_NR;
use crate::lanes::{add, load, store};

/// Maximum rows of a micro-tile.
pub(crate) const MAX_MR: usize = 12;

/// Accumulated output of up to MR rows by the columns of one panel; undefined beyond them.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct MicroTile(pub(crate) [[f32; MAX_NR]; MAX_MR]);

impl MicroTile {
    /// A row, from the panel's first column on.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32; MAX_NR] {
        &self.0[row]
    }
}

/// An operation fused into a GEMM: it consumes the accumulated micro-tiles.
pub(crate) trait Epilogue {
    /// Consumes the micro-tile of these rows and columns of the output.
    fn apply<B: Bf16x2>(&mut self, ops: B, rows: Range<usize>, columns: Range<usize>, micro_tile: &MicroTile);
}

/// Epilogue: adds the output to `sums`.
pub(crate) struct Add<'a> {
    /// `[rows, columns]`.
    pub(crate) sums: &'a mut [f32],
    pub(crate) columns: usize,
}

impl Epilogue for Add<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        for (at, row) in rows.enumerate() {
            let sums = &mut self.sums[row * self.columns..][columns.clone()];
            for place in (0..sums.len()).step_by(B::Simd::F32_LANES) {
                add(simd, sums, place, load(simd, &micro_tile.0[at][..sums.len()], place));
            }
        }
    }
}

/// Epilogue: stores the output, with a bias if there is one.
pub(crate) struct Store<'a> {
    /// `[rows, columns]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) columns: usize,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Epilogue for Store<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        for (at, row) in rows.enumerate() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(B::Simd::F32_LANES) {
                let mut value = load(simd, micro_tile.row(at), place);
                if let Some(bias) = self.bias {
                    value = simd.add_f32s(value, load(simd, &bias[columns.clone()], place));
                }
                store(simd, out, place, value);
            }
        }
    }
}
