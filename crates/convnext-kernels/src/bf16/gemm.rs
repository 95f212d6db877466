//! Single-threaded bf16 GEMM on bf16x2 lanes, accumulated in f32.
//!
//! The output is computed micro-tile by micro-tile: MR rows by the columns of one panel, accumulated in
//! registers over the whole inner dimension and then given to an [`Epilogue`], from a bias to a GELU, while
//! it is in the L1 cache.

use std::ops::Range;

use pulp::Simd;

use crate::bf16::columns::bf16x2_count;
use crate::bf16::packed::{MAX_NR, PackedBf16, panels};
use crate::bf16::rows::padded;
use crate::bf16::{Bf16, Bf16x2, WithBf16x2};
use crate::buffer::Buffer;
use crate::lanes::{add, load, store};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::scaled;

/// Maximum rows of a micro-tile.
const MAX_MR: usize = 12;

/// Accumulated output of up to MR rows by the columns of one panel; undefined beyond them.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct MicroTile([[f32; MAX_NR]; MAX_MR]);

impl MicroTile {
    /// A row, from the panel's first column on.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32; MAX_NR] {
        &self.0[row]
    }
}

/// An operation fused into a GEMM: it consumes the accumulated micro-tiles.
pub(crate) trait Epilogue {
    /// Consumes the micro-tile of these rows and columns of the output.
    fn apply<B: Bf16x2>(&mut self, ops: B, rows: Range<usize>, columns: Range<usize>, micro_tile: &MicroTile);
}

/// The left side of a GEMM.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Column-packed, row-major.
    Columns(&'a [u32]),
    /// Row-packed and transposed: the columns of its row pairs are the rows of the output.
    Rows { values: &'a [u32], stride: usize },
}

/// The right side of a GEMM, packed along the inner dimension.
pub(crate) enum Right<'a> {
    Packed(&'a PackedBf16),
    /// Row-packed, padded.
    Rows {
        values: &'a [u32],
        columns: usize,
    },
}

/// Rows `rows` of `left right`, given to `epilogue`, which counts them from 0.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm(
    bf16: Bf16,
    kernel: Kernel,
    left: Left<'_>,
    rows: Range<usize>,
    right: &Right<'_>,
    epilogue: &mut impl Epilogue,
) {
    timed(kernel, || bf16.dispatch(Gemm { left, rows, right, epilogue }));
}

/// Row blocks of [`gemm_tn_accumulate`]'s output, and the minimum rows of one.
const ROW_BLOCKS: usize = 8;
const MIN_BLOCK_ROWS: usize = 24;

/// `sums += left^T right`, both row-packed: the weight gradient of a linear layer,
/// `[left_columns, right_columns]`. Every row block of the output has one writer.
pub(crate) fn gemm_tn_accumulate(
    bf16: Bf16,
    [left, right]: [&[u32]; 2],
    [left_columns, right_columns]: [usize; 2],
    sums: &mut [f32],
) {
    if left.is_empty() {
        return;
    }
    let block_rows = left_columns.div_ceil(ROW_BLOCKS).next_multiple_of(MAX_MR).max(MIN_BLOCK_ROWS);
    let work = sums.chunks_mut(block_rows * right_columns.max(1)).enumerate();
    parallel::for_each(work, |(index, sums)| {
        let begin = index * block_rows;
        let rows = begin..begin + sums.len() / right_columns;
        let left = Left::Rows { values: left, stride: padded(left_columns) };
        let right = Right::Rows { values: right, columns: right_columns };
        let mut epilogue = Add { sums, columns: right_columns };
        gemm(bf16, Kernel::GemmWeightGradient, left, rows, &right, &mut epilogue);
    });
}

/// Epilogue: adds the output to `sums`.
struct Add<'a> {
    sums: &'a mut [f32],
    columns: usize,
}

impl Epilogue for Add<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        for (at, row) in rows.enumerate() {
            let sums = &mut self.sums[row * self.columns..][columns.clone()];
            for place in (0..sums.len()).step_by(B::Simd::F32_LANES) {
                add(simd, sums, place, load(simd, &micro_tile.0[at][..sums.len()], place));
            }
        }
    }
}

/// Epilogue: stores the output, with a bias if there is one.
pub(crate) struct Store<'a> {
    /// `[rows, columns]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) columns: usize,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Epilogue for Store<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        for (at, row) in rows.enumerate() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(B::Simd::F32_LANES) {
                let mut value = load(simd, micro_tile.row(at), place);
                if let Some(bias) = self.bias {
                    value = simd.add_f32s(value, load(simd, &bias[columns.clone()], place));
                }
                store(simd, out, place, value);
            }
        }
    }
}

