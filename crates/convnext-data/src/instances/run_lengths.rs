//! The pixels of an object as COCO's run lengths, as a list of numbers or as its compressed string.

use convnext_core::{BoundingBox, ImageSize};

use crate::instances::polygon::{Ranges, ring_ranges};
use crate::instances::run_length_text::{counts_of_text, text_of_counts};

/// Pixels of an image, as lengths of runs that go down its columns one after the other: outside, inside, outside and so on.
/// Only the first may be 0, so equal pixels are equal values. They sum up to the pixels of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLengths {
    size: ImageSize,
    counts: Vec<u32>,
}

impl RunLengths {
    /// The pixels inside any of the rings `x, y, x, y, ...`, as pycocotools rasterises polygons. Rings of fewer than three
    /// corners have none.
    pub fn of_rings(rings: &[Vec<f64>], size: ImageSize) -> Self {
        let rings = rings.iter().filter(|ring| ring.len() >= 6);
        let mut ranges: Ranges = rings.flat_map(|ring| ring_ranges(ring, size)).collect();
        ranges.sort_unstable();
        Self::of_ranges(&ranges, size)
    }

    /// The pixels of COCO's list of lengths. What the lengths leave over is outside.
    ///
    /// # Errors
    /// In words, when they are more than the pixels of the image.
    pub fn of_counts(counts: &[u32], size: ImageSize) -> Result<Self, String> {
        let mut ranges = Ranges::new();
        let mut at = 0_usize;
        for (index, &count) in counts.iter().enumerate() {
            let end = at + count as usize;
            if end > size.pixels() {
                return Err(format!("its run lengths go beyond {} pixels", size.pixels()));
            }
            if index % 2 == 1 && count > 0 {
                ranges.push((at, end));
            }
            at = end;
        }
        Ok(Self::of_ranges(&ranges, size))
    }

    /// The pixels of COCO's compressed string.
    ///
    /// # Errors
    /// In words, for characters and numbers that no such string has, and as [`Self::of_counts`].
    pub fn of_text(text: &str, size: ImageSize) -> Result<Self, String> {
        Self::of_counts(&counts_of_text(text)?, size)
    }

    /// The pixels of a map of rows, `true` inside.
    ///
    /// # Panics
    /// When the map has another number of pixels than `size`.
    pub fn of_rows(inside: &[bool], size: ImageSize) -> Self {
        assert_eq!(inside.len(), size.pixels(), "a map of another size");
        let columns = (0..size.width).flat_map(|x| inside[x..].iter().step_by(size.width));
        let pixels = columns.enumerate().filter(|(_, is_inside)| **is_inside);
        Self::of_ranges(&pixels.map(|(at, _)| (at, at + 1)).collect::<Ranges>(), size)
    }

