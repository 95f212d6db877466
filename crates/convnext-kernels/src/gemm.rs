//! Single-threaded f32 GEMM: `left right`, given to an [`Epilogue`]. The left side is a row-major matrix, or the
//! neighbours of each row of a map ([`Left`]).
//!
//! The right side is packed once, and all threads read the same panels, each for its own rows of the left
//! side. A micro-tile of the output, MR rows by one panel, stays in registers while it is accumulated over a
//! KC block. A strip of rows is accumulated in the L2 cache, and then given to the epilogue a few rows at a time,
//! so that both read whole rows: micro-tile by micro-tile, an epilogue would touch a page for each row of a panel.
//!
//! Callers cut the rows into blocks by shape alone, one task each, so that results do not depend on the
//! number of threads.

pub(crate) mod epilogue;
pub(crate) mod left;
pub(crate) mod micro_tiles;
pub(crate) mod transposed_micro_tiles;
pub(crate) mod weight_gradient;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gemm::epilogue::{Epilogue, Output};
use crate::gemm::left::{Left, Part, parts};
use crate::gemm::micro_tiles::MicroTiles;
use crate::lanes::{load, store};
use crate::packed::{KC, Matrix, NR_MULTIPLE, Packed};
use crate::profile::{Kernel, timed};
use crate::storage::{OnExact, Storage, WithStorage};

/// Lanes of a register from which on a panel is so wide that few of them read a strip: a scattered left side is then read
/// where it lies, and else copied once for all panels.
const LEFT_IN_PLACE_LANES: usize = 16;

/// Rows that are given to an epilogue at a time: few enough to stay in the L1 cache, enough to amortise its loads of
/// per-column values.
const EPILOGUE_ROWS: usize = 4;

/// `left right`, given to `epilogue`.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm<L: Left, F: Epilogue<f32>>(
    arch: Arch,
    kernel: Kernel,
    left: L,
    right: &Packed,
    epilogue: &mut F,
) {
    assert_eq!(left.inner(), right.inner, "the inner dimensions are equal");
    let (columns, stride) = (right.columns, right.columns.next_multiple_of(NR_MULTIPLE));
    let strips = left.rows().div_ceil(L::STRIP_ROWS);
    let mut sums = Buffer::take(left.rows().min(L::STRIP_ROWS) * stride);
    for rows in (0..strips).map(|strip| strip * left.rows() / strips..(strip + 1) * left.rows() / strips) {
        let strip = left.strip(rows.clone());
        let sums = &mut sums[..rows.len() * stride];
        timed(kernel, || arch.dispatch(Products { left: strip, right, sums }));
        let apply =
            ApplyEpilogue { epilogue, output: Output { rows, columns: 0..columns, values: sums, stride } };
        timed(F::KERNEL.unwrap_or(kernel), || arch.dispatch(OnExact(apply)));
    }
}

/// The products of a strip.
struct Products<'a, L> {
    left: L,
    right: &'a Packed,
    /// `[rows, padded columns]`.
    sums: &'a mut [f32],
}

impl<L: Left> WithSimd for Products<'_, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, sums } = self;
        if right.inner == 0 {
            sums.fill(0.0);
        }
        let copies = L::SCATTERED && S::F32_LANES < LEFT_IN_PLACE_LANES;
        let mut copy = Buffer::take(if copies { left.rows() * KC } else { 0 });
        for begin in (0..right.inner).step_by(KC) {
            let k_range = begin..right.inner.min(begin + KC);
            let parts = parts(left, &k_range);
            if copies {
                let copy = &mut copy[..left.rows() * k_range.len()];
                copy_parts(simd, left, &parts, copy);
                let left = Matrix::new(copy, left.rows(), k_range.len());
                let part = [Part { slice: 0, columns: 0..k_range.len() }];
                KcBlock { left, parts: &part, right, k_range }.multiply(simd, sums);
            } else {
                KcBlock { left, parts: &parts, right, k_range }.multiply(simd, sums);
            }
        }
    }
}

/// Copies parts of the rows of a left side: `[rows, values of all parts]`.
#[inline(always)]
fn copy_parts<S: Simd>(simd: S, left: impl Left, parts: &[Part], copy: &mut [f32]) {
    for (row, mut copy) in copy.chunks_exact_mut(copy.len() / left.rows().max(1)).enumerate() {
        for part in parts {
            let (to, rest) = copy.split_at_mut(part.columns.len());
            let from = left.part(row, part);
            for at in (0..from.len()).step_by(S::F32_LANES) {
                store(simd, to, at, load(simd, from, at));
            }
            copy = rest;
        }
    }
}

/// A KC block of both sides.
struct KcBlock<'a, L> {
    left: L,
    parts: &'a [Part],
    right: &'a Packed,
    k_range: Range<usize>,
}

impl<L: Left> KcBlock<'_, L> {
    /// The products of all panels, which the first KC block stores, and the others add.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, sums: &mut [f32]) {
        let Self { left, parts, right, ref k_range } = *self;
        for panel in right.panels() {
            let micro_tiles = MicroTiles {
                left,
                parts,
                panel: right.panel(k_range, &panel),
                columns: panel.columns.clone(),
                stride: right.columns.next_multiple_of(NR_MULTIPLE),
                add: k_range.start > 0,
            };
            match panel.padded().len() {
                16 => micro_tiles.run::<S, 16>(simd, sums),
                32 => micro_tiles.run::<S, 32>(simd, sums),
                48 => micro_tiles.run::<S, 48>(simd, sums),
                _ => micro_tiles.run::<S, 64>(simd, sums),
            }
        }
    }
}

/// The epilogue of a strip.
struct ApplyEpilogue<'a, F> {
    epilogue: &'a mut F,
    output: Output<'a>,
}

impl<F: Epilogue<f32>> WithStorage<f32> for ApplyEpilogue<'_, F> {
    #[inline(always)]
    fn with_storage<S: Storage<Lane = f32>>(self, storage: S) {
        let Self { epilogue, output: Output { rows, columns, values, stride } } = self;
        let blocks = rows.clone().step_by(EPILOGUE_ROWS).zip(values.chunks(EPILOGUE_ROWS * stride));
        for (begin, values) in blocks {
            let rows = begin..rows.end.min(begin + EPILOGUE_ROWS);
            epilogue.apply(storage, &Output { rows, columns: columns.clone(), values, stride });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::epilogue::{Onto, Store};
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
                    let (lhs, rhs) = (Matrix::new(&left, m, k), Packed::new(arch, rhs));
                    let check = |out: &[f32], before: &dyn Fn(usize) -> f32| {
                        for (place, (found, expected)) in out.iter().zip(&expected).enumerate() {
                            let error = (f64::from(*found) - expected - f64::from(before(place))).abs();
                            assert!(error < 1e-4, "{name} {m} x {n} x {k}: {error}");
                        }
                    };
                    let mut out = vec![f32::NAN; m * n];
                    let run = |onto, out: &mut [f32]| {
                        gemm(arch, Kernel::GemmForward, lhs, &rhs, &mut Store { out, columns: n, onto });
                    };
                    run(Onto::Nothing, &mut out);
                    check(&out, &|_| 0.0);
                    run(Onto::Bias(&before[..n]), &mut out);
                    check(&out, &|place| before[place % n]);
                    out.copy_from_slice(&before);
                    run(Onto::Stored, &mut out);
                    check(&out, &|place| before[place]);
                }
            }
        }
    }
}
