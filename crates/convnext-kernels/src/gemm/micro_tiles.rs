//! The micro-tiles of an f32 GEMM, accumulated in registers.

use std::ops::Range;

use pulp::Simd;

use crate::lanes::{load, store};
use crate::packed::Matrix;

/// Rows of a micro-tile, at most.
pub(crate) const MR: usize = 6;

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
