//! The registers of a row of f32 values, two at a time, so that a bf16x2 layout packs them without a shuffle.
//!
//! The columns of a row are in interleave groups of 32, the last one perhaps shorter: a register of the
//! first half of a group goes with one of the second half.

use pulp::Simd;

use crate::lanes::{load, store};

/// Columns of an interleave group.
pub(crate) const INTERLEAVE: usize = 32;

/// bf16x2 lanes of a row.
pub(crate) fn bf16x2_count(columns: usize) -> usize {
    columns.div_ceil(2)
}

/// Two registers of a row.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// First column of the low and of the high one.
    pub(crate) columns: [usize; 2],
    /// First bf16x2 lane of both.
    pub(crate) lane: usize,
}

/// The registers of a row of so many columns.
#[inline(always)]
pub(crate) fn registers(columns: usize, lanes: usize) -> Registers {
    Registers { columns, lanes, begin: 0, at: 0 }
}

/// [`registers`]. An iterator of its own, because closures are not compiled for the instruction set around
/// them.
#[derive(Clone)]
pub(crate) struct Registers {
    columns: usize,
    lanes: usize,
    begin: usize,
    at: usize,
}

impl Iterator for Registers {
    type Item = Place;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.begin >= self.columns {
            return None;
        }
        let half = (INTERLEAVE / 2).min(bf16x2_count(self.columns - self.begin));
        let low = self.begin + self.at;
        let found = Place { columns: [low, low + half], lane: self.begin / 2 + self.at };
        self.at += self.lanes;
        if self.at >= half {
            (self.begin, self.at) = (self.begin + INTERLEAVE, 0);
        }
        Some(found)
    }
}

impl Place {
    /// End of the low half of the group, for any register width.
    #[inline(always)]
    pub(crate) fn end_of_low(self) -> usize {
        let [low, high] = self.columns;
        high - low % INTERLEAVE
    }
}

/// Loads the low and the high columns.
#[inline(always)]
pub(crate) fn load_halves<S: Simd>(simd: S, values: &[f32], place: Place) -> [S::f32s; 2] {
    let [low, high] = place.columns;
    [load(simd, values, low), load(simd, values, high)]
}

/// Stores the low and the high columns.
#[inline(always)]
pub(crate) fn store_halves<S: Simd>(simd: S, values: &mut [f32], place: Place, [low, high]: [S::f32s; 2]) {
    store(simd, &mut values[..place.end_of_low()], place.columns[0], low);
    store(simd, values, place.columns[1], high);
}
