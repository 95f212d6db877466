//! The micro-tiles of an f32 GEMM, accumulated in registers.

use std::ops::Range;

use pulp::Simd;

use crate::lanes::{load, store};
use crate::packed::Matrix;

/// Rows of a micro-tile, at most.
pub(crate) const MR: usize = 6;

/// Rows of a packed panel that are accumulated without checks in between.
const STEP: usize = 4;

/// The micro-tiles of one panel.
pub(crate) struct MicroTiles<'a> {
    pub(crate) left: Matrix<'a>,
    pub(crate) rows: Range<usize>,
    pub(crate) k_range: Range<usize>,
    /// Row-major; what follows the panel's columns within the stride is undefined.
    pub(crate) panel: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) first_column: usize,
    pub(crate) columns: usize,
    pub(crate) add: bool,
}

impl MicroTiles<'_> {
    /// A panel of W columns, as many registers at a time as the instruction set has room for.
    #[inline(always)]
    pub(crate) fn run<S: Simd, const W: usize, const TRANSPOSED: bool>(&self, simd: S, out: &mut [f32]) {
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
        if TRANSPOSED {
            let stride = self.left.rows;
            let left = &self.left.values[self.k_range.start * stride + first..];
            for inner in 0..depth {
                let factors = &left[inner * stride..][..M];
                self.multiply_add_row::<S, M, V, W>(simd, &mut sums, |row| factors[row], inner, at);
            }
        } else {
            let stride = self.left.columns;
            let rows: [&[f32]; M] = std::array::from_fn(|m| {
                &self.left.values[(first + m) * stride + self.k_range.start..][..depth]
            });
            let factors = |inner: usize| move |row: usize| rows[row][inner];
            let mut done = 0;
            if self.stride == W {
                // Steps of a fixed length: within them the compiler knows all offsets, and checks nothing.
                let panel = self.panel.as_chunks::<W>().0.as_chunks::<STEP>().0;
                let steps: [&[[f32; STEP]]; M] = rows.map(|row| row.as_chunks::<STEP>().0);
                for (step, panel) in panel.iter().enumerate() {
                    let factors: [&[f32; STEP]; M] = std::array::from_fn(|m| &steps[m][step]);
                    for (inner, panel) in panel.iter().enumerate() {
                        multiply_add(
                            simd,
                            &mut sums,
                            |row| factors[row][inner],
                            registers::<S, V>(&panel[at..]),
                        );
                    }
                }
                done = depth / STEP * STEP;
            }
            for inner in done..depth {
                self.multiply_add_row::<S, M, V, W>(simd, &mut sums, factors(inner), inner, at);
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
