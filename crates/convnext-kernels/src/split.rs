//! Disjoint mutable slices of one buffer, which threads write independently.

use std::ops::Range;

/// Splits `values` into mutable slices at these ranges, which are ascending and do not overlap.
pub(crate) fn split_at_ranges<T>(
    values: &mut [T],
    ranges: impl IntoIterator<Item = Range<usize>>,
) -> Vec<&mut [T]> {
    let (mut rest, mut position) = (values, 0);
    let mut found = Vec::new();
    for range in ranges {
        let (_, from) = std::mem::take(&mut rest).split_at_mut(range.start - position);
        let (slice, after) = from.split_at_mut(range.len());
        found.push(slice);
        (rest, position) = (after, range.end);
    }
    found
}

/// A range of rows scaled by their width to a range of values.
pub(crate) fn scaled(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

/// Adds values to sums, elementwise.
pub(crate) fn add_to(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_at_their_ranges() {
        let mut values: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let found = split_at_ranges(&mut values, [scaled(&(1..2), 2), 4..4, 7..10]);
        assert_eq!(found, [&[2.0, 3.0][..], &[], &[7.0, 8.0, 9.0]]);
    }
}
