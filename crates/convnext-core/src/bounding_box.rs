//! A box around an object.

use crate::image_size::ImageSize;

/// A box in pixels of an image, whose sides lie on the edges of pixels: the whole image of width W and height H is
/// `0, 0, W, H`. No side has a pixel added anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoundingBox {
    /// Smallest x.
    pub left: f64,
    /// Smallest y.
    pub top: f64,
    /// Largest x.
    pub right: f64,
    /// Largest y.
    pub bottom: f64,
}

impl BoundingBox {
    /// The box of COCO's `[left, top, width, height]`.
    pub fn of_corner_and_size([left, top, width, height]: [f64; 4]) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    /// COCO's `[left, top, width, height]`.
    pub fn corner_and_size(&self) -> [f64; 4] {
        [self.left, self.top, self.width(), self.height()]
    }

    /// `[left, top, right, bottom]`.
    pub fn edges(&self) -> [f64; 4] {
        [self.left, self.top, self.right, self.bottom]
    }

    /// Width in pixels, negative when `right` is less than `left`.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Height in pixels, negative when `bottom` is less than `top`.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Area in pixels; 0 when a side is not above 0.
    pub fn area(&self) -> f64 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// `true` when both sides are above 0.
    pub fn has_area(&self) -> bool {
        self.width() > 0.0 && self.height() > 0.0
    }

    /// The area that two boxes share.
    pub fn shared_area(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// The shared area over that of both together, in 0 to 1; 0 where neither has an area.
    pub fn intersection_over_union(&self, other: &Self) -> f64 {
        let shared = self.shared_area(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The share of its area that lies in another box, in 0 to 1; 0 where it has none. For a detection and a crowd this is what
    /// COCO has instead of intersection over union.
    pub fn share_inside(&self, other: &Self) -> f64 {
        let (shared, area) = (self.shared_area(other), self.area());
        if area > 0.0 { shared / area } else { 0.0 }
    }

    /// The part of the box inside an image of this size; without width or height when there is none.
    #[must_use]
    pub fn clipped(&self, size: ImageSize) -> Self {
        let [width, height] = [size.width as f64, size.height as f64];
        Self {
            left: self.left.clamp(0.0, width),
            top: self.top.clamp(0.0, height),
            right: self.right.clamp(0.0, width),
            bottom: self.bottom.clamp(0.0, height),
        }
    }

    /// The smallest box with both in it.
    #[must_use]
    pub fn around(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The box of an image that was made larger by these factors in x and y.
    #[must_use]
    pub fn scaled(&self, [x, y]: [f64; 2]) -> Self {
        Self { left: self.left * x, top: self.top * y, right: self.right * x, bottom: self.bottom * y }
    }

    /// The box moved to the right and down.
    #[must_use]
    pub fn moved(&self, [x, y]: [f64; 2]) -> Self {
        Self { left: self.left + x, top: self.top + y, right: self.right + x, bottom: self.bottom + y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_share_areas_and_are_clipped() {
        let one = BoundingBox::of_corner_and_size([2.0, 1.0, 4.0, 3.0]);
        let other = BoundingBox { left: 4.0, top: -1.0, right: 8.0, bottom: 2.0 };
        assert_eq!((one.area(), other.area(), one.shared_area(&other)), (12.0, 12.0, 2.0));
        assert_eq!(one.around(&other).edges(), [2.0, -1.0, 8.0, 4.0]);
        assert_eq!(one.intersection_over_union(&other), 2.0 / 22.0);
        assert_eq!((one.share_inside(&other), BoundingBox::default().share_inside(&one)), (2.0 / 12.0, 0.0));
        assert_eq!(one.corner_and_size(), [2.0, 1.0, 4.0, 3.0]);
        let size = ImageSize { height: 3, width: 5 };
        assert_eq!(other.clipped(size).edges(), [4.0, 0.0, 5.0, 2.0]);
        assert!(!one.moved([9.0, 0.0]).clipped(size).has_area());
        assert_eq!(one.scaled([0.5, 2.0]).edges(), [1.0, 2.0, 3.0, 8.0]);
        let empty = BoundingBox { left: 3.0, right: 1.0, ..one };
        assert_eq!((empty.area(), empty.intersection_over_union(&empty)), (0.0, 0.0));
    }
}
