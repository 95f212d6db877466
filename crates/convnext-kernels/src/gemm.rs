//! Single-threaded f32 GEMM on row-major matrices: `out = left right`.
//!
//! The right side is packed once, and all threads read the same panels, each for its own rows of the left
//! side. A micro-tile of the output, MR rows by one panel, stays in registers while it is accumulated.
//!
//! Callers cut the rows into blocks by shape alone, one task each, so that results do not depend on the
//! number of threads.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::lanes::{load, store};
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

/// Rows of a micro-tile, at most.
const MR: usize = 6;

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

/// The micro-tiles of one panel.
struct MicroTiles<'a> {
    left: Matrix<'a>,
    rows: Range<usize>,
    k_range: Range<usize>,
    /// Row-major; what follows the panel's columns within the stride is undefined.
    panel: &'a [f32],
    stride: usize,
    first_column: usize,
    columns: usize,
    add: bool,
}

impl MicroTiles<'_> {
    /// A panel of W columns, as many registers at a time as the instruction set has room for.
    #[inline(always)]
    fn run<S: Simd, const W: usize, const TRANSPOSED: bool>(&self, simd: S, out: &mut [f32]) {
        match S::F32_LANES {
            16 => match W {
                64 => self.panel_columns::<S, 4, W, TRANSPOSED>(simd, 0, out),
                48 => self.panel_columns::<S, 3, W, TRANSPOSED>(simd, 0, out),
                32 => self.panel_columns::<S, 2, W, TRANSPOSED>(simd, 0, out),
                _ => self.panel_columns::<S, 1, W, TRANSPOSED>(simd, 0, out),
            },
            8 => (0..W).step_by(16).for_each(|at| self.panel_columns::<S, 2, W, TRANSPOSED>(simd, at, out)),
            lanes => (0..W)
                .step_by(4 * lanes)
                .for_each(|at| self.panel_columns::<S, 4, W, TRANSPOSED>(simd, at, out)),
        }
    }

    /// All rows of a panel's V registers of columns.
    #[inline(always)]
    fn panel_columns<S: Simd, const V: usize, const W: usize, const TRANSPOSED: bool>(
        &self,
        simd: S,
        at: usize,
        out: &mut [f32],
    ) {
        let count = self.rows.len();
        let mut row = 0;
        while row + MR <= count {
            self.micro_kernel::<S, MR, V, W, TRANSPOSED>(simd, row, at, out);
            row += MR;
        }
        while row + 2 <= count {
            self.micro_kernel::<S, 2, V, W, TRANSPOSED>(simd, row, at, out);
            row += 2;
        }
        if row < count {
            self.micro_kernel::<S, 1, V, W, TRANSPOSED>(simd, row, at, out);
        }
    }

    /// The micro-kernel: M rows by V registers, accumulated over the panel's rows.
    #[inline(always)]
    fn micro_kernel<S: Simd, const M: usize, const V: usize, const W: usize, const TRANSPOSED: bool>(
        &self,
        simd: S,
        row: usize,
        at: usize,
        out: &mut [f32],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let first = self.rows.start + row;
        let depth = self.k_range.len();
        // At the end of an unpacked matrix a row is shorter than the panel and needs partial loads.
        let whole = depth.min((self.panel.len() + self.stride).saturating_sub(W) / self.stride);
        if TRANSPOSED {
            let stride = self.left.rows;
            let left = &self.left.values[self.k_range.start * stride + first..];
            let factors = |inner: usize| &left[inner * stride..][..M];
            for inner in 0..whole {
                let factors = factors(inner);
                let panel = self.panel_row::<S, V, W>(inner, at);
                multiply_add(simd, &mut sums, |row| factors[row], panel);
            }
            for inner in whole..depth {
                let factors = factors(inner);
                multiply_add(
                    simd,
                    &mut sums,
                    |row| factors[row],
                    &self.last_panel_row::<S, V>(simd, inner, at),
                );
            }
        } else {
            let stride = self.left.columns;
            let rows: [&[f32]; M] = std::array::from_fn(|m| {
                &self.left.values[(first + m) * stride + self.k_range.start..][..depth]
            });
            let factors = |inner: usize| move |row: usize| rows[row][inner];
            for inner in 0..whole {
                let panel = self.panel_row::<S, V, W>(inner, at);
                multiply_add(simd, &mut sums, factors(inner), panel);
            }
            for inner in whole..depth {
                multiply_add(simd, &mut sums, factors(inner), &self.last_panel_row::<S, V>(simd, inner, at));
            }
        }
        for (m, sums) in sums.into_iter().enumerate() {
            let out = &mut out[(row + m) * self.columns..][..self.columns];
            for (v, sum) in sums.into_iter().enumerate() {
                let at = self.first_column + at + v * S::F32_LANES;
                if at < self.columns {
                    let value = if self.add { simd.add_f32s(load(simd, out, at), sum) } else { sum };
                    store(simd, out, at, value);
                }
            }
        }
    }
}

impl MicroTiles<'_> {
    /// V registers of a row of the panel.
    #[inline(always)]
    fn panel_row<S: Simd, const V: usize, const W: usize>(&self, inner: usize, at: usize) -> &[S::f32s; V] {
        let row = &self.panel[inner * self.stride..][..W];
        S::as_simd_f32s(&row[at..]).0.first_chunk().unwrap_or_else(|| unreachable!("a panel has W columns"))
    }

    /// V registers of a row that ends early, zero-padded.
    #[inline(always)]
    fn last_panel_row<S: Simd, const V: usize>(&self, simd: S, inner: usize, at: usize) -> [S::f32s; V] {
        let row = &self.panel[inner * self.stride..];
        std::array::from_fn(|v| load(simd, row, (at + v * S::F32_LANES).min(row.len())))
    }
}

/// One rank-1 update of a micro-tile.
#[inline(always)]
fn multiply_add<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; M],
    factor: impl Fn(usize) -> f32,
    lanes: &[S::f32s; V],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let factor = simd.splat_f32s(factor(row));
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = simd.mul_add_e_f32s(factor, *lanes, *sum);
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
