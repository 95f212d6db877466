//! A training transform with all its random choices made.

use std::borrow::Cow;

use convnext_core::{BoundingBox, ImageSize};

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::transforms::step::Step;

/// The steps that a training transform drew for one image, in their order.
///
/// Some steps move pixels and some change their values, in any order, as [`Step`] says of each. What lies on the image,
/// such as a label map, takes those that move, in the same order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DrawnTransform {
    /// The steps.
    pub steps: Vec<Step>,
}

impl DrawnTransform {
    /// The image after all steps.
    ///
    /// # Panics
    /// When a step for colours meets an image of other channels.
    pub fn apply(&self, image: &Image) -> Image {
        self.apply_from(0, Cow::Borrowed(image))
    }

    /// The image after the steps from `first` on.
    pub(crate) fn apply_from(&self, first: usize, image: Cow<'_, Image>) -> Image {
        let mut image = image;
        for step in &self.steps[first..] {
            image = Cow::Owned(step.apply(image));
        }
        image.into_owned()
    }

    /// The size of an image of this size after all steps.
    pub fn size_after(&self, size: ImageSize) -> ImageSize {
        self.steps.iter().fold(size, |size, step| step.size_after(size))
    }

    /// A box of an image of this size after all steps, as far as it lies inside the image: without width or height where
    /// nothing is left.
    pub fn apply_to_box(&self, bounds: BoundingBox, size: ImageSize) -> BoundingBox {
        let moved = |(bounds, size): (BoundingBox, ImageSize), step: &Step| {
            (step.apply_to_box(bounds, size), step.size_after(size))
        };
        let (bounds, size) = self.steps.iter().fold((bounds, size), moved);
        bounds.clipped(size)
    }

    /// The label map of the image after all steps.
    pub fn apply_to_labels(&self, map: LabelMap) -> LabelMap {
        self.steps.iter().fold(map, |map, step| step.apply_to_labels(map))
    }
}
