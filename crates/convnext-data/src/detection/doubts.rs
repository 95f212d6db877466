//! Boxes that cannot be meant as they stand: corners instead of sides, fractions instead of pixels.

use convnext_core::{BoundingBox, ImageSize};

use crate::detection::annotated::{AnnotatedFile, AnnotatedObject};
use crate::detection::bounds::{are_near, around, beyond};
use crate::instances::coco_region::Region;

/// Boxes of one file of annotations, counted.
#[derive(Debug, Default)]
pub(crate) struct BoxDoubts {
    boxes: usize,
    /// Boxes that leave their image.
    beyond: usize,
    /// Boxes whose four numbers are two corners inside of the image.
    corners: usize,
    /// Boxes with rings to compare with.
    with_rings: usize,
    /// Boxes around their rings.
    around: usize,
    /// Boxes that are not, and whose four numbers are the corners of their rings.
    corners_of_rings: usize,
    with_area: usize,
    /// Boxes with an area, of numbers up to 1.
    fractions: usize,
}

impl BoxDoubts {
    /// Counts the boxes of an image of this size.
    pub(crate) fn add(&mut self, image: &AnnotatedFile, size: ImageSize) {
        if image.is_relative {
            return;
        }
        for object in &image.objects {
            let Some(bounds) = object.bounds else { continue };
            let [left, top, width, height] = bounds.corner_and_size();
            let as_corners = BoundingBox { left, top, right: width, bottom: height };
            self.boxes += 1;
            self.beyond += usize::from(beyond(bounds, size) > 1.0);
            self.corners += usize::from(as_corners.has_area() && beyond(as_corners, size) <= 1.0);
            // Boxes of nothing but 0 stand for none.
            self.with_area += usize::from(bounds.has_area());
            let is_small = [left, top, width, height].iter().all(|side| *side <= 1.0);
            self.fractions += usize::from(bounds.has_area() && is_small);
            if let Some(rings) = rings_bounds(object) {
                let is_around = are_near(bounds, rings);
                self.with_rings += 1;
                self.around += usize::from(is_around);
                self.corners_of_rings += usize::from(!is_around && are_near(as_corners, rings));
            }
        }
    }

    /// What the boxes must be instead, in words.
    pub(crate) fn guess(&self) -> Option<&'static str> {
        let most = |count: usize, all: usize| 2 * count > all;
        if most(self.fractions, self.with_area) {
            return Some(
                "most of its boxes have no number above 1, as fractions of the sides of images have",
            );
        }
        let all_corners = self.boxes > 0 && 20 * self.corners >= 19 * self.boxes;
        if most(self.beyond, self.boxes) && all_corners {
            return Some(
                "most of its boxes reach beyond their images as [left, top, width, height], and all fit as \
                 [left, top, right, bottom]",
            );
        }
        (most(self.corners_of_rings, self.with_rings) && !most(self.around, self.with_rings)).then_some(
            "most of its boxes fit their regions as [left, top, right, bottom], and not as [left, top, width, height]",
        )
    }
}

/// The box around the corners of rings.
fn rings_bounds(object: &AnnotatedObject) -> Option<BoundingBox> {
    let Region::Rings(rings) = &object.region else { return None };
    around(rings.iter().filter(|ring| ring.len() >= 6).flat_map(|ring| ring.as_chunks::<2>().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(objects: &[([f64; 4], Region)]) -> Option<&'static str> {
        let objects = objects.iter().map(|(bounds, region)| AnnotatedObject {
            bounds: Some(BoundingBox::of_corner_and_size(*bounds)),
            region: region.clone(),
            ..AnnotatedObject::default()
        });
        let image = AnnotatedFile { objects: objects.collect(), ..AnnotatedFile::default() };
        let mut doubts = BoxDoubts::default();
        doubts.add(&image, ImageSize::square(100));
        doubts.guess()
    }

    #[test]
    fn corners_and_fractions_are_guessed() {
        let none = || Region::None;
        assert_eq!(guess(&[([60.0, 60.0, 20.0, 20.0], none()), ([0.0, 0.0, 99.0, 99.0], none())]), None);
        let corners = guess(&[([60.0, 60.0, 80.0, 80.0], none()), ([50.0, 10.0, 90.0, 40.0], none())]);
        assert!(corners.unwrap().contains("beyond"));
        // A single box at the border is none.
        assert_eq!(guess(&[([60.0, 60.0, 50.0, 20.0], none())]), None);
        let ring = Region::Rings(vec![vec![10.0, 10.0, 30.0, 10.0, 30.0, 40.0, 10.0, 40.0]]);
        assert!(guess(&[([10.0, 10.0, 30.0, 40.0], ring.clone())]).unwrap().contains("regions"));
        assert_eq!(guess(&[([10.0, 10.0, 20.0, 30.0], ring)]), None);
        assert!(guess(&[([0.1, 0.2, 0.3, 0.4], none())]).unwrap().contains("fractions"));
        assert_eq!((guess(&[]), guess(&[([0.0; 4], none()), ([0.0; 4], none())])), (None, None));
    }
}
