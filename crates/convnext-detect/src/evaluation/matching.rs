//! Detections of a class in an image, matched to its objects.
//!
//! The rules are those of `evaluateImg` in pycocotools 2.0.11 (see `protocol.rs`). What differs: objects are told apart by their
//! place and not by the id in their file, so that an id of 0 or one that occurs twice does no harm.

use serde::{Deserialize, Serialize};

use crate::evaluation::overlaps::Overlaps;
use crate::evaluation::protocol::{AREA_RANGES, AREAS, MAX_DETECTIONS, thresholds};

/// An object, as far as matching needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Area in pixels.
    pub(crate) area: f64,
    /// `true` for a region of many objects.
    pub(crate) is_crowd: bool,
}

/// A detection, as far as matching needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// Confidence.
    pub(crate) score: f64,
    /// Area in pixels.
    pub(crate) area: f64,
}

/// A detection and what it counts as, for each range of areas; bit t stands for the overlap of number t from which a match is
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct MatchedDetection {
    /// Confidence.
    pub(crate) score: f64,
    /// Place among the detections of its class in its image, by score.
    pub(crate) place: usize,
    /// Set where it found an object.
    pub(crate) matched: [u16; AREAS],
    /// Set where it counts neither as right nor as wrong.
    pub(crate) ignored: [u16; AREAS],
}

/// What the detections of a class in an image count as.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClassMatches {
    /// The detections of the highest scores, these first.
    pub(crate) detections: Vec<MatchedDetection>,
    /// Objects that are to be found, for each range of areas.
    pub(crate) objects: [u64; AREAS],
}

/// The order in which detections are looked at: by score, of equal ones the first; so many as count.
pub(crate) fn by_score(scores: impl Iterator<Item = f64>) -> Vec<usize> {
    let scores: Vec<f64> = scores.collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
    order.truncate(MAX_DETECTIONS[2]);
    order
}

/// Matches detections, which are in the order of [`by_score`], to objects.
pub(crate) fn match_class(candidates: &[Candidate], targets: &[Target], overlaps: &Overlaps) -> ClassMatches {
    let detection = |(place, candidate): (usize, &Candidate)| MatchedDetection {
        score: candidate.score,
        place,
        matched: [0; AREAS],
        ignored: [0; AREAS],
    };
    let mut detections: Vec<MatchedDetection> = candidates.iter().enumerate().map(detection).collect();
    let mut objects = [0; AREAS];
    for (area, range) in AREA_RANGES.iter().enumerate() {
        let split = SplitTargets::new(targets, range);
        objects[area] = split.counted.len() as u64;
        for (bit, threshold) in thresholds().into_iter().enumerate() {
            let mut taken = vec![false; targets.len()];
            for (place, found) in detections.iter_mut().enumerate() {
                let object = split.best(overlaps.row(place), threshold, &taken);
                if let Some((object, _)) = object {
                    taken[object] = true;
                    found.matched[area] |= 1 << bit;
                }
                if object.map_or(is_outside(candidates[place].area, range), |(_, is_ignored)| is_ignored) {
                    found.ignored[area] |= 1 << bit;
                }
            }
        }
    }
    ClassMatches { detections, objects }
}

fn is_outside(area: f64, range: &[f64; 2]) -> bool {
    area < range[0] || area > range[1]
}

/// Objects, split by a range of areas.
struct SplitTargets<'a> {
    targets: &'a [Target],
    /// Places of those that are to be found.
    counted: Vec<usize>,
    /// Places of crowds and of objects outside the range.
    ignored: Vec<usize>,
}

impl<'a> SplitTargets<'a> {
    fn new(targets: &'a [Target], range: &[f64; 2]) -> Self {
        let is_ignored = |target: &Target| target.is_crowd || is_outside(target.area, range);
        let (ignored, counted) = (0..targets.len()).partition(|&object| is_ignored(&targets[object]));
        Self { targets, counted, ignored }
    }

