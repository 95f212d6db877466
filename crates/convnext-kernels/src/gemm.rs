//! Single-threaded f32 GEMM on row-major matrices: `out = left right`.
//!
//! The right side is packed once, and all threads read the same panels, each for its own rows of the left
//! side. A micro-tile of the output, MR rows by one panel, stays in registers while it is accumulated.
//!
//! Callers cut the rows into blocks by shape alone, one task each, so that results do not depend on the
//! number of threads.

mod micro_tiles;
pub(crate) mod weight_gradient;

use pulp::{Arch, Simd, WithSimd};

use crate::gemm::micro_tiles::MicroTiles;
use crate::packed::{KC, Matrix, Packed, Panel};
use crate::profile::{Kernel, timed};

/// `out = left right`, or `out += left right` with `add`; `out` is row-major.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm(arch: Arch, kernel: Kernel, left: Matrix<'_>, right: &Packed, out: &mut [f32], add: bool) {
    assert!(!left.transposed, "the left side is row-major");
    assert_eq!(left.columns, right.inner, "the inner dimensions are equal");
    assert_eq!(out.len(), left.rows * right.columns, "the output is [rows, columns]");
    timed(kernel, || arch.dispatch(Gemm { left, right, out, add }));
}

struct Gemm<'a> {
    left: Matrix<'a>,
    right: &'a Packed,
    out: &'a mut [f32],
    add: bool,
}

impl WithSimd for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, out, add } = self;
        if right.inner == 0 && !add {
            out.fill(0.0);
        }
        for begin in (0..right.inner).step_by(KC) {
            let k_range = begin..right.inner.min(begin + KC);
            for panel in Panel::all(right.columns) {
                let micro_tiles = MicroTiles {
                    left,
                    k_range: k_range.clone(),
                    panel: right.panel(&k_range, &panel),
                    first_column: panel.columns.start,
                    columns: right.columns,
                    add: add || begin > 0,
                };
                match panel.padded().len() {
                    16 => micro_tiles.run::<S, 16>(simd, out),
                    32 => micro_tiles.run::<S, 32>(simd, out),
                    48 => micro_tiles.run::<S, 48>(simd, out),
                    _ => micro_tiles.run::<S, 64>(simd, out),
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
            let right_transposed = transpose(&right, k, n);
            let expected = plain(&left, &right, [m, n, k]);
            let sides = [Matrix::new(&right, k, n), Matrix::new(&right_transposed, n, k).transposed()];
            for ((name, arch), rhs) in
                isa_levels().into_iter().flat_map(|level| sides.map(|rhs| (level, rhs)))
            {
                for add in [false, true] {
                    let mut out = before.clone();
                    let lhs = Matrix::new(&left, m, k);
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
