//! Pairs of rows: how values lie for products that sum over rows, the gradients of weights.
//!
//! Rows `2 i` and `2 i + 1` of a segment make line `i`; a segment with an odd number of rows ends with a line
//! whose high halves are 0. Lines are padded to whole registers with values that mean nothing.

use pulp::Simd;

use crate::bf16::{Bf16, Pairs, WithPairs};
use crate::buffer::Buffer;
use crate::lanes::{load, store_pairs};
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Rows that a thread rounds at a time; even, so that no pair is torn.
const CHUNK_ROWS: usize = 256;

/// Values of a line, the padding included.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(16)
}

/// Lines of a segment.
pub(crate) fn lines(rows: usize) -> usize {
    rows.div_ceil(2)
}

/// Rounds `[R, columns]`, one segment, on all threads.
pub(crate) fn pack_rows(bf16: Bf16, rows: &[f32], columns: usize) -> Buffer {
    let mut pairs = Buffer::take(lines(rows.len() / columns) * padded(columns));
    let work = (pairs.pairs_mut().chunks_mut(lines(CHUNK_ROWS) * padded(columns)))
        .zip(rows.chunks(CHUNK_ROWS * columns));
    parallel::for_each(work, |(pairs, rows)| {
        timed(Kernel::Rounding, || bf16.dispatch(PackRows { rows, columns, pairs }));
    });
    pairs
}

/// Rounds the rows of a segment: `[R, C]` to `[lines, padded]`.
pub(crate) struct PackRows<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) pairs: &'a mut [u32],
}

impl WithPairs for PackRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_pairs<P: Pairs>(self, pairs: P) {
        let simd = pairs.simd();
        let Self { rows, columns, pairs: out } = self;
        for (both, out) in rows.chunks(2 * columns).zip(out.chunks_exact_mut(padded(columns))) {
            let (low, high) = both.split_at(columns);
            for at in (0..columns).step_by(P::Simd::F32_LANES) {
                let high = if high.is_empty() { simd.splat_f32s(0.0) } else { load(simd, high, at) };
                store_pairs(simd, out, at, pairs.pack(load(simd, low, at), high));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::{bf16_ladder, pair};
    use crate::testing::noise;

    #[test]
    fn two_rows_make_a_line() {
        for (count, columns) in [(1, 3), (2, 16), (5, 40), (6, 33)] {
            let rows = noise(count * columns, 1);
            for (name, bf16) in bf16_ladder() {
                let mut pairs = vec![0; lines(count) * padded(columns)];
                bf16.dispatch(PackRows { rows: &rows, columns, pairs: &mut pairs });
                for (line, pairs) in pairs.chunks_exact(padded(columns)).enumerate() {
                    for (column, found) in pairs[..columns].iter().enumerate() {
                        let high = rows.get((2 * line + 1) * columns + column).copied().unwrap_or(0.0);
                        assert_eq!(*found, pair(rows[2 * line * columns + column], high), "{name}");
                    }
                }
            }
        }
    }
}