    /// The free object of the largest overlap that reaches the threshold, and whether it is ignored: such are looked at only
    /// where no other one is found.
    fn best(&self, overlaps: &[f64], threshold: f64, taken: &[bool]) -> Option<(usize, bool)> {
        let threshold = threshold.min(1.0 - 1e-10);
        let is_free = |object: usize| self.targets[object].is_crowd || !taken[object];
        let best = |objects: &[usize]| {
            let reached = objects.iter().copied().filter(|&object| overlaps[object] >= threshold);
            // Of equal overlaps the last.
            reached
                .filter(|&object| is_free(object))
                .max_by(|&one, &other| overlaps[one].total_cmp(&overlaps[other]))
        };
        let counted = best(&self.counted).map(|object| (object, false));
        counted.or_else(|| best(&self.ignored).map(|object| (object, true)))
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::BoundingBox;
    use convnext_data::Instance;

    use super::*;
    use crate::detection::Detection;

    fn matches(objects: &[([f64; 4], bool)], found: &[[f64; 4]]) -> ClassMatches {
        let objects: Vec<Instance> = objects
            .iter()
            .map(|&(sides, is_crowd)| {
                let bounds = BoundingBox::of_corner_and_size(sides);
                Instance { class: 0, bounds, mask: None, area: bounds.area(), is_crowd }
            })
            .collect();
        let found: Vec<Detection> = found
            .iter()
            .map(|&sides| Detection {
                class: 0,
                score: 0.5,
                bounds: BoundingBox::of_corner_and_size(sides),
                mask: None,
            })
            .collect();
        let candidates: Vec<Candidate> =
            found.iter().map(|found| Candidate { score: found.score, area: found.bounds.area() }).collect();
        let targets: Vec<Target> =
            objects.iter().map(|object| Target { area: object.area, is_crowd: object.is_crowd }).collect();
        let overlaps =
            Overlaps::of_boxes(&found.iter().collect::<Vec<_>>(), &objects.iter().collect::<Vec<_>>());
        match_class(&candidates, &targets, &overlaps)
    }

    /// Bits at all areas of each detection: matched, ignored.
    fn bits(matches: &ClassMatches) -> Vec<[u16; 2]> {
        matches.detections.iter().map(|found| [found.matched[0], found.ignored[0]]).collect()
    }

    const ALL: u16 = 0x3ff;

    #[test]
    fn an_overlap_of_exactly_one_half_is_a_match() {
        let found = matches(&[([0.0, 0.0, 10.0, 20.0], false)], &[[0.0, 0.0, 10.0, 10.0]]);
        assert_eq!(bits(&found), [[1, 0]]);
        // 200 pixels are small and nothing else.
        assert_eq!(found.objects, [1, 1, 0, 0]);
    }

    #[test]
    fn an_area_at_a_limit_is_in_both_ranges() {
        assert_eq!(matches(&[([0.0, 0.0, 32.0, 32.0], false)], &[]).objects, [1, 1, 1, 0]);
        assert_eq!(matches(&[([0.0, 0.0, 96.0, 96.0], false)], &[]).objects, [1, 0, 1, 1]);
    }

    #[test]
    fn a_crowd_takes_many_and_an_object_one() {
        let crowd = ([40.0, 40.0, 50.0, 50.0], true);
        let object = ([0.0, 0.0, 20.0, 20.0], false);
        let inside = [50.0, 50.0, 10.0, 10.0];
        let found =
            matches(&[crowd, object], &[inside, inside, [0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 20.0, 20.0]]);
        assert_eq!(bits(&found), [[ALL, ALL], [ALL, ALL], [ALL, 0], [0, 0]]);
        assert_eq!(found.objects[0], 1);
    }

    #[test]
    fn a_counted_object_goes_before_a_crowd_of_more_overlap() {
        let crowd = ([0.0, 0.0, 100.0, 100.0], true);
        let found = matches(&[crowd, ([0.0, 0.0, 10.0, 16.0], false)], &[[0.0, 0.0, 10.0, 10.0]]);
        // An overlap of 0.625 with the object is enough for the first three, beyond them the crowd has it.
        assert_eq!(bits(&found), [[ALL, ALL & !0b111]]);
    }

    /// The first detection overlaps both objects by 0.6, and what it leaves is there for the second one.
    #[test]
    fn of_equal_overlaps_the_last_object_is_taken() {
        let objects = [([0.0, 0.0, 10.0, 20.0], false), ([0.0, 10.0, 10.0, 20.0], false)];
        let found = matches(&objects, &[[0.0, 5.0, 10.0, 20.0], [0.0, 0.0, 10.0, 20.0]]);
        assert_eq!(bits(&found), [[0b111, 0], [ALL, 0]]);
    }

    #[test]
    fn equal_scores_keep_their_order_and_100_count() {
        assert_eq!(by_score([0.5, 0.9, 0.5].into_iter()), [1, 0, 2]);
        assert_eq!(by_score((0..150).map(|_| 0.1)).last(), Some(&99));
    }
}
