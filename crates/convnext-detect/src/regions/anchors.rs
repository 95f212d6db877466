//! Anchors: boxes of fixed sizes and shapes at every place of the pyramid's maps.
//!
//! As `AnchorGenerator` of mmdet 3.3 (Apache-2.0) makes them for its Mask R-CNN: around the upper left corner
//! of each cell, at coordinates that are not rounded.

use convnext_core::{BoundingBox, ImageSize};

/// Side of the square anchor, in strides of its level.
pub const ANCHOR_SCALE: f64 = 8.0;

/// Height over width of the anchors at a place; all of a level have the same area.
pub const ANCHOR_RATIOS: [f64; 3] = [0.5, 1.0, 2.0];

/// One map of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapLevel {
    /// Pixels of the input from one cell to the next.
    pub stride: usize,
    /// Cells from top to bottom.
    pub height: usize,
    /// Cells from left to right.
    pub width: usize,
}

impl MapLevel {
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
                let corner = [(x * self.stride) as f64, (y * self.stride) as f64];
                boxes.extend(shapes.map(|shape| shape.moved(corner)));
            }
        }
        boxes
    }

    /// One of them.
    pub fn anchor(&self, at: usize) -> BoundingBox {
        let (cell, ratio) = (at / ANCHOR_RATIOS.len(), at % ANCHOR_RATIOS.len());
        let [x, y] = [cell % self.width, cell / self.width];
        self.shape(ANCHOR_RATIOS[ratio]).moved([(x * self.stride) as f64, (y * self.stride) as f64])
    }

    /// The anchor of a ratio around the origin.
    fn shape(&self, ratio: f64) -> BoundingBox {
        let side = self.stride as f64;
        let height_ratio = ratio.sqrt();
        let width = side * (1.0 / height_ratio) * ANCHOR_SCALE;
        let height = side * height_ratio * ANCHOR_SCALE;
        let (right, bottom) = (0.5 * width, 0.5 * height);
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
    /// padded size, which may be less than that of its batch. Anchors may reach out of the image.
    pub fn valid(&self, padded: ImageSize) -> Vec<usize> {
        let mut valid = Vec::with_capacity(self.boxes.len());
        let mut first = 0;
        for level in &self.levels {
            let height = padded.height.div_ceil(level.stride).min(level.height);
            let width = padded.width.div_ceil(level.stride).min(level.width);
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
        let level = MapLevel { stride: 4, height: 2, width: 3 };
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
}
