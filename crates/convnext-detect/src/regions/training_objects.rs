//! The objects of an image that a detector learns.

use convnext_core::BoundingBox;
use convnext_data::Instance;

/// An object to be learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingObject {
    /// Its place among the instances of its image, where its mask is.
    pub instance: usize,
    /// Index into the classes.
    pub class: usize,
    /// Its box in pixels of the input.
    pub bounds: BoundingBox,
}

/// The objects among the instances of an image. Crowds are none: as in mmdet's Mask R-CNN
/// (`ignore_iof_thr=-1`) they are left out and not shielded, so boxes on them are background.
pub fn training_objects(instances: &[Instance]) -> Vec<TrainingObject> {
    let learned = instances.iter().enumerate().filter(|(_, instance)| !instance.is_crowd);
    let learned = learned.filter(|(_, instance)| instance.bounds.has_area());
    let object =
        |(at, of): (usize, &Instance)| TrainingObject { instance: at, class: of.class, bounds: of.bounds };
    learned.map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowds_and_empty_boxes_are_left_out() {
        let instance = |is_crowd, right| Instance {
            class: 2,
            bounds: BoundingBox { left: 1.0, top: 0.0, right, bottom: 3.0 },
            mask: None,
            area: 1.0,
            is_crowd,
        };
        let found = training_objects(&[instance(true, 4.0), instance(false, 1.0), instance(false, 4.0)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].instance, found[0].class, found[0].bounds.right), (2, 2, 4.0));
    }
}
