//! Detections of an image at one overlap and from one score on, told apart by what is right or wrong about them.

use std::iter::Sum;
use std::ops::Add;

use convnext_data::Instance;
use serde::{Deserialize, Serialize};

use crate::detection::Detection;

/// Overlap from which a detection has found an object.
const FOUND: f64 = 0.5;

/// Overlap from which it is badly placed, and not on the background.
const NEAR: f64 = 0.1;

/// Counts of the detections of an image, or of several, by what they are, and of missed objects. Crowds, and what was found in
/// them, do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageErrors {
    /// Detections of an object as its class.
    pub right: u64,
    /// Detections of an object as another class.
    pub wrong_class: u64,
    /// Detections near an object of their class that overlap it too little.
    pub badly_placed: u64,
    /// Detections of an object that one of a higher score has found.
    pub duplicates: u64,
    /// Detections of nothing.
    pub background: u64,
    /// Objects without a detection.
    pub missed: u64,
}

impl ImageErrors {
    /// The harmonic mean of precision and recall, in [0, 1], by which images are compared; `None` when there are neither objects
    /// nor detections.
    pub fn f1(&self) -> Option<f64> {
        let Self { right, wrong_class, badly_placed, duplicates, background, missed } = *self;
        let detections = right + wrong_class + badly_placed + duplicates + background;
        // An object that was found as another class is among those that were found.
        let objects = right + wrong_class + missed;
        (detections + objects > 0).then(|| 2.0 * right as f64 / (detections + objects) as f64)
    }
}

impl Add for ImageErrors {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            wrong_class: self.wrong_class + other.wrong_class,
            badly_placed: self.badly_placed + other.badly_placed,
            duplicates: self.duplicates + other.duplicates,
            background: self.background + other.background,
            missed: self.missed + other.missed,
        }
    }
}

impl Sum for ImageErrors {
    fn sum<I: Iterator<Item = Self>>(errors: I) -> Self {
        errors.fold(Self::default(), Add::add)
    }
}

/// The errors of an image, and its cells in the confusion matrix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FoundObjects {
    /// Counts.
    pub(crate) errors: ImageErrors,
    /// Class of the truth and predicted class of each detection and of each missed object; `None` for the background.
    pub(crate) cells: Vec<[Option<usize>; 2]>,
}

impl FoundObjects {
    /// Gives each detection of at least this score, the highest first, the object that it overlaps most, rather one of its class
    /// than another.
    pub(crate) fn new(objects: &[Instance], detections: &[Detection], min_score: f64) -> Self {
        let mut order: Vec<&Detection> = detections.iter().filter(|found| found.score >= min_score).collect();
        order.sort_by(|one, other| other.score.total_cmp(&one.score));
        let mut found = Self::default();
        let mut taken = vec![false; objects.len()];
        for detection in order {
            let free = |place: usize| !taken[place] && !objects[place].is_crowd;
            if let Some(place) = best_object(objects, detection, free) {
                taken[place] = true;
                found.add_found(objects[place].class, detection.class);
            } else if !is_in_crowd(objects, detection) {
                found.add_unfound(nearest_overlap(objects, detection), detection.class);
            }
        }
        for (object, _) in objects.iter().zip(taken).filter(|(object, taken)| !taken && !object.is_crowd) {
            found.errors.missed += 1;
            found.cells.push([Some(object.class), None]);
        }
        found
    }

    fn add_found(&mut self, truth: usize, predicted: usize) {
        let count = if truth == predicted { &mut self.errors.right } else { &mut self.errors.wrong_class };
        *count += 1;
        self.cells.push([Some(truth), Some(predicted)]);
    }

    /// A detection that has found no object, and its overlap with the nearest one of its class.
    fn add_unfound(&mut self, nearest: f64, predicted: usize) {
        let count = match nearest {
            FOUND.. => &mut self.errors.duplicates,
            NEAR..FOUND => &mut self.errors.badly_placed,
            _ => &mut self.errors.background,
        };
        *count += 1;
        self.cells.push([None, Some(predicted)]);
    }
}

