//! Masks of fixed size in the pixels of their image.
//!
//! As `_do_paste_mask` of mmdet 3.3 (Apache-2.0): the mask is sampled at the middle of each pixel, bilinearly
//! and with zeros around it (`grid_sample` without `align_corners`), and is inside from a half on. So a pixel
//! outside the box never is. Along a column the samples between two values of the mask lie on a line; only
//! where that crosses a half are they computed one by one.
//!
//! torchvision 0.29 (BSD-3-Clause, `paste_masks_in_image`) resizes the mask with a border of zeros to a box of whole pixels, whose
//! edges are cut off, and which is a pixel longer than they are apart.

use convnext_core::{BoundingBox, DetectorRules, ImageSize};
use convnext_data::RunLengths;

use crate::regions::object_bitmap::{INSIDE, MASK_SIDE};

/// The values along a line of the mask, with a zero at either end.
type Line = [f64; MASK_SIDE + 2];

/// The pixels of a mask, rows of [`MASK_SIDE`] x [`MASK_SIDE`] probabilities, whose box lies at `bounds` in
/// an image of this size. A box without an area has none (mmdet gives it up to three columns).
pub fn paste_mask(
    probabilities: &[f32],
    bounds: &BoundingBox,
    size: ImageSize,
    rules: DetectorRules,
) -> RunLengths {
    let samples = match rules {
        DetectorRules::MmDetection => samples,
        DetectorRules::Torchvision => samples_of_torchvision,
    };
    let mut ranges = Ranges { counts: Vec::new(), end: 0 };
    if bounds.has_area() {
        let columns = samples(bounds.left, bounds.right, size.width);
        let rows = samples(bounds.top, bounds.bottom, size.height);
        for column in columns {
            let line = column_line(probabilities, &column);
            for rows in rows.chunk_by(|one, other| one.cell == other.cell) {
                let at = column.pixel * size.height;
                add_inside(&line, rows, |from, to| ranges.add(at + from, at + to));
            }
        }
    }
    let found = RunLengths::of_counts(&ranges.counts, size);
    found.unwrap_or_else(|_| unreachable!("ranges lie within the image"))
}

/// Where the middle of a pixel lies on an axis of the mask.
struct Sample {
    /// The pixel.
    pixel: usize,
    /// The value before it, in the line with its zeros.
    cell: usize,
    /// How far it is from there to the next value, in 0 to 1.
    fraction: f64,
}

/// The samples of the pixels of an axis in a box from `start` to `end`.
fn samples(start: f64, end: f64, pixels: usize) -> Vec<Sample> {
    let first = start.floor().max(0.0) as usize;
    let last = (end.ceil().max(0.0) as usize).min(pixels);
    let sample = |pixel: usize| {
        let place = (pixel as f64 + 0.5 - start) / (end - start) * 2.0 - 1.0;
        let position = ((place + 1.0) * MASK_SIDE as f64 - 1.0) / 2.0;
        let before = position.floor();
        let is_near = before >= -1.0 && before < MASK_SIDE as f64;
        is_near.then_some(Sample { pixel, cell: (before + 1.0) as usize, fraction: position - before })
    };
    (first..last).filter_map(sample).collect()
}

/// The samples of the pixels of an axis in a box from `start` to `end` by torchvision's rules.
fn samples_of_torchvision(start: f64, end: f64, pixels: usize) -> Vec<Sample> {
    let values = (MASK_SIDE + 2) as f64;
    let (middle, half) = ((start + end) * 0.5, (end - start) * 0.5 * (values / MASK_SIDE as f64));
    let [first, last] = [middle - half, middle + half].map(|edge| edge as i64);
    let length = (last - first + 1).max(1) as f64;
    let sample = |pixel: i64| {
        let place = ((pixel - first) as f64 + 0.5) * (values / length) - 0.5;
        let place = place.clamp(0.0, values - 1.0);
        // The last value is its own neighbour.
        let cell = (place as usize).min(MASK_SIDE);
        Sample { pixel: pixel as usize, cell, fraction: place - cell as f64 }
    };
    (first.max(0)..(last + 1).min(pixels as i64)).map(sample).collect()
}

