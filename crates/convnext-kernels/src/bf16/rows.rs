//! Row packing: the bf16x2 layout for a GEMM that sums over rows, the weight gradients.
//!
//! Rows `2 i` and `2 i + 1` of a segment are the halves of row pair `i`; a segment with an odd number of rows
//! ends with a row pair whose high halves are 0. Row pairs are padded to whole registers with undefined
//! values.

use pulp::Simd;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2};
use crate::bf16::implementation::Bf16;
use crate::buffer::Buffer;
use crate::lanes::{load, store_bf16x2};
use crate::parallel::{self, TASK_ROWS};
use crate::profile::{Kernel, timed};

/// bf16x2 lanes of a row pair, with the padding.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(16)
}

/// Row pairs of a segment.
pub(crate) fn row_pairs(rows: usize) -> usize {
    rows.div_ceil(2)
}

/// Row-packs one segment, `[R, columns]`, on all threads.
pub(crate) fn pack_rows(bf16: Bf16, rows: &[f32], columns: usize) -> Buffer {
    let mut bf16x2 = Buffer::take(row_pairs(rows.len() / columns) * padded(columns));
    let work = (bf16x2.bf16x2_mut().chunks_mut(row_pairs(TASK_ROWS) * padded(columns)))
        .zip(rows.chunks(TASK_ROWS * columns));
    parallel::for_each(work, |(bf16x2, rows)| {
        timed(Kernel::Rounding, || bf16.dispatch(PackRows { rows, columns, bf16x2 }));
    });
    bf16x2
}

/// Rounds and row-packs a segment: `[R, C]` to `[row pairs, padded]`.
pub(crate) struct PackRows<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) bf16x2: &'a mut [u32],
}

impl WithBf16x2 for PackRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { rows, columns, bf16x2: out } = self;
        for (both, out) in rows.chunks(2 * columns).zip(out.chunks_exact_mut(padded(columns))) {
            let (low, high) = both.split_at(columns);
            for at in (0..columns).step_by(B::Simd::F32_LANES) {
                let high = if high.is_empty() { simd.splat_f32s(0.0) } else { load(simd, high, at) };
                store_bf16x2(simd, out, at, ops.pack(load(simd, low, at), high));
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
    fn two_rows_make_a_row_pair() {
        for (count, columns) in [(1, 3), (2, 16), (5, 40), (6, 33)] {
            let rows = noise(count * columns, 1);
            for (name, bf16) in bf16_isa_levels() {
                let mut bf16x2 = vec![0; row_pairs(count) * padded(columns)];
                bf16.dispatch(PackRows { rows: &rows, columns, bf16x2: &mut bf16x2 });
                for (row_pair, bf16x2) in bf16x2.chunks_exact(padded(columns)).enumerate() {
                    for (column, found) in bf16x2[..columns].iter().enumerate() {
                        let high = rows.get((2 * row_pair + 1) * columns + column).copied().unwrap_or(0.0);
                        assert_eq!(*found, pack_one(rows[2 * row_pair * columns + column], high), "{name}");
                    }
                }
            }
        }
    }
}
