//! Pixels of objects put together, and moved from a part of an image into the whole.

use convnext_core::ImageSize;

use crate::instances::polygon::Ranges;
use crate::instances::run_lengths::RunLengths;

impl RunLengths {
    /// The pixels inside either.
    ///
    /// # Panics
    /// When the images have different sizes.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        assert_eq!(self.size(), other.size(), "masks of images of different sizes");
        let mut ranges: Ranges = self.ranges().chain(other.ranges()).collect();
        ranges.sort_unstable();
        Self::of_ranges(&ranges, self.size())
    }

    /// The pixels in an image of this size, of which theirs is the part whose upper left corner is at `[x, y]`; what lies
    /// outside is lost.
    #[must_use]
    pub fn moved_into(&self, [left, top]: [usize; 2], size: ImageSize) -> Self {
        let ImageSize { height, width } = self.size();
        let mut ranges = Ranges::new();
        for (start, end) in self.ranges() {
            for x in start / height..=(end - 1) / height {
                // The part of the range that lies in this column.
                let from = start.max(x * height) - x * height;
                let to = end.min((x + 1) * height) - x * height;
                let column = (left + x) * size.height;
                let [from, to] = [from, to].map(|row| column + (top + row).min(size.height));
                if x < width && left + x < size.width && from < to {
                    ranges.push((from, to));
                }
            }
        }
        Self::of_ranges(&ranges, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { height: 2, width: 3 };

    #[test]
    fn pixels_inside_either_are_inside_both() {
        let [one, other] = [[1, 2, 3], [2, 2, 2]].map(|counts| RunLengths::of_counts(&counts, SIZE).unwrap());
        assert_eq!(one.union(&other).counts(), [1, 3, 2]);
        assert_eq!(one.union(&one), one);
    }

    #[test]
    fn pixels_keep_their_place_in_the_whole() {
        let rows = [false, true, true, true, false, true];
        let moved = RunLengths::of_rows(&rows, SIZE).moved_into([1, 2], ImageSize { height: 5, width: 5 });
        let mut expected = vec![false; 25];
        for at in [12, 13, 16, 18] {
            expected[at] = true;
        }
        assert_eq!(moved.rows(), expected);
        // What lies outside is lost.
        let moved = RunLengths::of_rows(&rows, SIZE).moved_into([1, 1], SIZE);
        assert_eq!(moved.rows(), [false, false, false, false, false, true]);
    }
}
