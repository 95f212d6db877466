//! Overlaps of detections with the objects of an image.

use convnext_core::{BoundingBox, ImageSize};
use convnext_data::{Instance, RunLengths};

use crate::detection::Detection;

/// Overlaps of detections, in rows, with objects, in columns, in 0 to 1: intersection over union, and with a crowd the share of
/// the detection that lies in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overlaps {
    objects: usize,
    values: Vec<f64>,
}

impl Overlaps {
    /// Of boxes.
    pub(crate) fn of_boxes(detections: &[&Detection], objects: &[&Instance]) -> Self {
        let overlap = |detection: &BoundingBox, object: &&Instance| match object.is_crowd {
            true => detection.share_inside(&object.bounds),
            false => detection.intersection_over_union(&object.bounds),
        };
        let rows = detections.iter();
        let values =
            rows.flat_map(|found| objects.iter().map(|object| overlap(&found.bounds, object))).collect();
        Self { objects: objects.len(), values }
    }

    /// Of masks.
    pub(crate) fn of_masks(detections: &[BoundedMask], objects: &[(BoundedMask, bool)]) -> Self {
        let overlap = |found: &BoundedMask, (object, is_crowd): &(BoundedMask, bool)| {
            if found.bounds.shared_area(&object.bounds) == 0.0 {
                return 0.0;
            }
            match is_crowd {
                true => found.pixels.share_inside(&object.pixels),
                false => found.pixels.intersection_over_union(&object.pixels),
            }
        };
        let rows = detections.iter();
        let values = rows.flat_map(|found| objects.iter().map(|object| overlap(found, object))).collect();
        Self { objects: objects.len(), values }
    }

    /// Those of one detection.
    pub(crate) fn row(&self, detection: usize) -> &[f64] {
        &self.values[detection * self.objects..][..self.objects]
    }
}

/// A mask and the box around it, by which most pairs are known to share nothing.
#[derive(Debug, Clone)]
pub(crate) struct BoundedMask {
    pub(crate) pixels: RunLengths,
    bounds: BoundingBox,
}

impl BoundedMask {
    /// The mask of a detection; without pixels where it has none.
    pub(crate) fn of_detection(detection: &Detection, size: ImageSize) -> Self {
        Self::new(detection.mask.clone().unwrap_or_else(|| RunLengths::of_rings(&[], size)))
    }

    /// The mask of an object, and whether it is a crowd. An object whose pixels nobody marked is one in its box: where it is,
    /// nothing can be said of masks.
    pub(crate) fn of_object(object: &Instance, size: ImageSize) -> (Self, bool) {
        match &object.mask {
            Some(mask) => (Self::new(mask.run_lengths(size)), object.is_crowd),
            None => {
                let [left, top, right, bottom] = object.bounds.edges();
                let ring = vec![left, top, right, top, right, bottom, left, bottom];
                (Self::new(RunLengths::of_rings(&[ring], size)), true)
            }
        }
    }

    fn new(pixels: RunLengths) -> Self {
        let bounds = pixels.bounds();
        Self { pixels, bounds }
    }
}
