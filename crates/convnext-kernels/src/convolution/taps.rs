//! The rows of dense maps as a 3x3 convolution reads them: each with its eight neighbours, where they lie. Neighbours
//! outside of the map are one shared row of zeros.

use std::ops::Range;

use crate::dense_maps::DenseMaps;
use crate::gemm::left::{Left, Part};

/// Taps of the kernel.
pub(crate) const TAPS: usize = 9;

/// A site of a map.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// Its row.
    row: usize,
    /// The taps that lie within the map: bit `3 y + x` for row `y` and column `x` of the kernel.
    inside: u16,
}

impl Site {
    /// `true` if a tap lies within the map.
    #[inline(always)]
    pub(crate) fn has(self, tap: usize) -> bool {
        self.inside >> tap & 1 == 1
    }
}

/// The sites of a range of rows.
pub(crate) fn sites(maps: &DenseMaps, rows: Range<usize>) -> Vec<Site> {
    let (mut y, mut x) = (rows.start / maps.width % maps.height, rows.start % maps.width);
    let site = |row: usize| {
        let mut inside = 0b111_111_111;
        for (is_outside, taps) in [
            (y == 0, 0b000_000_111),
            (y + 1 == maps.height, 0b111_000_000),
            (x == 0, 0b001_001_001),
            (x + 1 == maps.width, 0b100_100_100),
        ] {
            inside &= if is_outside { !taps } else { !0 };
        }
        x += 1;
        if x == maps.width {
            (x, y) = (0, if y + 1 == maps.height { 0 } else { y + 1 });
        }
        Site { row, inside }
    };
    rows.map(site).collect()
}

/// The rows between a site and its neighbour at a tap.
pub(crate) fn steps(maps: &DenseMaps) -> [isize; TAPS] {
    let step = |tap: usize| (tap / 3 * maps.width + tap % 3) as isize - (maps.width + 1) as isize;
    std::array::from_fn(step)
}

/// Sites with their neighbours, as the left side of a GEMM: nine slices to a row.
#[derive(Clone, Copy)]
pub(crate) struct TapRows<'a, L> {
    /// The rows of all sites, `[R, lanes]`.
    pub(crate) rows: &'a [L],
    /// One row.
    pub(crate) zeros: &'a [L],
    pub(crate) steps: &'a [isize; TAPS],
    /// The sites of the left side's rows.
    pub(crate) sites: &'a [Site],
}

impl<L> TapRows<'_, L> {
    /// Lanes of a row.
    pub(crate) fn lanes(&self) -> usize {
        self.zeros.len()
    }

    /// Lanes of a site's neighbour.
    #[inline(always)]
    pub(crate) fn lanes_of(&self, site: usize, tap: usize, lanes: &Range<usize>) -> &[L] {
        let site = self.sites[site];
        let (rows, begin) = match site.has(tap) {
            true => (self.rows, site.row.wrapping_add_signed(self.steps[tap]) * self.zeros.len()),
            false => (self.zeros, 0),
        };
        &rows[begin + lanes.start..][..lanes.len()]
    }
}

impl Left for TapRows<'_, f32> {
    const SCATTERED: bool = true;
    // A panel of nine taps comes from the L3 cache more often than one of a linear layer.
    const STRIP_ROWS: usize = 128;

    fn rows(self) -> usize {
        self.sites.len()
    }

    fn inner(self) -> usize {
        TAPS * self.lanes()
    }

    fn slice_len(self) -> usize {
        self.lanes()
    }

    fn strip(self, rows: Range<usize>) -> Self {
        Self { sites: &self.sites[rows], ..self }
    }

    #[inline(always)]
    fn part(&self, row: usize, part: &Part) -> &[f32] {
        self.lanes_of(row, part.slice, &part.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_neighbours_within_the_same_map() {
        for [images, height, width] in [[2, 3, 4], [1, 1, 1], [3, 1, 2], [2, 5, 1]] {
            let maps = DenseMaps { images, height, width };
            let steps = steps(&maps);
            for first in 0..maps.rows() {
                for (place, site) in sites(&maps, first..maps.rows()).into_iter().enumerate() {
                    let row = first + place;
                    let (y, x) = (row / width % height, row % width);
                    for tap in 0..TAPS {
                        let (v, u) = (y + tap / 3, x + tap % 3);
                        let inside = (1..=height).contains(&v) && (1..=width).contains(&u);
                        assert_eq!(site.has(tap), inside, "{maps:?}, row {row}, tap {tap}");
                        let neighbour = (row as isize + steps[tap]) as usize;
                        let expected = row - row % (height * width) + (v * width + u).wrapping_sub(width + 1);
                        assert!(!inside || neighbour == expected, "{maps:?}, row {row}, tap {tap}");
                    }
                }
            }
        }
    }
}
