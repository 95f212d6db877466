//! Epilogues: operations on the output of a GEMM while it is in a cache near to the core.

use std::ops::Range;

use pulp::Simd;

use crate::lanes::{add, load, store};
use crate::profile::Kernel;
use crate::storage::{Lane, Storage};

/// Rows of the output, as they were accumulated.
#[derive(Clone, Copy)]
pub(crate) struct Accumulated<'a> {
    /// From the first row and column on.
    pub(crate) values: &'a [f32],
    /// Values to a row; those beyond its columns are undefined.
    pub(crate) stride: usize,
}

impl<'a> Accumulated<'a> {
    /// A row.
    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.stride]
    }
}

/// An operation that consumes the output of a GEMM, block by block. Activations beside it are stored as lanes L.
pub(crate) trait Epilogue<L: Lane> {
    /// The kernel that its time counts for where it is not fused; `None` is the GEMM's.
    const KERNEL: Option<Kernel> = None;

    /// Consumes these rows and columns of the output.
    fn apply<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        rows: Range<usize>,
        columns: Range<usize>,
        accumulated: Accumulated<'_>,
    );
}

/// Epilogue: adds the output to `sums`.
pub(crate) struct Add<'a> {
    /// `[rows, columns]`.
    pub(crate) sums: &'a mut [f32],
    pub(crate) columns: usize,
}

impl<L: Lane> Epilogue<L> for Add<'_> {
    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        rows: Range<usize>,
        columns: Range<usize>,
        accumulated: Accumulated<'_>,
    ) {
        let simd = storage.simd();
        for (at, row) in rows.enumerate() {
            let sums = &mut self.sums[row * self.columns..][columns.clone()];
            for place in (0..sums.len()).step_by(S::Simd::F32_LANES) {
                add(simd, sums, place, load(simd, accumulated.row(at), place));
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
        accumulated: Accumulated<'_>,
    ) {
        let simd = storage.simd();
        for (at, row) in rows.enumerate() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(S::Simd::F32_LANES) {
                store(simd, out, place, load(simd, accumulated.row(at), place));
            }
        }
    }
}