/// The free object that a detection has found: the one of its class that it overlaps most, else of another one.
fn best_object(objects: &[Instance], detection: &Detection, free: impl Fn(usize) -> bool) -> Option<usize> {
    let overlap = |place: usize| detection.bounds.intersection_over_union(&objects[place].bounds);
    let rank = |place: usize| (objects[place].class == detection.class, overlap(place));
    let found = (0..objects.len()).filter(|&place| free(place) && overlap(place) >= FOUND);
    found.max_by(|&one, &other| {
        let ((class, overlap), (other_class, other_overlap)) = (rank(one), rank(other));
        class.cmp(&other_class).then(overlap.total_cmp(&other_overlap))
    })
}

fn is_in_crowd(objects: &[Instance], detection: &Detection) -> bool {
    let mut crowds = objects.iter().filter(|object| object.is_crowd && object.class == detection.class);
    crowds.any(|crowd| detection.bounds.share_inside(&crowd.bounds) >= FOUND)
}

fn nearest_overlap(objects: &[Instance], detection: &Detection) -> f64 {
    let own = objects.iter().filter(|object| !object.is_crowd && object.class == detection.class);
    own.map(|object| detection.bounds.intersection_over_union(&object.bounds)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use convnext_core::BoundingBox;

    use super::*;

    fn object(class: usize, sides: [f64; 4], is_crowd: bool) -> Instance {
        let bounds = BoundingBox::of_corner_and_size(sides);
        Instance { class, bounds, mask: None, area: bounds.area(), is_crowd }
    }

    fn detection(class: usize, score: f64, sides: [f64; 4]) -> Detection {
        Detection { class, score, bounds: BoundingBox::of_corner_and_size(sides), mask: None }
    }

    #[test]
    fn each_detection_has_its_reason() {
        let first = [0.0, 0.0, 10.0, 10.0];
        let second = [20.0, 0.0, 10.0, 10.0];
        let objects = [
            object(0, first, false),
            object(1, second, false),
            object(0, [40.0, 0.0, 10.0, 10.0], false),
            object(1, [0.0, 50.0, 50.0, 50.0], true),
        ];
        let detections = [
            detection(0, 0.9, first),
            detection(0, 0.8, first),
            detection(0, 0.7, second),
            detection(0, 0.6, [46.0, 0.0, 10.0, 10.0]),
            detection(1, 0.6, [60.0, 60.0, 10.0, 10.0]),
            // In the crowd, and below the score.
            detection(1, 0.9, [10.0, 60.0, 10.0, 10.0]),
            detection(1, 0.4, second),
        ];
        let found = FoundObjects::new(&objects, &detections, 0.5);
        let expected = ImageErrors {
            right: 1,
            wrong_class: 1,
            badly_placed: 1,
            duplicates: 1,
            background: 1,
            missed: 1,
        };
        assert_eq!(found.errors, expected);
        assert_eq!(found.errors.f1(), Some(2.0 / 8.0));
        let cells = [
            [Some(0), Some(0)],
            [None, Some(0)],
            [Some(1), Some(0)],
            [None, Some(0)],
            [None, Some(1)],
            [Some(0), None],
        ];
        assert_eq!(found.cells, cells);
        assert_eq!(FoundObjects::new(&[], &[], 0.5).errors.f1(), None);
        assert_eq!([expected, expected].into_iter().sum::<ImageErrors>().missed, 2);
    }

    #[test]
    fn an_object_of_the_own_class_goes_before_a_nearer_one() {
        let objects = [object(0, [0.0, 0.0, 10.0, 10.0], false), object(1, [1.0, 0.0, 10.0, 10.0], false)];
        let found = FoundObjects::new(&objects, &[detection(0, 0.9, [1.0, 0.0, 10.0, 10.0])], 0.5);
        assert_eq!((found.errors.right, found.errors.missed), (1, 1));
    }
}
