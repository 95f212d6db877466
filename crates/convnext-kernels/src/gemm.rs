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
pub(crate) mod weight_gradient;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gemm::epilogue::Epilogue;
use crate::gemm::micro_tiles::MicroTiles;
use crate::packed::{KC, Matrix, NR_MULTIPLE, Packed, Panel};
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
    timed(kernel, || arch.dispatch(Gemm { left, right, epilogue }));
}

struct Gemm<'a, F> {
    left: Matrix<'a>,
    right: &'a Packed,
    epilogue: &'a mut F,
}

impl<F: Epilogue<f32>> WithSimd for Gemm<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, epilogue } = self;
        let (inner, columns) = (right.inner, right.columns);
        // All products are added up at once, or the epilogue adds them up.
        let whole = inner <= KC || F::ADDS;
        let padded = columns.next_multiple_of(NR_MULTIPLE);
        let mut partial = Buffer::take(if whole { 0 } else { left.rows * padded });
        for begin in (0..inner.max(1)).step_by(KC) {
            let k_range = begin..inner.min(begin + KC);
            let ends = [whole || begin == 0, whole || k_range.end == inner];
            for panel in Panel::all(columns) {
                let micro_tiles = MicroTiles {
                    left,
                    k_range: k_range.clone(),
                    panel: right.panel(&k_range, &panel),
                    columns: panel.columns.clone(),
                    ends,
                };
                let partial = match whole {
                    true => &mut [][..],
                    false => &mut partial[scaled(&panel.padded(), left.rows)],
                };
                match panel.padded().len() {
                    16 => micro_tiles.run::<S, 16>(simd, partial, epilogue),
                    32 => micro_tiles.run::<S, 32>(simd, partial, epilogue),
                    48 => micro_tiles.run::<S, 48>(simd, partial, epilogue),
                    _ => micro_tiles.run::<S, 64>(simd, partial, epilogue),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::epilogue::{Add, Store};
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
}
