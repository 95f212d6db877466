//! Anchors: boxes of fixed sizes and shapes at every place of the pyramid's maps.
//!
//! As `AnchorGenerator` of mmdet 3.3 (Apache-2.0) makes them for its Mask R-CNN: around the upper left corner
//! of each cell, at coordinates that are not rounded. That of torchvision 0.29 (BSD-3-Clause) rounds them, and may count
//! other pixels from cell to cell.

use convnext_core::{BoundingBox, ImageSize, PLACE_ANCHORS};

/// Side of the square anchor, in strides of its level.
pub const ANCHOR_SCALE: f64 = 8.0;

/// Height over width of the anchors at a place; all of a level have the same area.
pub const ANCHOR_RATIOS: [f64; PLACE_ANCHORS] = [0.5, 1.0, 2.0];

/// One map of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapLevel {
    /// Pixels of the input from one cell to the next, of which anchors are [`ANCHOR_SCALE`] long.
    pub stride: usize,
    /// Cells from top to bottom.
    pub height: usize,
    /// Cells from left to right.
    pub width: usize,
    /// Pixels of the input from an anchor to the next one downwards and to the right.
    pub step: [usize; 2],
    /// `true` if the edges of anchors are whole pixels.
    pub rounded: bool,
}

impl MapLevel {
    /// A level of this height and width, with anchors by MMDetection's rules.
    pub fn new(stride: usize, [height, width]: [usize; 2]) -> Self {
        Self { stride, height, width, step: [stride; 2], rounded: false }
    }

    /// A level of this height and width, with anchors by torchvision's rules for an input of this height and width.
    pub fn of_torchvision(stride: usize, [height, width]: [usize; 2], input: [usize; 2]) -> Self {
        let step = [input[0] / height.max(1), input[1] / width.max(1)];
        Self { step, rounded: true, ..Self::new(stride, [height, width]) }
    }

    /// Number of anchors of the level in one image.
    pub fn anchors(&self) -> usize {
        self.height * self.width * ANCHOR_RATIOS.len()
    }

    /// The anchors of the level in the order (y, x, ratio), in pixels of the input.
    pub fn boxes(&self) -> Vec<BoundingBox> {
        let shapes = ANCHOR_RATIOS.map(|ratio| self.shape(ratio));
        let mut boxes = Vec::with_capacity(self.anchors());
        for y in 0..self.height {
            for x in 0..self.width {
                boxes.extend(shapes.map(|shape| shape.moved(self.corner(y, x))));
            }
        }
        boxes
    }

    /// One of them.
    pub fn anchor(&self, at: usize) -> BoundingBox {
        let (cell, ratio) = (at / ANCHOR_RATIOS.len(), at % ANCHOR_RATIOS.len());
        let [x, y] = [cell % self.width, cell / self.width];
        self.shape(ANCHOR_RATIOS[ratio]).moved(self.corner(y, x))
    }

    /// The place, by x and y, that the anchors of a cell stand around.
    fn corner(&self, y: usize, x: usize) -> [f64; 2] {
        [(x * self.step[1]) as f64, (y * self.step[0]) as f64]
    }

    /// The anchor of a ratio around the origin.
    fn shape(&self, ratio: f64) -> BoundingBox {
        let side = self.stride as f64;
        let height_ratio = ratio.sqrt();
        let width = side * (1.0 / height_ratio) * ANCHOR_SCALE;
        let height = side * height_ratio * ANCHOR_SCALE;
        let half = |side: f64| if self.rounded { (0.5 * side).round_ties_even() } else { 0.5 * side };
        let (right, bottom) = (half(width), half(height));
        BoundingBox { left: -right, top: -bottom, right, bottom }
    }
}

/// The anchors of a pyramid, level after level.
#[derive(Debug, Clone)]
pub struct AnchorGrid {
    levels: Vec<MapLevel>,
    boxes: Vec<BoundingBox>,
}

impl AnchorGrid {
    /// The anchors of these maps, the finest first.
    pub fn new(levels: Vec<MapLevel>) -> Self {
        let boxes = levels.iter().flat_map(MapLevel::boxes).collect();
        Self { levels, boxes }
    }

    /// The maps.
    pub fn levels(&self) -> &[MapLevel] {
        &self.levels
    }

    /// All anchors in the order (level, y, x, ratio), in pixels of the input.
    pub fn boxes(&self) -> &[BoundingBox] {
        &self.boxes
    }

    /// Indices of the anchors that an image is trained on: those of the cells that begin within its own
    /// padded size, which may be less than that of its batch. Anchors may reach out of the image. By torchvision's rules all
    /// are.
    pub fn valid(&self, padded: ImageSize) -> Vec<usize> {
        let mut valid = Vec::with_capacity(self.boxes.len());
        let mut first = 0;
        for level in &self.levels {
            let cells = |side: usize, all: usize| {
                if level.rounded { all } else { side.div_ceil(level.stride).min(all) }
            };
            let [height, width] = [cells(padded.height, level.height), cells(padded.width, level.width)];
            for y in 0..height {
                let row = first + y * level.width * ANCHOR_RATIOS.len();
                valid.extend(row..row + width * ANCHOR_RATIOS.len());
            }
            first += level.anchors();
        }
        valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_stands_around_the_corner_of_its_cell() {
        let level = MapLevel::new(4, [2, 3]);
        let boxes = level.boxes();
        assert_eq!(boxes.len(), level.anchors());
        // The square one of the second cell of the second row.
        assert_eq!(boxes[(3 + 1) * 3 + 1].edges(), [4.0 - 16.0, 4.0 - 16.0, 4.0 + 16.0, 4.0 + 16.0]);
        assert!(boxes[0].width() > boxes[0].height());
        for (at, anchor) in boxes.into_iter().enumerate() {
            assert_eq!(anchor, level.anchor(at));
            assert!((anchor.area() - 1024.0).abs() < 1e-9);
        }
    }

    /// Edges as torchvision's `AnchorGenerator` has them, for an input of 800 x 1216 pixels.
    #[test]
    fn anchors_of_torchvision_are_whole_and_may_lie_nearer() {
        let level = MapLevel::of_torchvision(64, [13, 19], [800, 1216]);
        assert_eq!(level.step, [61, 64]);
        assert_eq!(level.anchor(0).edges(), [-362.0, -181.0, 362.0, 181.0]);
        assert_eq!(
            level.boxes()[3 * 20 + 2].edges(),
            [64.0 - 181.0, 61.0 - 362.0, 64.0 + 181.0, 61.0 + 362.0]
        );
        assert_eq!(
            MapLevel::of_torchvision(4, [2, 3], [8, 12]).anchor(0).edges(),
            [-23.0, -11.0, 23.0, 11.0]
        );
    }
}
