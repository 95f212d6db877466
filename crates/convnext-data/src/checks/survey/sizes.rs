//! Sizes of the images of a data set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Lower ends of the ranges of [`ShortSides`]. Images of 224 and 256 pixels are what models are trained with.
const EDGES: [usize; 10] = [1, 32, 64, 128, 224, 256, 384, 512, 1024, 2048];

/// The sizes of all images, in pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Their widths.
    pub width: Spread,
    /// Their heights.
    pub height: Spread,
    /// Their short sides.
    pub short_side: Spread,
    /// Number of images with short sides in each of ten ranges, from small to large.
    pub short_sides: Vec<ShortSides>,
}

/// Minimum, median and maximum of some lengths, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// The one in the middle when all are sorted; of two, the smaller.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

/// A range of short sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortSides {
    /// The shortest that belongs to it, in pixels.
    pub from: usize,
    /// The first that is too long for it; `None` for the last range.
    pub below: Option<usize>,
    /// Number of images.
    pub images: usize,
}

/// Histogram of the lengths.
#[derive(Default)]
pub(super) struct SizeCounts {
    widths: BTreeMap<usize, usize>,
    heights: BTreeMap<usize, usize>,
    short_sides: BTreeMap<usize, usize>,
}

impl SizeCounts {
    pub(super) fn add(&mut self, width: usize, height: usize) {
        *self.widths.entry(width).or_default() += 1;
        *self.heights.entry(height).or_default() += 1;
        *self.short_sides.entry(width.min(height)).or_default() += 1;
    }

    /// `None` without any size.
    pub(super) fn finish(&self) -> Option<Sizes> {
        let range = |(index, &from): (usize, &usize)| {
            let below = EDGES.get(index + 1).copied();
            let images =
                self.short_sides.range(from..below.unwrap_or(usize::MAX)).map(|(_, count)| count).sum();
            ShortSides { from, below, images }
        };
        Some(Sizes {
            width: spread(&self.widths)?,
            height: spread(&self.heights)?,
            short_side: spread(&self.short_sides)?,
            short_sides: EDGES.iter().enumerate().map(range).collect(),
        })
    }
}

fn spread(counts: &BTreeMap<usize, usize>) -> Option<Spread> {
    let (&min, _) = counts.first_key_value()?;
    let (&max, _) = counts.last_key_value()?;
    let middle = counts.values().sum::<usize>().div_ceil(2);
    let mut passed = 0;
    let (&median, _) = counts.iter().find(|&(_, &count)| {
        passed += count;
        passed >= middle
    })?;
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(of: &[(usize, usize)]) -> Sizes {
        let mut counts = SizeCounts::default();
        of.iter().for_each(|&(width, height)| counts.add(width, height));
        counts.finish().unwrap()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        for (widths, median) in [
            (&[7][..], 7),
            (&[9, 1], 1),
            (&[9, 1, 5], 5),
            (&[1, 5, 9, 9], 5),
            (&[5, 5, 5, 1, 9], 5),
            (&[1, 1, 1, 9, 9], 1),
        ] {
            let found = sizes(&widths.iter().map(|&width| (width, 3)).collect::<Vec<_>>());
            assert_eq!(found.width.median, median, "{widths:?}");
            let extremes = (*widths.iter().min().unwrap(), *widths.iter().max().unwrap());
            assert_eq!((found.width.min, found.width.max), extremes);
            assert_eq!(found.height, Spread { min: 3, median: 3, max: 3 });
        }
        assert!(SizeCounts::default().finish().is_none());
    }

    #[test]
    fn every_short_side_lies_in_one_range() {
        let found = sizes(&[(1, 9), (31, 40), (500, 32), (223, 223), (224, 600), (255, 255), (256, 256)]);
        let images: Vec<usize> = found.short_sides.iter().map(|range| range.images).collect();
        assert_eq!(images, [2, 1, 0, 1, 2, 1, 0, 0, 0, 0]);
        let huge = sizes(&[(100_000, 2048)]);
        let last = ShortSides { from: 2048, below: None, images: 1 };
        assert_eq!(huge.short_sides.last(), Some(&last));
        assert_eq!(huge.short_side, Spread { min: 2048, median: 2048, max: 2048 });
    }
}
