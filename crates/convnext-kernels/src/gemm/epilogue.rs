//! Epilogues: operations on a micro-tile once it is accumulated, while it is in the L1 cache.

use std::ops::Range;

use pulp::Simd;

use crate::lanes::{add, load, store};
use crate::storage::{Lane, Storage};

/// Maximum MR. The f32 GEMM gives two micro-tiles of half as many rows to an epilogue at once.
pub(crate) const MAX_MR: usize = 12;

/// Maximum NR, the columns of a panel.
pub(crate) const MAX_NR: usize = 64;

/// Accumulated output of up to so many rows by the columns of one panel; undefined beyond them.
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

/// An operation fused into a GEMM: it consumes the accumulated micro-tiles. Activations beside them are
/// stored as lanes L.
pub(crate) trait Epilogue<L: Lane> {
    /// `true` if it adds the micro-tiles up: then the sums of each KC block are given to it in turn.
    const ADDS: bool = false;

    /// Consumes the micro-tile of these rows and columns of the output.
    fn apply<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    );
}

/// Epilogue: adds the output to `sums`.
pub(crate) struct Add<'a> {
    /// `[rows, columns]`.
    pub(crate) sums: &'a mut [f32],
    pub(crate) columns: usize,
}

impl<L: Lane> Epilogue<L> for Add<'_> {
    const ADDS: bool = true;

    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = storage.simd();
        for (at, row) in rows.enumerate() {
            let sums = &mut self.sums[row * self.columns..][columns.clone()];
            for place in (0..sums.len()).step_by(S::Simd::F32_LANES) {
                add(simd, sums, place, load(simd, micro_tile.row(at), place));
            }
        }
    }
}

/// Epilogue: stores the output.
pub(crate) struct Store<'a> {
    /// `[rows, columns]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) columns: usize,
}

impl<L: Lane> Epilogue<L> for Store<'_> {
    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = storage.simd();
        for (at, row) in rows.enumerate() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(S::Simd::F32_LANES) {
                store(simd, out, place, load(simd, micro_tile.row(at), place));
            }
        }
    }
}
