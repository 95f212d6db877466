//! One image, measured: what its detections count as.

use std::collections::BTreeMap;

use convnext_core::ImageSize;
use convnext_data::Instance;
use serde::{Deserialize, Serialize};

use crate::detection::Detection;
use crate::evaluation::image_errors::{FoundObjects, ImageErrors};
use crate::evaluation::matching::{Candidate, ClassMatches, Target, by_score, match_class};
use crate::evaluation::overlaps::{BoundedMask, Overlaps};

/// Options of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionMeasures {
    /// `true` to compare masks too, and not boxes alone.
    pub masks: bool,
    /// Score from which detections count in the confusion matrix and among the errors of images.
    pub min_score: f64,
}

/// Matches of the classes that an image has objects or detections of.
pub(crate) type ImageMatches = Vec<(usize, ClassMatches)>;

/// What the detections of an image count as, without their masks: a few dozen bytes for each. Images can be measured side by
/// side, by several ranks too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredImage {
    pub(crate) boxes: ImageMatches,
    pub(crate) masks: Option<ImageMatches>,
    pub(crate) found: FoundObjects,
}

/// Objects and detections of one class.
#[derive(Default)]
struct OfClass<'a> {
    objects: Vec<&'a Instance>,
    detections: Vec<&'a Detection>,
}

impl MeasuredImage {
    /// Compares the detections of an image of this size with its objects. Detections without a mask have no pixels; objects
    /// without one are crowds where masks are compared.
    ///
    /// # Panics
    /// When masks are compared that are of another size than the image.
    pub fn new(
        objects: &[Instance],
        detections: &[Detection],
        size: ImageSize,
        measures: &DetectionMeasures,
    ) -> Self {
        let mut classes: BTreeMap<usize, OfClass<'_>> = BTreeMap::new();
        for object in objects {
            classes.entry(object.class).or_default().objects.push(object);
        }
        for detection in detections {
            classes.entry(detection.class).or_default().detections.push(detection);
        }
        for class in classes.values_mut() {
            let order = by_score(class.detections.iter().map(|detection| detection.score));
            class.detections = order.into_iter().map(|place| class.detections[place]).collect();
        }
        let boxes = classes.iter().map(|(&class, found)| (class, found.boxes())).collect();
        let masks = || classes.iter().map(|(&class, found)| (class, found.masks(size))).collect();
        let found = FoundObjects::new(objects, detections, measures.min_score);
        Self { boxes, masks: measures.masks.then(masks), found }
    }

    /// Counts of right detections and of each kind of error, by boxes.
    pub fn errors(&self) -> ImageErrors {
        self.found.errors
    }
}

impl OfClass<'_> {
    fn boxes(&self) -> ClassMatches {
        let candidate = |found: &&Detection| Candidate { score: found.score, area: found.bounds.area() };
        let candidates: Vec<Candidate> = self.detections.iter().map(candidate).collect();
        let target = |object: &&Instance| Target { area: object.area, is_crowd: object.is_crowd };
        let targets: Vec<Target> = self.objects.iter().map(target).collect();
        match_class(&candidates, &targets, &Overlaps::of_boxes(&self.detections, &self.objects))
    }

    /// The area of a detection is that of its mask, whatever its box.
    fn masks(&self, size: ImageSize) -> ClassMatches {
        let masks: Vec<BoundedMask> =
            self.detections.iter().map(|found| BoundedMask::of_detection(found, size)).collect();
        let objects: Vec<(BoundedMask, bool)> =
            self.objects.iter().map(|object| BoundedMask::of_object(object, size)).collect();
        let candidates: Vec<Candidate> = (self.detections.iter().zip(&masks))
            .map(|(found, mask)| Candidate { score: found.score, area: mask.pixels.area() as f64 })
            .collect();
        let targets: Vec<Target> = (self.objects.iter().zip(&objects))
            .map(|(object, &(_, is_crowd))| Target { area: object.area, is_crowd })
            .collect();
        match_class(&candidates, &targets, &Overlaps::of_masks(&masks, &objects))
    }
}
