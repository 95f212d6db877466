//! Single-threaded f32 GEMM on row-major matrices: `out = left right`.
//!
//! The right side is packed once, and all threads read the same panels, each for its own rows of the left
//! side. A micro-tile of the output, MR rows by one panel, stays in registers while it is accumulated.
//!
//! Callers cut the rows into blocks by shape alone, one task each, so that results do not depend on the
//! number of threads.

mod micro_tiles;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::gemm::micro_tiles::{MR, MicroTiles};
use crate::packed::{KC, Matrix, Packed, Panel};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::scaled;

/// `out = left right`, or `out += left right` with `add`; `out` is row-major.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm(arch: Arch, kernel: Kernel, left: Matrix<'_>, right: &Packed, out: &mut [f32], add: bool) {
    gemm_rows(arch, kernel, left, 0..left.rows, Right::Packed(right), out, add);
}

/// [`gemm`] for a range of rows.
fn gemm_rows(
    arch: Arch,
    kernel: Kernel,
    left: Matrix<'_>,
    rows: Range<usize>,
    right: Right<'_>,
    out: &mut [f32],
    add: bool,
) {
    let [inner, columns] = right.shape();
    assert_eq!(left.columns, inner, "the inner dimensions are equal");
    assert_eq!(out.len(), rows.len() * columns, "the output is [rows, columns]");
    assert!(rows.end <= left.rows, "the rows are in range");
    timed(kernel, || arch.dispatch(Gemm { left, rows, right, out, add }));
}

/// Row blocks of [`gemm_tn_accumulate`]'s output, and the minimum rows of one.
const ROW_BLOCKS: usize = 8;
const MIN_BLOCK_ROWS: usize = 24;

/// `sums += left^T right`: the weight gradient of a linear layer. Every row block of the output has one
/// writer.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm_tn_accumulate(arch: Arch, left: Matrix<'_>, right: Matrix<'_>, sums: &mut [f32]) {
    assert!(!right.transposed, "the right side is row-major");
    let left = left.transposed();
    let (count, width) = (left.rows, right.columns.max(1));
    let right = Right::Rows(right);
    let block_rows = count.div_ceil(ROW_BLOCKS).next_multiple_of(MR).max(MIN_BLOCK_ROWS);
    parallel::for_each(sums.chunks_mut(block_rows * width).enumerate(), |(index, sums)| {
        let begin = index * block_rows;
        let rows = begin..begin + sums.len() / width;
        gemm_rows(arch, Kernel::GemmWeightGradient, left, rows, right, sums, true);
    });
}

/// The right side of a GEMM.
#[derive(Clone, Copy)]
enum Right<'a> {
    /// Packed into panels, because many calls read it.
    Packed(&'a Packed),
    /// Row-major, not packed.
    Rows(Matrix<'a>),
}

impl<'a> Right<'a> {
    /// Inner dimension and columns.
    fn shape(self) -> [usize; 2] {
        match self {
            Self::Packed(packed) => [packed.inner, packed.columns],
            Self::Rows(matrix) => [matrix.rows, matrix.columns],
        }
    }

    /// A range of a panel's rows from its first column on, and its row stride.
    fn panel(self, k_range: &Range<usize>, panel: &Panel) -> (&'a [f32], usize) {
        match self {
            Self::Packed(packed) => (packed.panel(k_range, panel), panel.padded().len()),
            Self::Rows(matrix) => {
                let values = &matrix.values[scaled(k_range, matrix.columns)];
                (&values[panel.columns.start..], matrix.columns)
            }
        }
    }
}

struct Gemm<'a> {
    left: Matrix<'a>,
    rows: Range<usize>,
    right: Right<'a>,
    out: &'a mut [f32],
    add: bool,
}

