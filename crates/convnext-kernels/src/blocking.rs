//! Cache blocking of a batch's rows, by shapes alone.
//!
//! An *image block* is a few images whose hidden rows fit into the L3 cache together, or that have as many
//! rows as the block has channels; image blocks do not depend on each other. A *partition* is a few image
//! blocks with gradient sums of their own. A *row block* of an image block, BLIS's MC, goes through the
//! GEMMs as one task. A *segment* is the rows of one image in a row block, as in `segment_sum`, because GRN
//! pools over the rows of one image only. The crate's README has all terms and their sizes in one table.

use std::ops::Range;

use crate::bf16::rows::row_pairs;
use crate::sites::Sites;
use crate::split::{scaled, split_at_ranges};

/// Hidden values of an image block, `4C` to a row, if its images have so many: few enough for the L3 cache.
const IMAGE_BLOCK_VALUES: usize = 1 << 17;

/// MC, the rows of a row block that are aimed at: minimum and maximum. A row block is whole images or an equal part of one, and
/// may have fewer.
const MC_RANGE: [usize; 2] = [32, 400];

/// Row blocks of an image block, so that all cores have work even in a single one. Every row block reads the
/// weights again from the L2 cache: with twice as many, a single image takes 5 % longer on two cores.
const ROW_BLOCKS: usize = 4;

/// Consecutive rows of one image.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Index of the image in the batch.
    pub(crate) image: usize,
    /// Rows of the activation matrix.
    pub(crate) rows: Range<usize>,
}

/// Rows that go through the GEMMs as one task.
#[derive(Debug, Clone)]
pub(crate) struct RowBlock {
    /// Indices of its segments in the image block.
    pub(crate) segments: Range<usize>,
    /// Rows of the image block, active images only.
    pub(crate) rows: Range<usize>,
    /// Row pairs of the image block; a segment with an odd number of rows ends with a half-filled pair.
    pub(crate) row_pairs: Range<usize>,
}

/// Active images that are processed together.
#[derive(Debug, Clone)]
pub(crate) struct ImageBlock {
    pub(crate) images: Vec<usize>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) row_blocks: Vec<RowBlock>,
    /// Rows of the batch, active images only.
    pub(crate) rows: Range<usize>,
    /// Rows of the batch, from the first to the last image, inactive ones between them included.
    pub(crate) span: Range<usize>,
}

impl ImageBlock {
    /// Splits per-row values of the image block, `width` to a row, by row block.
    pub(crate) fn split_by_row_block<'a, T>(&self, values: &'a mut [T], width: usize) -> Vec<&'a mut [T]> {
        split_at_ranges(values, self.row_blocks.iter().map(|row_block| scaled(&row_block.rows, width)))
    }

    /// Splits per-row-pair values of the image block, `width` to a row pair, by row block.
    pub(crate) fn split_row_pairs_by_row_block<'a, T>(
        &self,
        values: &'a mut [T],
        width: usize,
    ) -> Vec<&'a mut [T]> {
        split_at_ranges(values, self.row_blocks.iter().map(|row_block| scaled(&row_block.row_pairs, width)))
    }

    /// Splits per-segment values of the image block, `width` to a segment, by row block.
    pub(crate) fn split_segments_by_row_block<'a>(
        &self,
        values: &'a mut [f32],
        width: usize,
    ) -> Vec<&'a mut [f32]> {
        split_at_ranges(values, self.row_blocks.iter().map(|row_block| scaled(&row_block.segments, width)))
    }

    /// Splits per-row values of the image block's span, `width` to a row, by row block and segment.
    pub(crate) fn split_by_segment<'a>(
        &self,
        values: &'a mut [f32],
        width: usize,
    ) -> Vec<Vec<&'a mut [f32]>> {
        let from_span = |rows| counted_from(self.span.start, rows);
        let rows = self.segments.iter().map(|segment| scaled(&from_span(&segment.rows), width));
        let mut found = split_at_ranges(values, rows).into_iter();
        self.row_blocks
            .iter()
            .map(|row_block| found.by_ref().take(row_block.segments.len()).collect())
            .collect()
    }

    /// Number of row pairs.
    pub(crate) fn row_pairs(&self) -> usize {
        self.row_blocks.last().map_or(0, |row_block| row_block.row_pairs.end)
    }

    /// The segments of a row block.
    pub(crate) fn segments_of(&self, row_block: &RowBlock) -> &[Segment] {
        &self.segments[row_block.segments.clone()]
    }

    /// Index of a segment's image in the image block.
    pub(crate) fn place_of(&self, segment: &Segment) -> usize {
        self.images.partition_point(|&image| image < segment.image)
    }
}

/// The image blocks of the active images, which are in ascending order.
/// `width` is the number of hidden channels of the block.
pub(crate) fn image_blocks(sites: &Sites, images: &[usize], width: usize) -> Vec<ImageBlock> {
    let per_image = sites.rows_per_image();
    let mut begin = 0;
    let by_values = IMAGE_BLOCK_VALUES.div_ceil(per_image * width.max(1));
    // With fewer rows than channels, the memory traffic of weights and their gradients would dominate.
    let by_rows = (width / 4).div_ceil(per_image);
    (images.chunks(by_values.max(by_rows)))
        .map(|images| {
            let end = begin + images.len() * per_image;
            let (segments, row_blocks) = row_blocks(per_image, images);
            let span = match (images.first(), images.last()) {
                (Some(first), Some(last)) => first * per_image..(last + 1) * per_image,
                _ => 0..0,
            };
            let image_block =
                ImageBlock { images: images.to_vec(), segments, row_blocks, rows: begin..end, span };
            begin = end;
            image_block
        })
        .collect()
}

