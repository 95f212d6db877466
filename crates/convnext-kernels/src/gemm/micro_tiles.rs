//! The micro-tiles of an f32 GEMM: accumulated in registers over a KC block, then given to an epilogue.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::gemm::epilogue::{Epilogue, MAX_MR, MAX_NR, MicroTile};
use crate::lanes::{load, store};
use crate::packed::Matrix;
use crate::storage::Exact;

/// Rows of a micro-tile, at most.
pub(crate) const MR: usize = 6;

/// Rows of a packed panel that are accumulated without checks in between.
const STEP: usize = 4;

/// The rows of each micro-tile: as few micro-tiles as possible, and then as equal as possible, because a small one has
/// too few independent accumulators to hide the latency of a multiply-add.
#[inline(always)]
pub(crate) fn micro_tile_rows(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(MR);
    (0..count).map(move |tile| tile * rows / count..(tile + 1) * rows / count)
}

/// The micro-tiles of one panel in a KC block.
pub(crate) struct MicroTiles<'a> {
    pub(crate) left: Matrix<'a>,
    pub(crate) k_range: Range<usize>,
    /// The rows of the KC block, each of the panel's padded columns.
    pub(crate) panel: &'a [f32],
    /// Columns of the output, without the padding.
    pub(crate) columns: Range<usize>,
    /// Whether these are the first and the last products that are added up before the epilogue.
    pub(crate) ends: [bool; 2],
}

impl MicroTiles<'_> {
    /// The micro-tiles of a panel of W columns, given to the epilogue, or before the last KC block to `partial`,
    /// `[rows, W]`: as many registers at a time as the instruction set has room for.
    #[inline(always)]
    pub(crate) fn run<S: Simd, const W: usize>(
        &self,
        simd: S,
        partial: &mut [f32],
        epilogue: &mut impl Epilogue<f32>,
    ) {
        match (S::F32_LANES, W) {
            (16, 64) => self.rows::<S, 4, W>(simd, partial, epilogue),
            (16, 48) => self.rows::<S, 3, W>(simd, partial, epilogue),
            (16, 32) => self.rows::<S, 2, W>(simd, partial, epilogue),
            (16, _) => self.rows::<S, 1, W>(simd, partial, epilogue),
            // The second register of the last panel may be padding.
            (8, 16) if self.columns.len() <= 8 => self.rows::<S, 1, W>(simd, partial, epilogue),
            (8, _) => self.rows::<S, 2, W>(simd, partial, epilogue),
            _ => self.rows::<S, 4, W>(simd, partial, epilogue),
        }
    }

    /// All rows, V registers at a time. Epilogues take two micro-tiles at once.
    #[inline(always)]
    fn rows<S: Simd, const V: usize, const W: usize>(
        &self,
        simd: S,
        partial: &mut [f32],
        epilogue: &mut impl Epilogue<f32>,
    ) {
        let mut micro_tile = MicroTile([[0.0; MAX_NR]; MAX_MR]);
        let mut tiles = micro_tile_rows(self.left.rows);
        while let Some(first) = tiles.next() {
            let mut end = first.end;
            self.columns::<S, V, W>(simd, first.clone(), partial, &mut micro_tile.0);
            if let Some(second) = tiles.next() {
                end = second.end;
                self.columns::<S, V, W>(simd, second, partial, &mut micro_tile.0[first.len()..]);
            }
            if self.ends[1] {
                epilogue.apply(Exact(simd), first.start..end, self.columns.clone(), &micro_tile);
            }
        }
    }

    /// The columns of one micro-tile. Not by a closure, which would not be compiled for the instruction set.
    #[inline(always)]
    fn columns<S: Simd, const V: usize, const W: usize>(
        &self,
        simd: S,
        rows: Range<usize>,
        partial: &mut [f32],
        micro_tile: &mut [[f32; MAX_NR]],
    ) {
        for at in (0..self.columns.len()).step_by(V * S::F32_LANES) {
            let (tiles, place) = (self, [rows.start, at]);
            match rows.len() {
                6 => simd.vectorize(MicroKernel::<6, V, W> { tiles, place, partial, micro_tile }),
                5 => simd.vectorize(MicroKernel::<5, V, W> { tiles, place, partial, micro_tile }),
                4 => simd.vectorize(MicroKernel::<4, V, W> { tiles, place, partial, micro_tile }),
                3 => simd.vectorize(MicroKernel::<3, V, W> { tiles, place, partial, micro_tile }),
                2 => simd.vectorize(MicroKernel::<2, V, W> { tiles, place, partial, micro_tile }),
                _ => simd.vectorize(MicroKernel::<1, V, W> { tiles, place, partial, micro_tile }),
            }
        }
    }
}

/// A function of its own for the instruction set, whatever the epilogue: inlined into each, it would take minutes to
/// compile.
///
/// The micro-kernel: M rows by V registers, accumulated over the rows of a panel of W columns.
struct MicroKernel<'a, const M: usize, const V: usize, const W: usize> {
    tiles: &'a MicroTiles<'a>,
    /// The first row, and the first column of the panel.
    place: [usize; 2],
    /// `[rows, W]`.
    partial: &'a mut [f32],
    micro_tile: &'a mut [[f32; MAX_NR]],
}

impl<const M: usize, const V: usize, const W: usize> WithSimd for MicroKernel<'_, M, V, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            tiles: MicroTiles { left, k_range, panel, ends, .. },
            place: [row, at],
            partial,
            micro_tile,
        } = self;
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let depth = k_range.len();
        let mut rows = [&[][..]; M];
        for (m, values) in rows.iter_mut().enumerate() {
            *values = &left.values[(row + m) * left.columns + k_range.start..][..depth];
        }
        // Steps of a fixed length: within them the compiler knows all offsets, and checks nothing.
        let (panel_steps, panel_rest) = panel.as_chunks::<W>().0.as_chunks::<STEP>();
        let steps: [&[[f32; STEP]]; M] = rows.map(|row| row.as_chunks::<STEP>().0);
        for (step, panel) in panel_steps.iter().enumerate() {
            let factors: [&[f32; STEP]; M] = std::array::from_fn(|m| &steps[m][step]);
            for (inner, panel) in panel.iter().enumerate() {
                multiply_add(simd, &mut sums, |row| factors[row][inner], registers::<S, V>(&panel[at..]));
            }
        }
        for (inner, panel) in (depth / STEP * STEP..).zip(panel_rest) {
            multiply_add(simd, &mut sums, |row| rows[row][inner], registers::<S, V>(&panel[at..]));
        }
        let [is_first, is_last] = *ends;
        // Loops of a fixed length, without which the sums would not stay in registers.
        for (m, sums) in sums.into_iter().enumerate() {
            let of_row = (row + m) * W..(row + m + 1) * W;
            for (v, mut sum) in sums.into_iter().enumerate() {
                let at = at + v * S::F32_LANES;
                if !is_first {
                    sum = simd.add_f32s(load(simd, &partial[of_row.clone()], at), sum);
                }
                match is_last {
                    true => store(simd, &mut micro_tile[m], at, sum),
                    false => store(simd, &mut partial[of_row.clone()], at, sum),
                }
            }
        }
    }
}

/// V registers of a row of a panel.
#[inline(always)]
fn registers<S: Simd, const V: usize>(row: &[f32]) -> &[S::f32s; V] {
    S::as_simd_f32s(row).0.first_chunk().unwrap_or_else(|| unreachable!("a panel has whole registers"))
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
