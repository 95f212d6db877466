//! The micro-tiles of a bf16 GEMM: accumulated in registers over the inner dimension, then given to an
//! epilogue.

use std::ops::Range;

use pulp::Simd;

use crate::bf16::bf16x2::Bf16x2;
use crate::bf16::packed::MAX_NR;
use crate::gemm::epilogue::{Epilogue, Output};
use crate::lanes::{load, store};
use crate::split::scaled;

/// Maximum rows of a micro-tile.
pub(crate) const MAX_MR: usize = 12;

/// Accumulated output of up to MR rows by the columns of one panel; undefined beyond them.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct MicroTile([[f32; MAX_NR]; MAX_MR]);

/// The left side of a GEMM, which the micro-kernel reads.
pub(crate) trait LeftSide: Copy {
    /// Adds the products of M rows, from `row` on, and V registers of the panel's rows, from column `at` on.
    fn accumulate<B: Bf16x2, const V: usize, const M: usize>(
        self,
        ops: B,
        micro_tiles: &MicroTiles<'_, Self>,
        row: usize,
        at: usize,
        sums: &mut Sums<B, V, M>,
    );
}

/// The accumulators of a micro-tile.
pub(crate) type Sums<B, const V: usize, const M: usize> = [[<<B as Bf16x2>::Simd as Simd>::f32s; V]; M];

/// A left side that is one matrix.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Column-packed, row-major.
    Columns(&'a [u32]),
    /// Row-packed and transposed: the columns of its row pairs are the rows of the output.
    Rows { values: &'a [u32], stride: usize },
}

/// The micro-tiles of one panel.
pub(crate) struct MicroTiles<'a, L> {
    pub(crate) left: L,
    pub(crate) rows: Range<usize>,
    pub(crate) k_range: Range<usize>,
    pub(crate) panel: &'a [u32],
    pub(crate) stride: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) width: usize,
    /// bf16x2 lanes of a row of the left side.
    pub(crate) row_stride: usize,
}

