//! What the mask head learns of a region: the pixels of its object, as a map of fixed size.
//!
//! As `BitmapMasks.crop_and_resize` of mmdet 3.3 (Apache-2.0): RoIAlign of the object's bitmap (aligned, with
//! as many samples in a cell as it has pixels, He et al. 2017), inside from a half on. Samples lie on a grid
//! and are interpolated bilinearly, so here the average of a cell is a product of weights of rows and of
//! columns.

use convnext_core::BoundingBox;

use crate::regions::object_bitmap::{INSIDE, MASK_SIDE, ObjectBitmap};

/// The target of a region: rows of [`MASK_SIDE`] x [`MASK_SIDE`], `true` inside the object.
pub fn mask_target(bitmap: &ObjectBitmap, region: &BoundingBox) -> Vec<bool> {
    let size = bitmap.size();
    let bounds = region.clipped(size);
    let columns = axis_weights(bounds.left, bounds.right, size.width);
    let rows = axis_weights(bounds.top, bounds.bottom, size.height);
    let mut sums = [[0.0; MASK_SIDE]; MASK_SIDE];
    for (at, pixels) in bitmap.rows().enumerate() {
        let y = bitmap.top() + at;
        let cells = rows.iter().zip(&mut sums).filter_map(|(row, sums)| Some((row.of(y)?, sums)));
        let mut of_columns = None;
        for (weight, sums) in cells {
            let of_columns = of_columns.get_or_insert_with(|| covered(&columns, bitmap.left(), pixels));
            for (sum, covered) in sums.iter_mut().zip(of_columns) {
                *sum += weight * *covered;
            }
        }
    }
    sums.as_flattened().iter().map(|&share| share >= INSIDE).collect()
}

/// Weights of pixels in one cell along an axis.
struct CellWeights {
    /// First pixel with a weight.
    first: usize,
    /// Weights from there on; all together 1, less where samples lie outside the map.
    weights: Vec<f64>,
}

impl CellWeights {
    /// The weight of a pixel, if it has one.
    fn of(&self, pixel: usize) -> Option<f64> {
        self.weights.get(pixel.checked_sub(self.first)?).copied()
    }
}

/// The weights of all cells of a region from `start` to `end` on an axis of `pixels`.
fn axis_weights(start: f64, end: f64, pixels: usize) -> Vec<CellWeights> {
    // Pixels have their values in their middle.
    let (start, end) = (start - 0.5, end - 0.5);
    let cell = (end - start) / MASK_SIDE as f64;
    let samples = cell.ceil() as usize;
    let weights = |at: usize| {
        let position =
            move |sample: usize| start + at as f64 * cell + (sample as f64 + 0.5) * cell / samples as f64;
        cell_weights((0..samples).map(position), pixels, 1.0 / samples.max(1) as f64)
    };
    (0..MASK_SIDE).map(weights).collect()
}

/// The weights of a cell with samples at ascending positions, each of which counts for `share`. One outside
/// the map counts as a sample of value 0.
fn cell_weights(positions: impl Iterator<Item = f64>, pixels: usize, share: f64) -> CellWeights {
    let mut cell = CellWeights { first: 0, weights: Vec::new() };
    let mut add = |pixel: usize, weight: f64| {
        if cell.weights.is_empty() {
            cell.first = pixel;
        }
        let at = pixel - cell.first;
        if cell.weights.len() <= at {
            cell.weights.resize(at + 1, 0.0);
        }
        cell.weights[at] += weight * share;
    };
    for position in positions.filter(|&position| position >= -1.0 && position <= pixels as f64) {
        let position = position.max(0.0);
        let low = position as usize;
        if low + 1 >= pixels {
            add(pixels - 1, 1.0);
        } else {
            let high = position - low as f64;
            add(low, 1.0 - high);
            add(low + 1, high);
        }
    }
    cell
}

/// The share of each cell of a row that is covered by the pixels from the column `left` on.
fn covered(columns: &[CellWeights], left: usize, pixels: &[bool]) -> [f64; MASK_SIDE] {
    let mut covered = [0.0; MASK_SIDE];
    for (covered, cell) in covered.iter_mut().zip(columns) {
        let from = cell.first.max(left);
        let weights = cell.weights.get(from - cell.first..).unwrap_or_default();
        let pixels = pixels.get(from - left..).unwrap_or_default();
        *covered =
            weights.iter().zip(pixels).map(|(weight, &inside)| weight * f64::from(u8::from(inside))).sum();
    }
    covered
}

#[cfg(test)]
mod tests {
    use convnext_core::ImageSize;
    use convnext_data::RunLengths;

    use super::*;

    fn count(region: [f64; 4]) -> usize {
        let [left, top, right, bottom] = region;
        let size = ImageSize { height: 60, width: 80 };
        // Columns 10 to 37, rows 20 to 33.
        let inside = |at: usize| (10..38).contains(&(at % 80)) && (20..34).contains(&(at / 80));
        let mask = RunLengths::of_rows(&(0..4800).map(inside).collect::<Vec<_>>(), size);
        let region = BoundingBox { left, top, right, bottom };
        let target = mask_target(&ObjectBitmap::new(&mask, size), &region);
        assert_eq!(target.len(), 784);
        target.into_iter().filter(|&inside| inside).count()
    }

    #[test]
    fn regions_are_filled_as_the_object_fills_them() {
        assert_eq!(count([10.0, 20.0, 38.0, 34.0]), 784);
        assert_eq!(count([10.0, 20.0, 38.0, 48.0]), 392);
        assert_eq!(count([10.0, 6.0, 66.0, 34.0]), 196);
        assert_eq!(count([40.0, 40.0, 60.0, 60.0]), 0);
        assert_eq!(count([12.0, 22.0, 12.5, 22.5]), 784);
        assert_eq!(count([12.0, 22.0, 12.0, 22.0]), 0);
    }
}
