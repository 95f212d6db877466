//! The left side of an f32 GEMM.

use std::ops::Range;

use crate::packed::Matrix;

/// A left side: rows of one or more slices of the same length, which need not be neighbours in memory.
pub(crate) trait Left: Copy {
    /// `true` if the slices of a row are not neighbours in memory.
    const SCATTERED: bool;

    /// Rows of a strip, at most: enough that a panel, which is read once for each strip, is read seldom.
    const STRIP_ROWS: usize;

    fn rows(self) -> usize;

    /// Values of a row.
    fn inner(self) -> usize;

    /// Values of a slice.
    fn slice_len(self) -> usize;

    /// Neighbouring rows as a left side.
    fn strip(self, rows: Range<usize>) -> Self;

    /// The values of a part of a row.
    fn part(&self, row: usize, part: &Part) -> &[f32];
}

/// A part of the inner dimension that lies within one slice of each row.
pub(crate) struct Part {
    /// Index of the slice.
    pub(crate) slice: usize,
    /// Values of the slice.
    pub(crate) columns: Range<usize>,
}

/// The parts of a range of the inner dimension, in order.
pub(crate) fn parts(left: impl Left, k_range: &Range<usize>) -> Vec<Part> {
    let length = left.slice_len().max(1);
    let slices = k_range.start / length..k_range.end.div_ceil(length);
    let part = |slice: usize| {
        let begin = slice * length;
        let [start, end] = [k_range.start, k_range.end].map(|k| k.clamp(begin, begin + length) - begin);
        Part { slice, columns: start..end }
    };
    slices.map(part).collect()
}

impl Left for Matrix<'_> {
    const SCATTERED: bool = false;
    const STRIP_ROWS: usize = 48;

    fn rows(self) -> usize {
        self.rows
    }

    fn inner(self) -> usize {
        self.columns
    }

    fn slice_len(self) -> usize {
        self.columns
    }

    fn strip(self, rows: Range<usize>) -> Self {
        assert!(!self.transposed, "the left side is row-major");
        let values = &self.values[rows.start * self.columns..rows.end * self.columns];
        Self { values, rows: rows.len(), ..self }
    }

    #[inline(always)]
    fn part(&self, row: usize, Part { columns, .. }: &Part) -> &[f32] {
        &self.values[row * self.columns + columns.start..][..columns.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_at_the_ends_of_slices() {
        // As with three slices of 100 values.
        let values = [0.0; 100];
        let left = Matrix::new(&values, 1, 100);
        let cut = |k_range: Range<usize>| -> Vec<(usize, Range<usize>)> {
            parts(left, &k_range).into_iter().map(|part| (part.slice, part.columns)).collect()
        };
        assert_eq!(cut(0..100), [(0, 0..100)]);
        assert_eq!(cut(40..256), [(0, 40..100), (1, 0..100), (2, 0..56)]);
        assert_eq!(cut(256..300), [(2, 56..100)]);
        assert!(cut(100..100).is_empty());
    }
}
