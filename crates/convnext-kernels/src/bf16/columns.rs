//! Pairs of columns: how rows lie for products that sum over columns.
//!
//! The columns of a row are cut into blocks of 32, the last one perhaps shorter, and the two halves of a block
//! lie on each other: column `i` of a block and column `i + half` make a pair. So registers of neighbouring
//! values are packed without being shuffled. A row of C columns has `ceil(C / 2)` pairs; an odd one ends with 0.

use pulp::Simd;

use crate::bf16::{Bf16, Bf16x2, WithBf16x2, unpack};
use crate::buffer::Buffer;
use crate::lanes::{load, load_bf16x2, store, store_bf16x2};
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Rows that a thread rounds at a time.
const TASK_ROWS: usize = 256;

/// Columns of a block.
pub(crate) const INTERLEAVE: usize = 32;

/// Pairs of a row.
pub(crate) fn bf16x2_count(columns: usize) -> usize {
    columns.div_ceil(2)
}

/// The registers of a row: the places of the low columns, of the high ones, and of their pairs.
#[inline(always)]
pub(crate) fn registers(columns: usize, lanes: usize) -> Registers {
    Registers { columns, lanes, begin: 0, at: 0 }
}

/// Written out, because closures that compute in registers are not compiled for their instruction set.
#[derive(Clone)]
pub(crate) struct Registers {
    columns: usize,
    lanes: usize,
    begin: usize,
    at: usize,
}

impl Iterator for Registers {
    type Item = ([usize; 2], usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.begin >= self.columns {
            return None;
        }
        let half = (INTERLEAVE / 2).min(bf16x2_count(self.columns - self.begin));
        let low = self.begin + self.at;
        let found = ([low, low + half], self.begin / 2 + self.at);
        self.at += self.lanes;
        if self.at >= half {
            (self.begin, self.at) = (self.begin + INTERLEAVE, 0);
        }
        Some(found)
    }
}

/// The values at low and at high columns.
#[inline(always)]
pub(crate) fn load_halves<S: Simd>(simd: S, values: &[f32], [low, high]: [usize; 2]) -> [S::f32s; 2] {
    [load(simd, values, low), load(simd, values, high)]
}

/// Where the low half of a block ends, however long a register is, given the places of a register of both.
#[inline(always)]
pub(crate) fn end_of_low([low, high]: [usize; 2]) -> usize {
    high - low % INTERLEAVE
}

/// Stores what belongs to low and to high columns, each at its place.
#[inline(always)]
pub(crate) fn store_halves<S: Simd>(
    simd: S,
    values: &mut [f32],
    places: [usize; 2],
    [low, high]: [S::f32s; 2],
) {
    store(simd, &mut values[..end_of_low(places)], places[0], low);
    store(simd, values, places[1], high);
}

/// The low and the high column of a pair; the high one may not exist.
pub(crate) fn columns_of(bf16x2: usize, columns: usize) -> [usize; 2] {
    let begin = bf16x2 / (INTERLEAVE / 2) * INTERLEAVE;
    let half = (INTERLEAVE / 2).min(bf16x2_count(columns - begin));
    let low = begin + bf16x2 % (INTERLEAVE / 2);
    [low, low + half]
}

/// Rounds rows: `[R, C]` to `[R, pairs]`.
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
            for (places, at) in registers(columns, B::Simd::F32_LANES) {
                let [low, high] = load_halves(simd, row, places);
                store_bf16x2(simd, out, at, ops.pack(low, high));
            }
        }
    }
}

/// The other way: `[R, pairs]` to `[R, C]`.
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
            for (places, at) in registers(columns, B::Simd::F32_LANES) {
                store_halves(simd, row, places, unpack(simd, load_bf16x2(simd, bf16x2, at)));
            }
        }
    }
}

/// Rounds `[R, columns]` on all threads.
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

/// What [`pack_columns`] rounded.
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
    use crate::bf16::{bf16_isa_levels, pack_one};
    use crate::testing::noise;

    #[test]
    fn every_column_has_its_place_and_comes_back_rounded() {
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