impl<L: LeftSide> MicroTiles<'_, L> {
    /// Chooses the largest MR by V registers that fit the register file.
    #[inline(always)]
    pub(crate) fn run<B: Bf16x2>(
        &self,
        ops: B,
        partial: Option<&mut [f32]>,
        ends: [bool; 2],
        epilogue: &mut impl Epilogue<u32>,
    ) {
        match (B::Simd::F32_LANES, self.width) {
            (16, 64) => self.rows::<B, 4, 6>(ops, partial, ends, epilogue),
            (16, 48) => self.rows::<B, 3, 8>(ops, partial, ends, epilogue),
            (16, 32) => self.rows::<B, 2, 12>(ops, partial, ends, epilogue),
            (16, _) => self.rows::<B, 1, 12>(ops, partial, ends, epilogue),
            (8, _) => self.rows::<B, 2, 4>(ops, partial, ends, epilogue),
            _ => self.rows::<B, 4, 4>(ops, partial, ends, epilogue),
        }
    }

    /// Micro-tiles of M rows, V registers at a time, and single rows for the remainder.
    #[inline(always)]
    fn rows<B: Bf16x2, const V: usize, const M: usize>(
        &self,
        ops: B,
        mut partial: Option<&mut [f32]>,
        ends: [bool; 2],
        epilogue: &mut impl Epilogue<u32>,
    ) {
        let mut micro_tile = MicroTile([[0.0; MAX_NR]; MAX_MR]);
        let mut row = 0;
        while row < self.rows.len() {
            let tall = row + M <= self.rows.len();
            let end = if tall { row + M } else { row + 1 };
            if let Some(partial) = partial.as_deref().filter(|_| !ends[0]) {
                let values = &partial[scaled(&(row..end), self.width)];
                for (micro_tile, values) in micro_tile.0.iter_mut().zip(values.chunks_exact(self.width)) {
                    micro_tile[..self.width].copy_from_slice(values);
                }
            }
            for at in (0..self.width).step_by(V * B::Simd::F32_LANES) {
                match tall {
                    true => self.micro_kernel::<B, V, M>(ops, row, at, ends[0], &mut micro_tile),
                    false => self.micro_kernel::<B, V, 1>(ops, row, at, ends[0], &mut micro_tile),
                }
            }
            match partial.as_deref_mut().filter(|_| !ends[1]) {
                None => {
                    let values = micro_tile.0.as_flattened();
                    let (rows, columns) = (row..end, self.columns.clone());
                    epilogue.apply(ops, &Output { rows, columns, values, stride: MAX_NR });
                }
                Some(partial) => {
                    let values = &mut partial[scaled(&(row..end), self.width)];
                    for (micro_tile, values) in micro_tile.0.iter().zip(values.chunks_exact_mut(self.width)) {
                        values.copy_from_slice(&micro_tile[..self.width]);
                    }
                }
            }
            row = end;
        }
    }

    /// The micro-kernel: M rows by V registers; accumulates onto the micro-tile unless it is the first KC
    /// block.
    #[inline(always)]
    fn micro_kernel<B: Bf16x2, const V: usize, const M: usize>(
        &self,
        ops: B,
        row: usize,
        at: usize,
        is_first: bool,
        micro_tile: &mut MicroTile,
    ) {
        let simd = ops.simd();
        let lanes = B::Simd::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        if !is_first {
            for (sums, micro_tile) in sums.iter_mut().zip(&micro_tile.0) {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(simd, micro_tile, at + v * lanes);
                }
            }
        }
        self.left.accumulate(ops, self, self.rows.start + row, at, &mut sums);
        for (sums, micro_tile) in sums.iter().zip(&mut micro_tile.0) {
            for (v, sum) in sums.iter().enumerate() {
                store(simd, micro_tile, at + v * lanes, *sum);
            }
        }
    }

    /// V registers of a row of the panel.
    #[inline(always)]
    pub(crate) fn panel_row<B: Bf16x2, const V: usize>(
        &self,
        inner: usize,
        at: usize,
    ) -> &[<B::Simd as Simd>::u32s; V] {
        let row = &self.panel[inner * self.stride + at..][..V * B::Simd::F32_LANES];
        B::Simd::as_simd_u32s(row)
            .0
            .first_chunk()
            .unwrap_or_else(|| unreachable!("a panel has whole registers"))
    }
}

impl LeftSide for Left<'_> {
    #[inline(always)]
    fn accumulate<B: Bf16x2, const V: usize, const M: usize>(
        self,
        ops: B,
        micro_tiles: &MicroTiles<'_, Self>,
        row: usize,
        at: usize,
        sums: &mut Sums<B, V, M>,
    ) {
        let depth = micro_tiles.k_range.len();
        match self {
            Self::Rows { values, stride } => {
                let left = &values[micro_tiles.k_range.start * stride + row..];
                for inner in 0..depth {
                    let factors: &[u32] = &left[inner * stride..][..M];
                    let panel = micro_tiles.panel_row::<B, V>(inner, at);
                    multiply_add(ops, sums, |row| factors[row], panel);
                }
            }
            Self::Columns(values) => {
                let stride = micro_tiles.row_stride;
                // Not by a closure, so that the compiler sees all lengths and elides the bounds checks.
                let mut rows = [&[][..]; M];
                for (row, values_of_row) in rows.iter_mut().zip(values[row * stride..].chunks(stride)) {
                    *row = &values_of_row[micro_tiles.k_range.start..][..depth];
                }
                let factors = |inner: usize| move |row: usize| rows[row][inner];
                for inner in 0..depth {
                    let panel = micro_tiles.panel_row::<B, V>(inner, at);
                    multiply_add(ops, sums, factors(inner), panel);
                }
            }
        }
    }
}

/// One rank-2 update of a micro-tile.
#[inline(always)]
pub(crate) fn multiply_add<B: Bf16x2, const V: usize, const M: usize>(
    ops: B,
    sums: &mut Sums<B, V, M>,
    factor: impl Fn(usize) -> u32,
    lanes: &[<B::Simd as Simd>::u32s; V],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let factor = ops.simd().splat_u32s(factor(row));
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = ops.multiply_add(factor, *lanes, *sum);
        }
    }
}
