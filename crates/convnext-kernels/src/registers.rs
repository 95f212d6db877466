//! The registers of a row of f32 values, two at a time: one of the first half of a group of columns, and its
//! counterpart of the second half. With interleave groups a bf16x2 layout packs them without a shuffle.

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
    /// End of the low half of their group; a register may be longer.
    pub(crate) end_of_low: usize,
    /// First bf16x2 lane of both.
    pub(crate) lane: usize,
}

/// The registers of a row of so many columns, in interleave groups.
#[inline(always)]
pub(crate) fn registers(columns: usize, lanes: usize) -> Registers {
    Registers { columns, group: INTERLEAVE, lanes, begin: 0, at: 0 }
}

/// The same, each with the next register.
#[inline(always)]
pub(crate) fn neighbouring_registers(columns: usize, lanes: usize) -> Registers {
    Registers { columns, group: 2 * lanes, lanes, begin: 0, at: 0 }
}

/// [`registers`]. An iterator of its own, because closures are not compiled for the instruction set around
/// them.
#[derive(Clone)]
pub(crate) struct Registers {
    columns: usize,
    /// Columns of a group; the last one may have fewer.
    group: usize,
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
        let half = (self.group / 2).min(bf16x2_count(self.columns - self.begin));
        let low = self.begin + self.at;
        let end_of_low = self.begin + half;
        let found = Place { columns: [low, low + half], end_of_low, lane: self.begin / 2 + self.at };
        self.at += self.lanes;
        if self.at >= half {
            (self.begin, self.at) = (self.begin + self.group, 0);
        }
        Some(found)
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
    store(simd, &mut values[..place.end_of_low], place.columns[0], low);
    store(simd, values, place.columns[1], high);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_in_the_valid_part_of_one_register() {
        for columns in [1, 2, 5, 16, 31, 32, 40, 48, 97] {
            for lanes in [1, 4, 8, 16] {
                for places in [registers(columns, lanes), neighbouring_registers(columns, lanes)] {
                    let mut found = Vec::new();
                    for place in places {
                        let [low, high] = place.columns;
                        found.extend(low..place.end_of_low.min(low + lanes));
                        found.extend(high..columns.min(high + lanes).min(high + place.end_of_low - low));
                    }
                    found.sort_unstable();
                    assert!(found.into_iter().eq(0..columns), "{columns} columns, {lanes} lanes");
                }
            }
        }
    }
}
