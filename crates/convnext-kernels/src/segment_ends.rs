//! Ends of the segments of a row block, for epilogues that work on micro-tiles across them.

use std::ops::Range;

use crate::blocking::Segment;

/// The segments of a row block, by their ends.
pub(crate) struct SegmentEnds {
    /// End of each segment's rows, within the row block.
    ends: Vec<usize>,
}

impl SegmentEnds {
    pub(crate) fn new(segments: &[Segment]) -> Self {
        let mut end = 0;
        let ends = segments.iter().map(|segment| {
            end += segment.rows.len();
            end
        });
        Self { ends: ends.collect() }
    }

    /// The segments that overlap with `rows`, each with the overlap.
    #[inline(always)]
    pub(crate) fn of(&self, rows: Range<usize>) -> SegmentsOf<'_> {
        let segment = self.ends.partition_point(|&end| end <= rows.start);
        SegmentsOf { ends: &self.ends, segment, rows }
    }

    /// Rows of a segment, within the row block.
    pub(crate) fn rows(&self, segment: usize) -> Range<usize> {
        self.begin(segment)..self.ends[segment]
    }

    /// First row of a segment, within the row block.
    #[inline]
    pub(crate) fn begin(&self, segment: usize) -> usize {
        segment.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// [`SegmentEnds::of`].
pub(crate) struct SegmentsOf<'a> {
    ends: &'a [usize],
    segment: usize,
    rows: Range<usize>,
}

impl Iterator for SegmentsOf<'_> {
    type Item = (usize, Range<usize>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty() {
            return None;
        }
        let (segment, begin) = (self.segment, self.rows.start);
        let end = self.ends[segment].min(self.rows.end);
        (self.segment, self.rows.start) = (segment + 1, end);
        Some((segment, begin..end))
    }
}
