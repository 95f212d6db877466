//! The micro-tiles of a weight gradient's f32 GEMM: both sides are read across their rows, a few columns at a time.

use std::ops::Range;
use std::slice::Chunks;

use pulp::Simd;

use crate::lanes::{add, load};
use crate::packed::Matrix;

/// NR, the columns of a panel, at most.
pub(crate) const MAX_NR: usize = 64;

/// Lanes of a register from which on a panel is as wide as several cache lines, and read where it lies.
pub(crate) const WIDE_LANES: usize = 16;

/// Columns of a matrix.
#[derive(Clone)]
pub(crate) struct Columns<'a> {
    pub(crate) matrix: Matrix<'a>,
    pub(crate) columns: Range<usize>,
}

impl<'a> Columns<'a> {
    /// The rows from `row` on, each from the column of this index on.
    #[inline(always)]
    pub(crate) fn rows_from(&self, row: usize, column: usize) -> Chunks<'a, f32> {
        let stride = self.matrix.columns;
        self.matrix.values[row * stride + self.columns.start + column..].chunks(stride)
    }
}

/// The columns of each panel: as few panels as possible, and then as equal as possible, of whole registers, at most
/// four, and two of eight lanes, which is what fits into the register file.
#[inline(always)]
pub(crate) fn panels(columns: usize, lanes: usize) -> impl Iterator<Item = Range<usize>> {
    let max = if lanes == 8 { 2 * lanes } else { 4 * lanes };
    let width = columns.div_ceil(columns.div_ceil(max).max(1)).next_multiple_of(lanes).max(lanes);
    (0..columns).step_by(width).map(move |begin| begin..columns.min(begin + width))
}

/// The first M columns of a row.
#[inline(always)]
pub(crate) fn first_columns<const M: usize>(row: &[f32]) -> &[f32; M] {
    row.first_chunk().unwrap_or_else(|| unreachable!("the left side has M columns"))
}

/// Copies the first columns of each row, as many as a micro-tile has.
#[inline(always)]
pub(crate) fn copy_micro_tile(from: Chunks<'_, f32>, columns: usize, copy: &mut [f32]) {
    match columns {
        6 => copy_columns::<6>(from, copy),
        5 => copy_columns::<5>(from, copy),
        4 => copy_columns::<4>(from, copy),
        3 => copy_columns::<3>(from, copy),
        2 => copy_columns::<2>(from, copy),
        _ => copy_columns::<1>(from, copy),
    }
}

/// Copies the first M columns of each row.
#[inline(always)]
fn copy_columns<const M: usize>(from: Chunks<'_, f32>, copy: &mut [f32]) {
    for (copy, row) in copy.as_chunks_mut::<M>().0.iter_mut().zip(from) {
        *copy = *first_columns(row);
    }
}

/// A copy of a range of rows of a panel of V registers; empty for one that is read where it lies.
#[inline(always)]
pub(crate) fn copied_panel<'a, S: Simd, const V: usize>(
    simd: S,
    panel: &Columns<'_>,
    k_range: &Range<usize>,
    copy: &'a mut [f32],
) -> &'a [[S::f32s; V]] {
    let columns = panel.columns.len();
    let reads_in_place = S::F32_LANES >= WIDE_LANES && columns == V * S::F32_LANES;
    let (copy, _) = S::as_mut_simd_f32s(copy).0.as_chunks_mut::<V>();
    let copy = &mut copy[..if reads_in_place { 0 } else { k_range.len() }];
    copy_panel(simd, panel.rows_from(k_range.start, 0), columns, copy);
    copy
}

/// Copies a panel of V registers a row.
#[inline(always)]
fn copy_panel<S: Simd, const V: usize>(
    simd: S,
    from: Chunks<'_, f32>,
    columns: usize,
    copy: &mut [[S::f32s; V]],
) {
    for (registers, row) in copy.iter_mut().zip(from) {
        let row = &row[..columns];
        for (v, register) in registers.iter_mut().enumerate() {
            *register = load(simd, row, (v * S::F32_LANES).min(row.len()));
        }
    }
}

/// The output from a micro-tile's first value on.
pub(crate) struct Output<'a> {
    pub(crate) sums: &'a mut [f32],
    pub(crate) stride: usize,
    /// Columns of the panel.
    pub(crate) columns: usize,
}

/// The micro-kernel: M columns of the left side by V registers, accumulated over the panel's rows.
#[inline(always)]
pub(crate) fn micro_kernel<'a, S: Simd, const M: usize, const V: usize>(
    simd: S,
    left: impl Iterator<Item = &'a [f32; M]>,
    right: impl Iterator<Item = &'a [S::f32s; V]>,
    out: Output<'_>,
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; M];
    for (lanes, factors) in right.zip(left) {
        for (sums, factor) in sums.iter_mut().zip(factors) {
            let factor = simd.splat_f32s(*factor);
            for (sum, lanes) in sums.iter_mut().zip(lanes) {
                *sum = simd.mul_add_e_f32s(factor, *lanes, *sum);
            }
        }
    }
    for (sums, out_row) in sums.into_iter().zip(out.sums.chunks_mut(out.stride)) {
        let out_row = &mut out_row[..out.columns];
        for (at, sum) in (0..out.columns).step_by(S::F32_LANES).zip(sums) {
            add(simd, out_row, at, sum);
        }
    }
}