struct Gemm<'a, F> {
    left: Left<'a>,
    rows: Range<usize>,
    right: &'a Right<'a>,
    epilogue: &'a mut F,
}

impl<F: Epilogue> WithBf16x2 for Gemm<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let Self { left, rows, right, epilogue } = self;
        match right {
            Right::Packed(packed) => {
                let values = packed.values.bf16x2();
                let inner = bf16x2_count(packed.inner);
                let stride = values.len() / inner.max(1);
                let mut begin = 0;
                for panel in panels(packed.columns, packed.step) {
                    // Within a KC block the panels before this one take `begin` columns of its rows.
                    let mut partial = (inner > packed.kc).then(|| Buffer::take(rows.len() * panel.width));
                    for first in (0..inner.max(1)).step_by(packed.kc) {
                        let depth = packed.kc.min(inner - first);
                        let place = first * stride + begin * depth;
                        let micro_tiles = MicroTiles {
                            left,
                            rows: rows.clone(),
                            k_range: first..first + depth,
                            panel: &values[place..place + depth * panel.width],
                            stride: panel.width,
                            columns: panel.columns.clone(),
                            width: panel.width,
                            row_stride: inner,
                        };
                        let ends = [first == 0, first + depth == inner];
                        micro_tiles.run(ops, partial.as_deref_mut(), ends, epilogue);
                    }
                    begin += panel.width;
                }
            }
            Right::Rows { values, columns } => {
                let stride = padded(*columns);
                let inner = values.len() / stride.max(1);
                for panel in panels(*columns, 16) {
                    let micro_tiles = MicroTiles {
                        left,
                        rows: rows.clone(),
                        k_range: 0..inner,
                        panel: values.get(panel.columns.start..).unwrap_or_default(),
                        stride,
                        columns: panel.columns.clone(),
                        width: panel.width,
                        row_stride: inner,
                    };
                    micro_tiles.run(ops, None, [true, true], epilogue);
                }
            }
        }
    }
}

/// The micro-tiles of one panel.
struct MicroTiles<'a> {
    left: Left<'a>,
    rows: Range<usize>,
    k_range: Range<usize>,
    panel: &'a [u32],
    stride: usize,
    columns: Range<usize>,
    width: usize,
    /// bf16x2 lanes of a row of the left side.
    row_stride: usize,
}

impl MicroTiles<'_> {
    /// Chooses the largest MR by V registers that fit the register file.
    #[inline(always)]
    fn run<B: Bf16x2>(
        &self,
        ops: B,
        partial: Option<&mut [f32]>,
        ends: [bool; 2],
        epilogue: &mut impl Epilogue,
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
        epilogue: &mut impl Epilogue,
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
                None => epilogue.apply(ops, row..end, self.columns.clone(), &micro_tile),
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
        let first = self.rows.start + row;
        let depth = self.k_range.len();
        match self.left {
            Left::Rows { values, stride } => {
                let left = &values[self.k_range.start * stride + first..];
                for inner in 0..depth {
                    let factors: &[u32] = &left[inner * stride..][..M];
                    let panel = self.panel_row::<B, V>(inner, at);
                    multiply_add(ops, &mut sums, |row| factors[row], panel);
                }
            }
            Left::Columns(values) => {
                // Not by a closure, so that the compiler sees all lengths and elides the bounds checks.
                let mut rows = [&[][..]; M];
                for (row, values_of_row) in
                    rows.iter_mut().zip(values[first * self.row_stride..].chunks(self.row_stride))
                {
                    *row = &values_of_row[self.k_range.start..][..depth];
                }
                let factors = |inner: usize| move |row: usize| rows[row][inner];
                for inner in 0..depth {
                    let panel = self.panel_row::<B, V>(inner, at);
                    multiply_add(ops, &mut sums, factors(inner), panel);
                }
            }
        }
        for (sums, micro_tile) in sums.iter().zip(&mut micro_tile.0) {
            for (v, sum) in sums.iter().enumerate() {
                store(simd, micro_tile, at + v * lanes, *sum);
            }
        }
    }

    /// V registers of a row of the panel.
    #[inline(always)]
    fn panel_row<B: Bf16x2, const V: usize>(&self, inner: usize, at: usize) -> &[<B::Simd as Simd>::u32s; V] {
        let row = &self.panel[inner * self.stride + at..][..V * B::Simd::F32_LANES];
        B::Simd::as_simd_u32s(row)
            .0
            .first_chunk()
            .unwrap_or_else(|| unreachable!("a panel has whole registers"))
    }
}

/// One rank-2 update of a micro-tile.
#[inline(always)]
fn multiply_add<B: Bf16x2, const V: usize, const M: usize>(
    ops: B,
    sums: &mut [[<B::Simd as Simd>::f32s; V]; M],
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

#[cfg(test)]
mod tests;
