//! Single-threaded f32 GEMM on row-major matrices: `left right`, given to an [`Epilogue`].
//!
//! The right side is packed once, and all threads read the same panels, each for its own rows of the left
//! side. A micro-tile of the output, MR rows by one panel, stays in registers while it is accumulated over a
//! KC block; the sums of KC blocks before the last are in a buffer.
//!
//! Callers cut the rows into blocks by shape alone, one task each, so that results do not depend on the
//! number of threads.

pub(crate) mod epilogue;
mod micro_tiles;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gemm::epilogue::{Add, Epilogue};
use crate::gemm::micro_tiles::{MR, MicroTiles};
use crate::packed::{KC, Matrix, NR_MULTIPLE, Packed, Panel};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::scaled;

/// `left right`, given to `epilogue`.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm(
    arch: Arch,
    kernel: Kernel,
    left: Matrix<'_>,
    right: &Packed,
    epilogue: &mut impl Epilogue<f32>,
) {
    assert!(!left.transposed, "the left side is row-major");
    assert_eq!(left.columns, right.inner, "the inner dimensions are equal");
    let right = Right::Packed(right);
    timed(kernel, || arch.dispatch(Gemm::<_, false> { left, rows: 0..left.rows, right, epilogue }));
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
    assert!(!left.transposed && !right.transposed, "both sides are row-major");
    assert_eq!(left.rows, right.rows, "both sides have the same rows");
    let left = left.transposed();
    let (count, width) = (left.rows, right.columns.max(1));
    let right = Right::Rows(right);
    let block_rows = count.div_ceil(ROW_BLOCKS).next_multiple_of(MR).max(MIN_BLOCK_ROWS);
    parallel::for_each(sums.chunks_mut(block_rows * width).enumerate(), |(index, sums)| {
        let begin = index * block_rows;
        let rows = begin..begin + sums.len() / width;
        let epilogue = &mut Add { sums, columns: width };
        let work = Gemm::<_, true> { left, rows, right, epilogue };
        timed(Kernel::GemmWeightGradient, || arch.dispatch(work));
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

struct Gemm<'a, F, const TRANSPOSED: bool> {
    left: Matrix<'a>,
    rows: Range<usize>,
    right: Right<'a>,
    epilogue: &'a mut F,
}

impl<F: Epilogue<f32>, const TRANSPOSED: bool> WithSimd for Gemm<'_, F, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, rows, right, epilogue } = self;
        let [inner, columns] = right.shape();
        // All products are added up at once, or the epilogue adds them up.
        let whole = inner <= KC || F::ADDS;
        let padded = columns.next_multiple_of(NR_MULTIPLE);
        let mut partial = Buffer::take(if whole { 0 } else { rows.len() * padded });
        for begin in (0..inner.max(1)).step_by(KC) {
            let k_range = begin..inner.min(begin + KC);
            let ends = [whole || begin == 0, whole || k_range.end == inner];
            for panel in Panel::all(columns) {
                let (values, stride) = right.panel(&k_range, &panel);
                // Registers of fewer than 16 lanes take 16 columns at a time.
                let width = if S::F32_LANES < 16 { NR_MULTIPLE } else { panel.padded().len() };
                for at in panel.padded().step_by(width) {
                    let micro_tiles = MicroTiles {
                        left,
                        rows: rows.clone(),
                        k_range: k_range.clone(),
                        panel: &values[at - panel.columns.start..],
                        stride,
                        columns: at..columns.min(at + width),
                        ends,
                    };
                    let partial = match whole {
                        true => &mut [][..],
                        false => &mut partial[scaled(&(at..at + width), rows.len())],
                    };
                    match (S::F32_LANES, width) {
                        (16, 64) => micro_tiles.run::<S, 4, 64, TRANSPOSED>(simd, partial, epilogue),
                        (16, 48) => micro_tiles.run::<S, 3, 48, TRANSPOSED>(simd, partial, epilogue),
                        (16, 32) => micro_tiles.run::<S, 2, 32, TRANSPOSED>(simd, partial, epilogue),
                        (16, _) => micro_tiles.run::<S, 1, 16, TRANSPOSED>(simd, partial, epilogue),
                        (8, _) => micro_tiles.run::<S, 2, 16, TRANSPOSED>(simd, partial, epilogue),
                        _ => micro_tiles.run::<S, 4, 16, TRANSPOSED>(simd, partial, epilogue),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::epilogue::Store;
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
            let right_transposed = transpose(&right, k, n);
            let expected = plain(&left, &right, [m, n, k]);
            for (name, arch) in isa_levels() {
                for rhs in [Matrix::new(&right, k, n), Matrix::new(&right_transposed, n, k).transposed()] {
                    let (lhs, rhs) = (Matrix::new(&left, m, k), Packed::new(rhs));
                    let check = |out: &[f32], before: &dyn Fn(usize) -> f32| {
                        for (place, (found, expected)) in out.iter().zip(&expected).enumerate() {
                            let error = (f64::from(*found) - expected - f64::from(before(place))).abs();
                            assert!(error < 1e-4, "{name} {m} x {n} x {k}: {error}");
                        }
                    };
                    let mut out = vec![f32::NAN; m * n];
                    gemm(arch, Kernel::GemmForward, lhs, &rhs, &mut Store { out: &mut out, columns: n });
                    check(&out, &|_| 0.0);
                    out.copy_from_slice(&before);
                    gemm(arch, Kernel::GemmForward, lhs, &rhs, &mut Add { sums: &mut out, columns: n });
                    check(&out, &|place| before[place]);
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
