//! The micro-tiles of an f32 GEMM, accumulated in registers.

use std::ops::Range;

use pulp::Simd;

use crate::gemm::left::{Left, Part};
use crate::lanes::{load, store};

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

/// The micro-tiles of one panel.
pub(crate) struct MicroTiles<'a, L> {
    pub(crate) left: L,
    /// The parts of the KC block.
    pub(crate) parts: &'a [Part],
    /// The rows of the KC block, each of the panel's padded columns.
    pub(crate) panel: &'a [f32],
    /// Columns of the output.
    pub(crate) columns: Range<usize>,
    /// Values to a row of the output.
    pub(crate) stride: usize,
    /// Adds to the output.
    pub(crate) add: bool,
}

impl<L: Left> MicroTiles<'_, L> {
    /// A panel of W columns, as many registers at a time as the instruction set has room for.
    #[inline(always)]
    pub(crate) fn run<S: Simd, const W: usize>(&self, simd: S, out: &mut [f32]) {
        match S::F32_LANES {
            16 => match W {
                64 => self.panel_columns::<S, 4, W>(simd, 0, out),
                48 => self.panel_columns::<S, 3, W>(simd, 0, out),
                32 => self.panel_columns::<S, 2, W>(simd, 0, out),
                _ => self.panel_columns::<S, 1, W>(simd, 0, out),
            },
            // The second register of the last panel may be padding.
            8 if self.columns.len() <= 8 => self.panel_columns::<S, 1, W>(simd, 0, out),
            8 => self.all_columns::<S, 2, W>(simd, out),
            _ => self.all_columns::<S, 4, W>(simd, out),
        }
    }

    /// All columns of a panel, V registers at a time. Not by a closure, which would not be compiled for the instruction
    /// set.
    #[inline(always)]
    fn all_columns<S: Simd, const V: usize, const W: usize>(&self, simd: S, out: &mut [f32]) {
        for at in (0..W).step_by(V * S::F32_LANES) {
            self.panel_columns::<S, V, W>(simd, at, out);
        }
    }

    /// All rows of a panel's V registers of columns.
    #[inline(always)]
    fn panel_columns<S: Simd, const V: usize, const W: usize>(&self, simd: S, at: usize, out: &mut [f32]) {
        for rows in micro_tile_rows(self.left.rows()) {
            match rows.len() {
                6 => self.micro_kernel::<S, 6, V, W>(simd, rows.start, at, out),
                5 => self.micro_kernel::<S, 5, V, W>(simd, rows.start, at, out),
                4 => self.micro_kernel::<S, 4, V, W>(simd, rows.start, at, out),
                3 => self.micro_kernel::<S, 3, V, W>(simd, rows.start, at, out),
                2 => self.micro_kernel::<S, 2, V, W>(simd, rows.start, at, out),
                _ => self.micro_kernel::<S, 1, V, W>(simd, rows.start, at, out),
            }
        }
    }

    /// The micro-kernel: M rows by V registers, accumulated over the panel's rows.
    #[inline(always)]
    fn micro_kernel<S: Simd, const M: usize, const V: usize, const W: usize>(
        &self,
        simd: S,
        row: usize,
        at: usize,
        out: &mut [f32],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let mut panel = self.panel.as_chunks::<W>().0;
        for part in self.parts {
            let rows: [&[f32]; M] = std::array::from_fn(|m| self.left.part(row + m, part));
            let (of_part, rest) = panel.split_at(part.columns.len());
            accumulate(simd, &mut sums, rows, of_part, at);
            panel = rest;
        }
        for (m, sums) in sums.into_iter().enumerate() {
            let out = &mut out[(row + m) * self.stride + self.columns.start..][..W];
            for (v, sum) in sums.into_iter().enumerate() {
                let at = at + v * S::F32_LANES;
                let value = if self.add { simd.add_f32s(load(simd, out, at), sum) } else { sum };
                store(simd, out, at, value);
            }
        }
    }
}

/// Adds the products of M rows of the left side and V registers of the panel's rows, from column `at` on.
#[inline(always)]
fn accumulate<S: Simd, const M: usize, const V: usize, const W: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; M],
    rows: [&[f32]; M],
    panel: &[[f32; W]],
    at: usize,
) {
    // Steps of a fixed length: within them the compiler knows all offsets, and checks nothing.
    let (panel_steps, panel_rest) = panel.as_chunks::<STEP>();
    let steps: [&[[f32; STEP]]; M] = rows.map(|row| row.as_chunks::<STEP>().0);
    for (step, panel) in panel_steps.iter().enumerate() {
        let factors: [&[f32; STEP]; M] = std::array::from_fn(|m| &steps[m][step]);
        for (inner, panel) in panel.iter().enumerate() {
            multiply_add(simd, sums, |row| factors[row][inner], first_registers::<S, V>(&panel[at..]));
        }
    }
    for (inner, panel) in (panel.len() / STEP * STEP..).zip(panel_rest) {
        multiply_add(simd, sums, |row| rows[row][inner], first_registers::<S, V>(&panel[at..]));
    }
}

/// The first V registers of a row of a panel.
#[inline(always)]
pub(crate) fn first_registers<S: Simd, const V: usize>(row: &[f32]) -> &[S::f32s; V] {
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
