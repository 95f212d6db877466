//! The pixels of an object within its box.

use convnext_core::ImageSize;
use convnext_data::RunLengths;

/// Side of the masks that the mask head learns and finds.
pub const MASK_SIDE: usize = 28;

/// The least value of a pixel inside an object: a half, to within rounding, so that no order of additions
/// decides about what is a half exactly, as where an object fills half of a cell.
pub(crate) const INSIDE: f64 = 0.5 - 1e-9;

/// The pixels of an object in an input, as a map of those within its box; all others are outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectBitmap {
    /// Size of the input.
    size: ImageSize,
    /// First column of the box.
    left: usize,
    /// First row of the box.
    top: usize,
    /// Columns of the box; 0 for an object without pixels.
    width: usize,
    /// Rows of the box, `true` inside the object.
    inside: Vec<bool>,
}

impl ObjectBitmap {
    /// The pixels of a mask in an input that is padded at the right and at the bottom to `padded`, which is
    /// not smaller.
    pub fn new(mask: &RunLengths, padded: ImageSize) -> Self {
        let bounds = mask.bounds();
        let [left, top, right, bottom] = bounds.edges().map(|edge| edge as usize);
        let width = right - left;
        let mut inside = vec![false; width * (bottom - top)];
        let rows = mask.size().height;
        for (start, end) in mask.ranges() {
            let [mut x, mut y] = [start / rows, start % rows];
            for _ in start..end {
                inside[(y - top) * width + x - left] = true;
                y += 1;
                if y == rows {
                    [x, y] = [x + 1, 0];
                }
            }
        }
        Self { size: padded, left, top, width, inside }
    }

    /// Size of the padded input.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// First column of its box.
    pub fn left(&self) -> usize {
        self.left
    }

    /// First row of its box.
    pub fn top(&self) -> usize {
        self.top
    }

    /// The rows of its box, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.inside.chunks_exact(self.width.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_holds_the_pixels() {
        let size = ImageSize { height: 2, width: 3 };
        let mask = RunLengths::of_rows(&[false, true, true, false, true, false], size);
        let bitmap = ObjectBitmap::new(&mask, ImageSize { height: 4, width: 4 });
        let rows: Vec<&[bool]> = bitmap.rows().collect();
        assert_eq!((bitmap.left(), bitmap.top()), (1, 0));
        assert_eq!(rows, [[true, true], [true, false]]);
        let none = ObjectBitmap::new(&RunLengths::of_rows(&[false; 6], size), size);
        assert_eq!(none.rows().count(), 0);
    }
}
