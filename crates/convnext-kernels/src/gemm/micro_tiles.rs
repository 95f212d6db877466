//! The micro-tiles of an f32 GEMM: accumulated in registers over a KC block, then given to an epilogue.

use std::ops::Range;

use pulp::Simd;

use crate::gemm::epilogue::{Epilogue, MAX_MR, MAX_NR, MicroTile};
use crate::lanes::{load, store};
use crate::packed::Matrix;
use crate::storage::Exact;

/// Rows of a micro-tile, at most.
pub(crate) const MR: usize = 6;

/// Rows of a packed panel that are accumulated without checks in between.
const STEP: usize = 4;

/// The micro-tiles of one panel in a KC block.
pub(crate) struct MicroTiles<'a> {
    pub(crate) left: Matrix<'a>,
    pub(crate) rows: Range<usize>,
    pub(crate) k_range: Range<usize>,
    /// Row-major; what follows the panel's columns within the stride is undefined.
    pub(crate) panel: &'a [f32],
    pub(crate) stride: usize,
    /// Columns of the output, without the padding.
    pub(crate) columns: Range<usize>,
    /// Whether these are the first and the last products that are added up before the epilogue.
    pub(crate) ends: [bool; 2],
}

impl MicroTiles<'_> {
    /// The micro-tiles of a panel of W columns, V registers at a time, given to the epilogue, or before the
    /// last KC block to `partial`, `[rows, W]`.
    #[inline(always)]
    pub(crate) fn run<S: Simd, const V: usize, const W: usize, const TRANSPOSED: bool>(
        &self,
        simd: S,
        partial: &mut [f32],
        epilogue: &mut impl Epilogue<f32>,
    ) {
        let mut micro_tile = MicroTile([[0.0; MAX_NR]; MAX_MR]);
        let mut row = 0;
        while row < self.rows.len() {
            let (begin, end) = (row, self.rows.len().min(row + MAX_MR));
            while row < end {
                let count = match end - row {
                    MR.. => MR,
                    2.. => 2,
                    _ => 1,
                };
                let tile = &mut micro_tile.0[row - begin..];
                for at in (0..W).step_by(V * S::F32_LANES) {
                    let place = [row, at];
                    match count {
                        MR => self.micro_kernel::<S, MR, V, W, TRANSPOSED>(simd, place, partial, tile),
                        2 => self.micro_kernel::<S, 2, V, W, TRANSPOSED>(simd, place, partial, tile),
                        _ => self.micro_kernel::<S, 1, V, W, TRANSPOSED>(simd, place, partial, tile),
                    }
                }
                row += count;
            }
            if self.ends[1] {
                epilogue.apply(Exact(simd), begin..end, self.columns.clone(), &micro_tile);
            }
        }
    }

    /// The micro-kernel: M rows by V registers, accumulated over the panel's rows, from a row and a column of
    /// the panel on.
    #[inline(always)]
    fn micro_kernel<S: Simd, const M: usize, const V: usize, const W: usize, const TRANSPOSED: bool>(
        &self,
        simd: S,
        [row, at]: [usize; 2],
        partial: &mut [f32],
        micro_tile: &mut [[f32; MAX_NR]],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        self.accumulate::<S, M, V, W, TRANSPOSED>(simd, &mut sums, [row, at]);
        let [is_first, is_last] = self.ends;
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

    /// Adds the products over the panel's rows to `sums`.
    #[inline(always)]
    fn accumulate<S: Simd, const M: usize, const V: usize, const W: usize, const TRANSPOSED: bool>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; V]; M],
        [row, at]: [usize; 2],
    ) {
        let first = self.rows.start + row;
        let depth = self.k_range.len();
        if TRANSPOSED {
            let stride = self.left.rows;
            let left = &self.left.values[self.k_range.start * stride + first..];
            for inner in 0..depth {
                let factors = &left[inner * stride..][..M];
                self.multiply_add_row::<S, M, V, W>(simd, sums, |row| factors[row], inner, at);
            }
        } else {
            let stride = self.left.columns;
            // Not by a closure, which may not be inlined.
            let mut rows = [&[][..]; M];
            for (m, row) in rows.iter_mut().enumerate() {
                *row = &self.left.values[(first + m) * stride + self.k_range.start..][..depth];
            }
            let factors = |inner: usize| move |row: usize| rows[row][inner];
            let mut done = 0;
            if self.stride == W {
                // Steps of a fixed length: within them the compiler knows all offsets, and checks nothing.
                let panel = self.panel.as_chunks::<W>().0.as_chunks::<STEP>().0;
                let steps: [&[[f32; STEP]]; M] = rows.map(|row| row.as_chunks::<STEP>().0);
                for (step, panel) in panel.iter().enumerate() {
                    let factors: [&[f32; STEP]; M] = std::array::from_fn(|m| &steps[m][step]);
                    for (inner, panel) in panel.iter().enumerate() {
                        multiply_add(simd, sums, |row| factors[row][inner], registers::<S, V>(&panel[at..]));
                    }
                }
                done = depth / STEP * STEP;
            }
            for inner in done..depth {
                self.multiply_add_row::<S, M, V, W>(simd, sums, factors(inner), inner, at);
            }
        }
    }

    /// The rank-1 update of one row of the panel, wherever it lies.
    #[inline(always)]
    fn multiply_add_row<S: Simd, const M: usize, const V: usize, const W: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; V]; M],
        factor: impl Fn(usize) -> f32,
        inner: usize,
        at: usize,
    ) {
        let row = &self.panel[inner * self.stride..];
        match row.first_chunk::<W>() {
            Some(row) => multiply_add(simd, sums, factor, registers::<S, V>(&row[at..])),
            // At the end of an unpacked matrix a row is shorter than the panel: it is padded with zeros.
            None => {
                let lanes = std::array::from_fn(|v| load(simd, row, (at + v * S::F32_LANES).min(row.len())));
                multiply_add(simd, sums, factor, &lanes);
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