/// Maximum partitions of a backward, and rows of one where there are fewer, about: it is whole image blocks.
const MAX_PARTITIONS: usize = 8;
const PARTITION_ROWS: usize = 512;

/// Groups the image blocks into partitions, which run in parallel and have gradient sums of their own:
/// enough to overlap the serial parts of one with the others, few enough that the sums cost little.
pub(crate) fn partitions(image_blocks: &[ImageBlock]) -> Vec<&[ImageBlock]> {
    let rows = image_blocks.last().map_or(0, |image_block| image_block.rows.end);
    let count = (rows / PARTITION_ROWS).clamp(1, MAX_PARTITIONS);
    image_blocks.chunks(image_blocks.len().div_ceil(count).max(1)).collect()
}

/// Rows of a partition, active images only.
pub(crate) fn rows_of(partition: &[ImageBlock]) -> Range<usize> {
    partition.first().map_or(0, |image_block| image_block.rows.start)
        ..partition.last().map_or(0, |image_block| image_block.rows.end)
}

/// Rows of the batch, from the first to the last image of a partition.
pub(crate) fn span_of(partition: &[ImageBlock]) -> Range<usize> {
    partition.first().map_or(0, |image_block| image_block.span.start)
        ..partition.last().map_or(0, |image_block| image_block.span.end)
}

/// A range relative to `begin`.
fn counted_from(begin: usize, range: &Range<usize>) -> Range<usize> {
    range.start - begin..range.end - begin
}

/// The image blocks of a partition, each with its slices of the active rows and of the span, which have
/// `saved_width` and `channels` values to a row.
pub(crate) fn by_image_block<'a>(
    partition: &'a [ImageBlock],
    expanded: &'a mut [f32],
    saved_width: usize,
    ddepthwise: &'a mut [f32],
    channels: usize,
) -> impl Iterator<Item = (&'a ImageBlock, &'a mut [f32], &'a mut [f32])> {
    let (first, span) = (rows_of(partition).start, span_of(partition).start);
    let saved =
        partition.iter().map(|image_block| scaled(&counted_from(first, &image_block.rows), saved_width));
    let outs = partition.iter().map(|image_block| scaled(&counted_from(span, &image_block.span), channels));
    let parts = split_at_ranges(expanded, saved).into_iter().zip(split_at_ranges(ddepthwise, outs));
    partition
        .iter()
        .zip(parts)
        .map(|(image_block, (expanded, ddepthwise))| (image_block, expanded, ddepthwise))
}

fn row_blocks(per_image: usize, images: &[usize]) -> (Vec<Segment>, Vec<RowBlock>) {
    let wanted = (images.len() * per_image).div_ceil(ROW_BLOCKS).clamp(MC_RANGE[0], MC_RANGE[1]);
    let (mut segments, mut row_blocks) = (Vec::new(), Vec::new());
    let (mut row, mut row_pair) = (0, 0);
    let mut row_block = |found: Vec<Segment>, segments: &mut Vec<Segment>| {
        let rows: usize = found.iter().map(|segment| segment.rows.len()).sum();
        let row_pairs: usize = found.iter().map(|segment| row_pairs(segment.rows.len())).sum();
        let begin = segments.len();
        segments.extend(found);
        let segments = begin..segments.len();
        row_blocks.push(RowBlock {
            segments,
            rows: row..row + rows,
            row_pairs: row_pair..row_pair + row_pairs,
        });
        (row, row_pair) = (row + rows, row_pair + row_pairs);
    };
    if per_image > wanted {
        // A single image is cut into a number that divides evenly among threads.
        let count = per_image.div_ceil(wanted);
        let count = if images.len() == 1 { count.next_multiple_of(ROW_BLOCKS) } else { count };
        for &image in images {
            let rows = |row_block: usize| image * per_image + row_block * per_image / count;
            for index in 0..count {
                row_block(vec![Segment { image, rows: rows(index)..rows(index + 1) }], &mut segments);
            }
        }
    } else {
        let whole = |&image: &usize| Segment { image, rows: image * per_image..(image + 1) * per_image };
        for images in images.chunks(wanted / per_image) {
            row_block(images.iter().map(whole).collect(), &mut segments);
        }
    }
    (segments, row_blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of every active image, once and in order.
    #[test]
    fn every_row_is_covered_exactly_once() {
        for (images, side) in [(1, 56), (1, 7), (3, 32), (16, 4), (9, 1), (40, 9)] {
            let sites = Sites::dense(images, side, side).unwrap();
            let some: Vec<usize> = (0..images).filter(|image| image % 3 != 1).collect();
            let mut rows = Vec::new();
            let mut counted = 0;
            for image_block in image_blocks(&sites, &some, 1 << 10) {
                assert_eq!(image_block.rows.start, counted);
                assert_eq!(image_block.rows.len(), image_block.images.len() * side * side);
                let mut in_image_block = 0;
                for row_block in &image_block.row_blocks {
                    assert_eq!(row_block.rows.start, in_image_block);
                    assert!(row_block.rows.len() <= MC_RANGE[1]);
                    in_image_block += row_block.rows.len();
                    for segment in image_block.segments_of(row_block) {
                        assert_eq!(image_block.images[image_block.place_of(segment)], segment.image);
                        rows.extend(segment.rows.clone());
                    }
                }
                assert_eq!(in_image_block, image_block.rows.len());
                counted = image_block.rows.end;
            }
            let expected: Vec<usize> =
                some.iter().flat_map(|image| image * side * side..(image + 1) * side * side).collect();
            assert_eq!(rows, expected, "{images} images of {side} x {side}");
        }
    }
}
