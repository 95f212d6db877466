//! Column packing: the bf16x2 layout of rows for a GEMM that sums over columns.
//!
//! The columns of a row are interleaved in groups of 32, the last one perhaps shorter: column `i` of a group
//! is the low half of a lane and column `i + half` the high one. So registers of neighbouring values are
//! packed without a shuffle. A row of C columns has `ceil(C / 2)` lanes; an odd one is zero-padded.

use pulp::Simd;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2, unpack};
use crate::bf16::implementation::Bf16;
use crate::buffer::Buffer;
use crate::lanes::{load_bf16x2, store_bf16x2};
use crate::parallel::{self, TASK_ROWS};
use crate::profile::{Kernel, timed};
use crate::registers::{INTERLEAVE, bf16x2_count, load_halves, registers, store_halves};

/// The low and the high column of a lane; the high one may be out of range.
pub(crate) fn columns_of(bf16x2: usize, columns: usize) -> [usize; 2] {
    let begin = bf16x2 / (INTERLEAVE / 2) * INTERLEAVE;
    let half = (INTERLEAVE / 2).min(bf16x2_count(columns - begin));
    let low = begin + bf16x2 % (INTERLEAVE / 2);
    [low, low + half]
}

/// Rounds and column-packs rows: `[R, C]` to `[R, lanes]`.
pub(crate) struct PackColumns<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) bf16x2: &'a mut [u32],
}

impl WithBf16x2 for PackColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { rows, columns, bf16x2: out } = self;
        for (row, out) in rows.chunks_exact(columns).zip(out.chunks_exact_mut(bf16x2_count(columns))) {
            for place in registers(columns, B::Simd::F32_LANES) {
                let [low, high] = load_halves(simd, row, place);
                store_bf16x2(simd, out, place.lane, ops.pack(low, high));
            }
        }
    }
}

/// The inverse: `[R, lanes]` to `[R, C]`.
pub(crate) struct UnpackColumns<'a> {
    pub(crate) bf16x2: &'a [u32],
    pub(crate) columns: usize,
    pub(crate) rows: &'a mut [f32],
}

impl WithBf16x2 for UnpackColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { bf16x2, columns, rows } = self;
        for (row, bf16x2) in rows.chunks_exact_mut(columns).zip(bf16x2.chunks_exact(bf16x2_count(columns))) {
            for place in registers(columns, B::Simd::F32_LANES) {
                store_halves(simd, row, place, unpack(simd, load_bf16x2(simd, bf16x2, place.lane)));
            }
        }
    }
}

/// Column-packs `[R, columns]` on all threads.
pub(crate) fn pack_columns(bf16: Bf16, rows: &[f32], columns: usize) -> Buffer {
    let mut bf16x2 = Buffer::take(rows.len() / columns * bf16x2_count(columns));
    let work = bf16x2
        .bf16x2_mut()
        .chunks_mut(TASK_ROWS * bf16x2_count(columns))
        .zip(rows.chunks(TASK_ROWS * columns));
    parallel::for_each(work, |(bf16x2, rows)| {
        timed(Kernel::Rounding, || bf16.dispatch(PackColumns { rows, columns, bf16x2 }));
    });
    bf16x2
}

/// [`pack_columns`] of rows that are zero-padded to whole interleave groups.
pub(crate) fn pack_padded_columns(bf16: Bf16, rows: &[f32], columns: usize) -> Buffer {
    let padded = columns.next_multiple_of(INTERLEAVE);
    if padded == columns {
        return pack_columns(bf16, rows, columns);
    }
    let mut bf16x2 = Buffer::take(rows.len() / columns * bf16x2_count(padded));
    let work = (bf16x2.bf16x2_mut().chunks_mut(TASK_ROWS * bf16x2_count(padded)))
        .zip(rows.chunks(TASK_ROWS * columns));
    parallel::for_each(work, |(bf16x2, rows)| {
        timed(Kernel::Rounding, || {
            let mut padded_rows = Buffer::take(rows.len() / columns * padded);
            for (to, row) in padded_rows.chunks_exact_mut(padded).zip(rows.chunks_exact(columns)) {
                let (to, padding) = to.split_at_mut(columns);
                to.copy_from_slice(row);
                padding.fill(0.0);
            }
            bf16.dispatch(PackColumns { rows: &padded_rows, columns: padded, bf16x2 });
        });
    });
    bf16x2
}

/// The inverse of [`pack_columns`], up to rounding.
pub(crate) fn unpack_columns(bf16: Bf16, bf16x2: &Buffer, columns: usize) -> Buffer {
    let mut rows = Buffer::take(bf16x2.len() / bf16x2_count(columns) * columns);
    let work =
        rows.chunks_mut(TASK_ROWS * columns).zip(bf16x2.bf16x2().chunks(TASK_ROWS * bf16x2_count(columns)));
    parallel::for_each(work, |(rows, bf16x2)| {
        timed(Kernel::Rounding, || bf16.dispatch(UnpackColumns { bf16x2, columns, rows }));
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::bf16x2::pack_one;
    use crate::bf16::implementation::bf16_isa_levels;
    use crate::testing::noise;

    #[test]
    fn columns_round_trip_up_to_rounding() {
        for columns in [1, 2, 5, 8, 31, 32, 33, 40, 48, 80, 96, 97] {
            let rows = noise(3 * columns, columns as u64);
            for (name, bf16) in bf16_isa_levels() {
                let mut bf16x2 = vec![0; 3 * bf16x2_count(columns)];
                bf16.dispatch(PackColumns { rows: &rows, columns, bf16x2: &mut bf16x2 });
                for (row, bf16x2) in
                    rows.chunks_exact(columns).zip(bf16x2.chunks_exact(bf16x2_count(columns)))
                {
                    for (place, found) in bf16x2.iter().enumerate() {
                        let [low, high] = columns_of(place, columns);
                        let expected = pack_one(row[low], row.get(high).copied().unwrap_or(0.0));
                        assert_eq!(*found, expected, "{name}, {columns} columns, bf16x2 {place}");
                    }
                }
                let mut back = vec![f32::NAN; rows.len()];
                bf16.dispatch(UnpackColumns { bf16x2: &bf16x2, columns, rows: &mut back });
                for (value, back) in rows.iter().zip(&back) {
                    assert_eq!(*back, f32::from_bits(pack_one(0.0, *value)), "{name}, {columns} columns");
                }
            }
        }
    }
}