impl WithSimd for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, rows, right, out, add } = self;
        let [inner, columns] = right.shape();
        if inner == 0 && !add {
            out.fill(0.0);
        }
        for begin in (0..inner).step_by(KC) {
            let k_range = begin..inner.min(begin + KC);
            let add = add || begin > 0;
            for panel in Panel::all(columns) {
                let (values, stride) = right.panel(&k_range, &panel);
                let micro_tiles = MicroTiles {
                    left,
                    rows: rows.clone(),
                    k_range: k_range.clone(),
                    panel: values,
                    stride,
                    first_column: panel.columns.start,
                    columns,
                    add,
                };
                match (left.transposed, panel.padded().len()) {
                    (false, 16) => micro_tiles.run::<S, 16, false>(simd, out),
                    (false, 32) => micro_tiles.run::<S, 32, false>(simd, out),
                    (false, 48) => micro_tiles.run::<S, 48, false>(simd, out),
                    (false, _) => micro_tiles.run::<S, 64, false>(simd, out),
                    (true, 16) => micro_tiles.run::<S, 16, true>(simd, out),
                    (true, 32) => micro_tiles.run::<S, 32, true>(simd, out),
                    (true, 48) => micro_tiles.run::<S, 48, true>(simd, out),
                    (true, _) => micro_tiles.run::<S, 64, true>(simd, out),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::testing::noise;

    /// The reference, in f64.
    fn plain(left: &[f32], right: &[f32], [m, n, k]: [usize; 3]) -> Vec<f64> {
        let value = |place: usize| {
            let (row, column) = (place / n, place % n);
            (0..k).map(|inner| f64::from(left[row * k + inner]) * f64::from(right[inner * n + column])).sum()
        };
        (0..m * n).map(value).collect()
    }

    fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..rows * columns).map(|i| values[(i % rows) * columns + i / rows]).collect()
    }

    #[test]
    fn gemm_of_any_layout_matches_the_reference() {
        let shapes =
            [[1, 1, 1], [5, 7, 3], [64, 40, 160], [33, 129, 17], [300, 16, 70], [13, 200, 600], [4, 3, 0]];
        for [m, n, k] in shapes {
            let (left, right, before) = (noise(m * k, 1), noise(k * n, 2), noise(m * n, 3));
            let (left_transposed, right_transposed) = (transpose(&left, m, k), transpose(&right, k, n));
            let expected = plain(&left, &right, [m, n, k]);
            for (name, arch) in isa_levels() {
                for lhs in [Matrix::new(&left, m, k), Matrix::new(&left_transposed, k, m).transposed()] {
                    for rhs in [Matrix::new(&right, k, n), Matrix::new(&right_transposed, n, k).transposed()]
                    {
                        for add in [false, true] {
                            let mut out = before.clone();
                            gemm(arch, Kernel::GemmForward, lhs, &Packed::new(rhs), &mut out, add);
                            for ((found, expected), before) in out.iter().zip(&expected).zip(&before) {
                                let expected = expected + if add { f64::from(*before) } else { 0.0 };
                                let error = (f64::from(*found) - expected).abs();
                                assert!(error < 1e-4, "{name} {m} x {n} x {k}: {error}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn weight_gradients_accumulate_over_row_blocks() {
        let (rows, outputs, inputs) = (70, 101, 33);
        let (left, right, before) =
            (noise(rows * outputs, 1), noise(rows * inputs, 2), noise(outputs * inputs, 3));
        let expected = plain(&transpose(&left, rows, outputs), &right, [outputs, inputs, rows]);
        for (name, arch) in isa_levels() {
            let mut sums = before.clone();
            let [left, right] =
                [(&left, outputs), (&right, inputs)].map(|(v, columns)| Matrix::new(v, rows, columns));
            gemm_tn_accumulate(arch, left, right, &mut sums);
            for ((found, expected), before) in sums.iter().zip(&expected).zip(&before) {
                assert!((f64::from(*found) - expected - f64::from(*before)).abs() < 1e-4, "{name}");
            }
        }
    }
}
