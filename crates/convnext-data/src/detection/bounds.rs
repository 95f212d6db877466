//! Boxes around corners, and how boxes lie to each other and to their image.

use convnext_core::{BoundingBox, ImageSize};

/// The box around some points; `None` for none.
pub(crate) fn around<'a>(points: impl IntoIterator<Item = &'a [f64; 2]>) -> Option<BoundingBox> {
    points.into_iter().fold(None, |bounds, &[x, y]| {
        let point = BoundingBox { left: x, top: y, right: x, bottom: y };
        Some(bounds.map_or(point, |bounds: BoundingBox| bounds.around(&point)))
    })
}

/// The box around the corners of rings `x, y, x, y, ...`.
pub(crate) fn around_rings(rings: &[Vec<f64>]) -> Option<BoundingBox> {
    around(rings.iter().flat_map(|ring| ring.as_chunks::<2>().0))
}

/// `true` if all sides are within 2 pixels, or a tenth of the larger side of the other.
pub(crate) fn are_near(one: BoundingBox, other: BoundingBox) -> bool {
    let within = (0.1 * other.width().max(other.height())).max(2.0);
    one.edges().iter().zip(other.edges()).all(|(one, other)| (one - other).abs() <= within)
}

/// How far a box reaches beyond an image, in pixels.
pub(crate) fn beyond(bounds: BoundingBox, size: ImageSize) -> f64 {
    let (right, bottom) = (bounds.right - size.width as f64, bounds.bottom - size.height as f64);
    (-bounds.left).max(-bounds.top).max(right).max(bottom).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_around_points_and_near_each_other() {
        let ring = vec![3.0, 1.0, 5.0, 2.0, 4.0, 8.0];
        let bounds = around_rings(&[ring, vec![6.0, 2.0]]).unwrap();
        assert_eq!((bounds.edges(), around([])), ([3.0, 1.0, 6.0, 8.0], None));
        assert!(are_near(bounds.moved([2.0, 0.0]), bounds) && !are_near(bounds.moved([2.5, 0.0]), bounds));
        assert_eq!(beyond(bounds, ImageSize { height: 6, width: 9 }), 2.0);
    }
}
