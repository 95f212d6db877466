//! Weights packed for a bf16 GEMM: panels of neighbouring columns, whose rows are bf16x2 along the inner
//! dimension, in the order of [`crate::bf16::columns`].

use std::ops::Range;

use bytemuck::cast_slice_mut;
use pulp::Simd;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2};
use crate::bf16::columns::columns_of;
use crate::bf16::implementation::Bf16;
use crate::buffer::Buffer;
use crate::lanes::{load, store_bf16x2};
use crate::packed::Matrix;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::registers::{bf16x2_count, load_halves, registers};
use crate::split::{scaled, split_at_ranges};

/// Maximum NR, the columns of a panel.
pub(crate) const MAX_NR: usize = 64;

/// Rows of a panel that are accumulated at a time: few enough that the panel stays in the L2 cache. Whole
/// interleave groups.
const KC: usize = 1536;

/// Maximum f32 lanes of a register.
const MAX_LANES: usize = 16;

/// The columns of a panel.
#[derive(Clone)]
pub(crate) struct Panel {
    pub(crate) columns: Range<usize>,
    /// NR, with the padding.
    pub(crate) width: usize,
}

/// As few panels as possible, and then as equal as possible, of a multiple of `step` columns.
pub(crate) fn panels(columns: usize, step: usize) -> impl Iterator<Item = Panel> {
    let units = columns.div_ceil(step);
    let count = units.div_ceil(MAX_NR / step);
    let place = move |panel: usize| (panel * units).div_ceil(count.max(1)) * step;
    (0..count).map(move |panel| {
        let columns = place(panel)..columns.min(place(panel + 1));
        Panel { width: columns.len().next_multiple_of(MAX_LANES), columns }
    })
}

/// A matrix `[inner, columns]`, packed as a right side.
#[derive(Debug)]
pub(crate) struct PackedBf16 {
    /// By KC blocks, then by panels: `[kc, width]`; undefined after the last column.
    pub(crate) values: Buffer,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    /// Divisor of the panels' columns.
    pub(crate) step: usize,
    /// Rows of a KC block.
    pub(crate) kc: usize,
}

impl PackedBf16 {
    /// For epilogues that take any columns and are called for partial sums, too.
    pub(crate) fn new(bf16: Bf16, matrix: Matrix<'_>) -> Self {
        Self::with(bf16, matrix, MAX_LANES, KC)
    }

    /// For epilogues that column-pack: panels of whole interleave groups, and one KC block.
    pub(crate) fn of_whole_interleaves(bf16: Bf16, matrix: Matrix<'_>) -> Self {
        Self::with(bf16, matrix, 2 * MAX_LANES, usize::MAX)
    }

    fn with(bf16: Bf16, matrix: Matrix<'_>, step: usize, kc: usize) -> Self {
        let Matrix { values, rows: inner, columns, transposed } = matrix;
        let rows = bf16x2_count(inner);
        let kc = kc.min(rows.max(1));
        let of_panels: Vec<Panel> = panels(columns, step).collect();
        let stride: usize = of_panels.iter().map(|panel| panel.width).sum();
        let mut packed = Buffer::take(rows * stride);
        let work = packed.chunks_mut((kc * stride).max(1)).enumerate().flat_map(|(block, packed)| {
            let rows = packed.len() / stride;
            let mut begin = 0;
            let places = of_panels.iter().map(|panel| {
                let place = begin..begin + rows * panel.width;
                begin = place.end;
                place
            });
            let parts = split_at_ranges(packed, places.collect::<Vec<_>>());
            parts.into_iter().zip(&of_panels).map(move |(packed, panel)| (block * kc, panel, packed))
        });
        parallel::for_each(work, |(first, panel, packed)| {
            let packed = cast_slice_mut(packed);
            timed(Kernel::Packing, || match transposed {
                true => {
                    let values = &values[scaled(&panel.columns, inner)];
                    bf16.dispatch(PackTransposed { values, inner, first, width: panel.width, packed });
                }
                false => bf16.dispatch(PackPanel { values, inner, columns, first, panel, packed }),
            });
        });
        Self { values: packed, inner, columns, step, kc }
    }
}