/// The values of the mask along a column of the image.
fn column_line(probabilities: &[f32], column: &Sample) -> Line {
    let mut line = [0.0; MASK_SIDE + 2];
    for (value, row) in line[1..].iter_mut().zip(probabilities.chunks_exact(MASK_SIDE)) {
        // The zeros around the mask stand at no index.
        let at =
            |index: Option<usize>| index.and_then(|index| row.get(index)).map_or(0.0, |&found| found.into());
        let (before, after) = (at(column.cell.checked_sub(1)), at(Some(column.cell)));
        *value = before * (1.0 - column.fraction) + after * column.fraction;
    }
    line
}

/// Reports the ranges of rows inside, among rows of one cell.
fn add_inside(line: &Line, rows: &[Sample], mut add: impl FnMut(usize, usize)) {
    let (before, after) = (line[rows[0].cell], line[rows[0].cell + 1]);
    match (before >= INSIDE, after >= INSIDE) {
        (true, true) => add(rows[0].pixel, rows[0].pixel + rows.len()),
        (false, false) => {}
        _ => {
            for row in rows {
                if before * (1.0 - row.fraction) + after * row.fraction >= INSIDE {
                    add(row.pixel, row.pixel + 1);
                }
            }
        }
    }
}

/// Ranges of pixels as COCO's lengths.
struct Ranges {
    counts: Vec<u32>,
    end: usize,
}

impl Ranges {
    /// Adds a range after all others.
    fn add(&mut self, from: usize, to: usize) {
        let length = (to - from) as u32;
        match self.counts.last_mut() {
            Some(last) if from == self.end => *last += length,
            _ => self.counts.extend([(from - self.end) as u32, length]),
        }
        self.end = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paste(value: f32, edges: [f64; 4], size: ImageSize) -> RunLengths {
        let [left, top, right, bottom] = edges;
        paste_mask(
            &[value; MASK_SIDE * MASK_SIDE],
            &BoundingBox { left, top, right, bottom },
            size,
            DetectorRules::MmDetection,
        )
    }

    #[test]
    fn a_full_mask_fills_its_box() {
        let size = ImageSize { height: 40, width: 50 };
        let found = paste(1.0, [6.0, 3.0, 34.0, 31.0], size);
        assert_eq!((found.area(), found.bounds().edges()), (784, [6.0, 3.0, 34.0, 31.0]));
        // What the zeros around a mask leave of one of probability 0.9: a pixel less on each side.
        let found = paste(0.9, [60.0, 60.0, 340.0, 340.0], ImageSize::square(400));
        assert_eq!(found.bounds().edges(), [61.0, 61.0, 339.0, 339.0]);
        assert_eq!(paste(1.0, [-20.0, -20.0, 90.0, 90.0], size).area(), 2000);
    }

    /// `paste_masks_in_image` of torchvision, a mask of ones: boxes of 28 pixels have a pixel more.
    #[test]
    fn torchvision_pastes_whole_pixels() {
        let size = ImageSize { height: 40, width: 50 };
        let bounds = BoundingBox { left: 6.0, top: 3.0, right: 34.0, bottom: 31.0 };
        let ones = [1.0; MASK_SIDE * MASK_SIDE];
        let found = paste_mask(&ones, &bounds, size, DetectorRules::Torchvision);
        assert_eq!((found.area(), found.bounds().edges()), (841, [6.0, 3.0, 35.0, 32.0]));
    }

    #[test]
    fn there_may_be_no_pixel() {
        let size = ImageSize { height: 40, width: 50 };
        for edges in [
            [6.0, 3.0, 6.0, 31.0],
            [60.0, 3.0, 70.0, 31.0],
            [-60.0, -30.0, -5.0, -2.0],
            [7.6, 7.6, 8.4, 8.4],
            [f64::NAN, 0.0, 9.0, 9.0],
        ] {
            assert_eq!(paste(1.0, edges, size).counts(), [2000], "{edges:?}");
        }
        assert_eq!(paste(0.4, [0.0, 0.0, 9.0, 9.0], size).area(), 0);
        assert_eq!(paste(0.5, [1.0, 1.0, 9.0, 9.0], size).bounds().edges(), [1.0, 1.0, 9.0, 9.0]);
    }
}