    /// The pixels of ranges that are sorted by their start, overlap or not.
    pub(crate) fn of_ranges(ranges: &[(usize, usize)], size: ImageSize) -> Self {
        let mut merged = Ranges::new();
        for &(start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = end.max(last.1),
                _ => merged.push((start, end)),
            }
        }
        let mut counts = Vec::with_capacity(2 * merged.len() + 1);
        let mut at = 0;
        for (start, end) in merged {
            counts.extend([(start - at) as u32, (end - start) as u32]);
            at = end;
        }
        if at < size.pixels() || counts.is_empty() {
            counts.push((size.pixels() - at) as u32);
        }
        Self { size, counts }
    }

    /// Height and width of the image.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// The lengths.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// COCO's compressed string.
    pub fn text(&self) -> String {
        text_of_counts(&self.counts)
    }

    /// The ranges of pixels inside, counted down the columns one after the other, in their order.
    pub fn ranges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        self.counts.chunks(2).filter_map(move |pair| {
            let start = at + pair[0] as usize;
            at = start + pair.get(1).map_or(0, |&length| length as usize);
            (at > start).then_some((start, at))
        })
    }

    /// The pixels inside a window of an image of `size`, whose corner is at (left, top) and which may reach beyond.
    pub fn part(&self, [left, top]: [usize; 2], size: ImageSize) -> Self {
        let height = self.size.height;
        let mut ranges = Ranges::new();
        for (start, end) in self.ranges() {
            let (first, last) = (start / height, (end - 1) / height);
            for column in first.max(left)..=last.min(left + size.width - 1) {
                let above = if column == first { start % height } else { 0 };
                let below = if column == last { (end - 1) % height + 1 } else { height };
                let (above, below) = (above.max(top) - top, below.min(top + size.height).saturating_sub(top));
                if above < below {
                    let column = (column - left) * size.height;
                    ranges.push((column + above, column + below));
                }
            }
        }
        Self::of_ranges(&ranges, size)
    }

    /// Number of pixels inside.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&length| u64::from(length)).sum()
    }

    /// Number of pixels inside both.
    ///
    /// # Panics
    /// When the images have different sizes.
    pub fn shared_area(&self, other: &Self) -> u64 {
        assert_eq!(self.size, other.size, "masks of images of different sizes");
        let (mut ones, mut others) = (self.ranges().peekable(), other.ranges().peekable());
        let mut shared = 0;
        while let (Some(&(start, end)), Some(&(other_start, other_end))) = (ones.peek(), others.peek()) {
            shared += end.min(other_end).saturating_sub(start.max(other_start)) as u64;
            if end <= other_end {
                ones.next();
            } else {
                others.next();
            }
        }
        shared
    }

    /// The pixels inside both over those inside any, in 0 to 1; 0 where neither has one.
    ///
    /// # Panics
    /// When the images have different sizes.
    pub fn intersection_over_union(&self, other: &Self) -> f64 {
        let shared = self.shared_area(other);
        share(shared, self.area() + other.area() - shared)
    }

    /// The share of its pixels that are inside the other one too, in 0 to 1; 0 where there is none. For a detection and a crowd
    /// this is what COCO has instead of intersection over union.
    ///
    /// # Panics
    /// When the images have different sizes.
    pub fn share_inside(&self, other: &Self) -> f64 {
        share(self.shared_area(other), self.area())
    }

    /// The smallest box around the pixels; of no size at the corner when there is none.
    pub fn bounds(&self) -> BoundingBox {
        let height = self.size.height;
        let mut bounds: Option<[usize; 4]> = None;
        for (start, end) in self.ranges() {
            let (left, right) = (start / height, (end - 1) / height);
            // A range over several columns reaches from the top to the bottom.
            let (top, bottom) =
                if left == right { (start % height, (end - 1) % height) } else { (0, height - 1) };
            let [l, t, r, b] = bounds.unwrap_or([left, top, right, bottom]);
            bounds = Some([l.min(left), t.min(top), r.max(right), b.max(bottom)]);
        }
        bounds.map_or_else(BoundingBox::default, |[left, top, right, bottom]| BoundingBox {
            left: left as f64,
            top: top as f64,
            right: (right + 1) as f64,
            bottom: (bottom + 1) as f64,
        })
    }

    /// The map of rows, `true` inside.
    pub fn rows(&self) -> Vec<bool> {
        let ImageSize { height, width } = self.size;
        let mut rows = vec![false; self.size.pixels()];
        for at in self.ranges().flat_map(|(start, end)| start..end) {
            rows[(at % height) * width + at / height] = true;
        }
        rows
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { height: 2, width: 3 };

    #[test]
    fn strings_and_lists_are_read() {
        // All inside, and all outside.
        let [all, none] = ["06", "6"].map(|text| RunLengths::of_text(text, SIZE).unwrap());
        assert_eq!((all.counts(), none.counts()), (&[0, 6][..], &[6][..]));
        // Short lists leave the rest outside.
        assert_eq!(RunLengths::of_counts(&[1, 2], SIZE).unwrap().counts(), [1, 2, 3]);
        assert!(RunLengths::of_counts(&[1, 6], SIZE).unwrap_err().contains("beyond 6"));
        for damaged in ["!", "P", "\u{7f}", "oooooooooooo"] {
            assert!(RunLengths::of_text(damaged, SIZE).is_err(), "{damaged}");
        }
    }

    #[test]
    fn pixels_have_an_area_bounds_and_rows() {
        let found = RunLengths::of_counts(&[1, 2, 1, 1, 1], SIZE).unwrap();
        let rows = [false, true, true, true, false, false];
        assert_eq!((found.area(), found.rows()), (3, rows.to_vec()));
        assert_eq!(RunLengths::of_rows(&rows, SIZE), found);
        assert_eq!(found.bounds().edges(), [0.0, 0.0, 3.0, 2.0]);
        assert_eq!(RunLengths::of_counts(&[3, 1], SIZE).unwrap().bounds().edges(), [1.0, 1.0, 2.0, 2.0]);
        let none = RunLengths::of_counts(&[], SIZE).unwrap();
        assert_eq!((none.area(), none.bounds()), (0, BoundingBox::default()));
        let column = RunLengths::of_counts(&[2, 2], SIZE).unwrap();
        assert_eq!(
            (found.shared_area(&column), found.shared_area(&found), none.shared_area(&found)),
            (1, 3, 0)
        );
        assert_eq!((found.intersection_over_union(&column), column.share_inside(&found)), (0.25, 0.5));
        assert_eq!((none.intersection_over_union(&none), none.share_inside(&found)), (0.0, 0.0));
    }

    #[test]
    fn rings_are_united() {
        let square = |from: f64, to: f64| vec![from, from, to, from, to, to, from, to];
        let size = ImageSize::square(4);
        let found =
            RunLengths::of_rings(&[square(1.0, 3.0), square(0.0, 2.0), vec![0.0, 0.0, 9.0, 9.0]], size);
        assert_eq!(found.area(), 7);
        // A ring within another is no hole.
        assert_eq!(RunLengths::of_rings(&[square(0.0, 4.0), square(1.0, 2.0)], size).area(), 16);
    }

    #[test]
    fn a_window_has_its_part() {
        let size = ImageSize { height: 5, width: 7 };
        let rows: Vec<bool> = (0..35).map(|at| at * 7 % 11 < 6).collect();
        let found = RunLengths::of_rows(&rows, size);
        for ([left, top], window) in
            [([0, 0], size), ([2, 1], ImageSize::square(3)), ([5, 3], ImageSize { height: 4, width: 6 })]
        {
            let part = found.part([left, top], window);
            let inside = |at: usize| {
                let (x, y) = (left + at % window.width, top + at / window.width);
                x < 7 && y < 5 && rows[y * 7 + x]
            };
            assert_eq!(part.rows(), (0..window.pixels()).map(inside).collect::<Vec<_>>());
        }
    }

    /// Strings and lists of pycocotools 2.0.11, made by `tests/goldens/masks/make.py`.
    #[test]
    fn strings_are_those_of_pycocotools() {
        #[derive(serde::Deserialize)]
        struct Case {
            text: String,
            counts: Vec<u32>,
        }
        let text = include_str!("../../tests/goldens/masks/strings.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        for Case { text, counts } in cases {
            let size = ImageSize { height: counts.iter().sum::<u32>() as usize, width: 1 };
            let found = RunLengths::of_text(&text, size).unwrap();
            assert_eq!(counts_of_text(&text).unwrap(), counts);
            assert_eq!((found.counts(), found.text()), (&counts[..], text));
        }
    }
}