/// Packs rows of a panel of a row-major matrix.
struct PackPanel<'a> {
    values: &'a [f32],
    inner: usize,
    columns: usize,
    first: usize,
    panel: &'a Panel,
    packed: &'a mut [u32],
}

impl WithBf16x2 for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { values, inner, columns, first, panel, packed } = self;
        for (row, packed) in (first..).zip(packed.chunks_exact_mut(panel.width)) {
            let [low, high] = columns_of(row, inner);
            let low = &values[low * columns..][panel.columns.clone()];
            // An odd last row is zero-padded.
            let high = if high < inner { &values[high * columns..][panel.columns.clone()] } else { &[] };
            for at in (0..low.len()).step_by(B::Simd::F32_LANES) {
                let high = load(simd, high, at.min(high.len()));
                store_bf16x2(simd, packed, at, ops.pack(load(simd, low, at), high));
            }
        }
    }
}

/// Packs rows of a panel of a column-major matrix, `inner` values to a column.
struct PackTransposed<'a> {
    values: &'a [f32],
    inner: usize,
    first: usize,
    width: usize,
    packed: &'a mut [u32],
}

impl WithBf16x2 for PackTransposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { values, inner, first, width, packed } = self;
        let rows = packed.len() / width;
        // KC blocks are whole interleave groups, so that the groups of a block are those of the matrix.
        let block_columns = 2 * first..inner.min(2 * (first + rows));
        let mut square = [[0; MAX_LANES]; MAX_LANES];
        for place in registers(block_columns.len(), B::Simd::F32_LANES) {
            let row = place.lane;
            let count = B::Simd::F32_LANES.min(rows - row);
            for begin in (0..width).step_by(MAX_LANES) {
                for (column, square) in (begin..).zip(&mut square) {
                    let column = values.get(column * inner..(column + 1) * inner).unwrap_or_default();
                    let column = column.get(block_columns.clone()).unwrap_or_default();
                    let [low, high] = match column.is_empty() {
                        true => [simd.splat_f32s(0.0); 2],
                        false => load_halves(simd, column, place),
                    };
                    store_bf16x2(simd, square, 0, ops.pack(low, high));
                }
                for at in 0..count {
                    let packed = &mut packed[(row + at) * width + begin..][..MAX_LANES];
                    for (packed, square) in packed.iter_mut().zip(&square) {
                        *packed = square[at];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::bf16x2::pack_one;
    use crate::bf16::implementation::bf16_isa_levels;
    use crate::testing::noise;

    #[test]
    fn panels_hold_every_value_in_its_place() {
        for (inner, columns) in [(1, 1), (40, 160), (33, 70), (160, 40), (96, 96), (3100, 20)] {
            let values = noise(inner * columns, 1);
            let transposed: Vec<f32> =
                (0..values.len()).map(|i| values[i % inner * columns + i / inner]).collect();
            let both =
                [Matrix::new(&values, inner, columns), Matrix::new(&transposed, columns, inner).transposed()];
            for (name, bf16) in bf16_isa_levels() {
                for matrix in both {
                    let packed = PackedBf16::new(bf16, matrix);
                    let mut place = 0;
                    for first in (0..bf16x2_count(inner)).step_by(packed.kc) {
                        for panel in panels(columns, packed.step) {
                            for row in first..bf16x2_count(inner).min(first + packed.kc) {
                                let [low, high] = columns_of(row, inner);
                                // The padding after the last column is undefined.
                                for column in panel.columns.clone() {
                                    let value = |row: usize| match row < inner {
                                        true => values[row * columns + column],
                                        false => 0.0,
                                    };
                                    let found = packed.values.bf16x2()[place];
                                    assert_eq!(
                                        found,
                                        pack_one(value(low), value(high)),
                                        "{name}: {row}, {column}"
                                    );
                                    place += 1;
                                }
                                place += panel.width - panel.columns.len();
                            }
                        }
                    }
                    assert_eq!(place, packed.values.len());
                }
            }
        }
    }
}
