//! Precision and recall of the detections of a class over all images.
//!
//! The rules are those of `accumulate` in pycocotools 2.0.11 (see `protocol.rs`).

use crate::evaluation::matching::MatchedDetection;
use crate::evaluation::protocol::{MAX_DETECTIONS, RECALLS, THRESHOLDS, recalls};

/// Precision at each of 101 recalls, 0 where the recall is not reached.
pub(crate) type Curve = [f64; RECALLS];

/// Detections of a class over all images, in the order of their scores, in one range of areas.
pub(crate) struct RankedDetections<'a> {
    /// The detections; of equal scores those of the first image first.
    pub(crate) detections: &'a [MatchedDetection],
    /// Number of the range of areas.
    pub(crate) area: usize,
    /// Objects that are to be found, at least one.
    pub(crate) objects: u64,
}

impl RankedDetections<'_> {
    /// The precision of each threshold at each recall.
    pub(crate) fn curves(&self) -> [Curve; THRESHOLDS] {
        std::array::from_fn(|threshold| self.curve(threshold))
    }

    /// Precision is the highest of this recall and beyond.
    fn curve(&self, threshold: usize) -> Curve {
        let (mut right, mut wrong) = (0_u64, 0_u64);
        // Precision and recall change for the better with a right detection only.
        let mut points: Vec<[f64; 2]> = Vec::new();
        for found in self.counted(threshold) {
            if is_set(found.matched[self.area], threshold) {
                right += 1;
                let whole = wrong as f64 + right as f64 + f64::EPSILON;
                points.push([right as f64 / self.objects as f64, right as f64 / whole]);
            } else {
                wrong += 1;
            }
        }
        for place in (1..points.len()).rev() {
            points[place - 1][1] = points[place - 1][1].max(points[place][1]);
        }
        let precision = |recall: f64| {
            let place = points.partition_point(|point| point[0] < recall);
            points.get(place).map_or(0.0, |point| point[1])
        };
        recalls().map(precision)
    }

    /// The recall of each threshold, when so many detections of an image count.
    pub(crate) fn recalls(&self, max_detections: usize) -> [f64; THRESHOLDS] {
        std::array::from_fn(|threshold| {
            let found = self.counted(threshold).filter(|found| found.place < max_detections);
            let right = found.filter(|found| is_set(found.matched[self.area], threshold)).count();
            right as f64 / self.objects as f64
        })
    }

    fn counted(&self, threshold: usize) -> impl Iterator<Item = &MatchedDetection> {
        self.detections.iter().filter(move |found| !is_set(found.ignored[self.area], threshold))
    }

    /// The mean over the thresholds of the recall, for each number of detections that counts.
    pub(crate) fn mean_recalls(&self) -> [f64; 3] {
        MAX_DETECTIONS.map(|most| mean(&self.recalls(most)))
    }
}

fn is_set(bits: u16, threshold: usize) -> bool {
    bits >> threshold & 1 == 1
}

/// The mean of at least one value.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_the_highest_from_here_on() {
        // Right, wrong, right, right; two objects more are never found.
        let detection =
            |matched| MatchedDetection { score: 0.5, place: 0, matched: [matched; 4], ignored: [0; 4] };
        let detections = [1, 0, 1, 1].map(detection);
        let ranked = RankedDetections { detections: &detections, area: 0, objects: 5 };
        let curve = ranked.curves()[0];
        let expected = [(0, 1.0), (20, 1.0), (21, 0.75), (60, 0.75), (61, 0.0), (100, 0.0)];
        for (recall, precision) in expected {
            assert!((curve[recall] - precision).abs() < 1e-12, "{recall}: {}", curve[recall]);
        }
        assert_eq!((ranked.recalls(100)[0], ranked.recalls(100)[1]), (0.6, 0.0));
    }
}
