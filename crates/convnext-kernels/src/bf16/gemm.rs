//! Single-threaded bf16 GEMM on bf16x2 lanes, accumulated in f32.
//!
//! The output is computed micro-tile by micro-tile: MR rows by the columns of one panel, accumulated in
//! registers over the whole inner dimension and then given to an [`Epilogue`], from a bias to a GELU, while
//! it is in the L1 cache.

pub(crate) mod micro_tiles;

use std::ops::Range;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2};
use crate::bf16::gemm::micro_tiles::{Left, LeftSide, MAX_MR, MicroTiles};
use crate::bf16::implementation::Bf16;
use crate::bf16::packed::{PackedBf16, panels};
use crate::bf16::rows::padded;
use crate::buffer::Buffer;
use crate::gemm::epilogue::{Epilogue, Onto, Store};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::registers::bf16x2_count;

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
    left: impl LeftSide,
    rows: Range<usize>,
    right: &Right<'_>,
    epilogue: &mut impl Epilogue<u32>,
) {
    timed(kernel, || bf16.dispatch(Gemm { left, rows, right, epilogue }));
}

/// Row blocks of [`gemm_tn_accumulate`]'s output, and the minimum rows of one.
const ROW_BLOCKS: usize = 8;
const MIN_BLOCK_ROWS: usize = 24;

/// `sums += left^T right`, both row-packed: the weight gradient of a linear layer,
/// `[left_columns, right_columns]`. Every row block of the output has one writer.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm_tn_accumulate(
    bf16: Bf16,
    [left, right]: [&[u32]; 2],
    [left_columns, right_columns]: [usize; 2],
    sums: &mut [f32],
) {
    // Each side has its padded lanes to a row pair, so with the same row pairs these products are equal.
    let products = [left.len() * padded(right_columns), right.len() * padded(left_columns)];
    assert_eq!(products[0], products[1], "both sides have the same rows");
    assert_eq!(sums.len(), left_columns * right_columns, "the output is [O, I]");
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
        let mut epilogue = Store { out: sums, columns: right_columns, onto: Onto::Stored };
        gemm(bf16, Kernel::GemmWeightGradient, left, rows, &right, &mut epilogue);
    });
}

struct Gemm<'a, L, F> {
    left: L,
    rows: Range<usize>,
    right: &'a Right<'a>,
    epilogue: &'a mut F,
}

impl<L: LeftSide, F: Epilogue<u32>> WithBf16x2 for Gemm<'_, L, F> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let Self { left, rows, right, epilogue } = self;
        match right {
            Right::Packed(packed) => {
                let values = packed.values.bf16x2();
                let inner = bf16x2_count(packed.inner);
                let stride = values.len() / inner.max(1);
                let whole = inner <= packed.kc;
                let mut begin = 0;
                for panel in panels(packed.columns, packed.step) {
                    // Within a KC block the panels before this one take `begin` columns of its rows.
                    let mut partial = (!whole).then(|| Buffer::take(rows.len() * panel.width));
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
                        let ends = [whole || first == 0, whole || first + depth == inner];
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

#[cfg(test)]
mod tests;
