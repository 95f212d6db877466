//! Detections of a class in an image, matched to its objects.
//!
//! The rules are those of `evaluateImg` in pycocotools 2.0.11 (see `protocol.rs`). What differs: objects are told apart by their
//! place and not by the id in their file, so that an id of 0 or one that occurs twice does no harm.

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
#[derive(Debug, Clone, Copy, PartialEq)]
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
#[derive(Debug, Clone, Default, PartialEq)]
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
    for (number, range) in AREA_RANGES.iter().enumerate() {
        let outside = |area: f64| area < range[0] || area > range[1];
        let is_ignored = |target: &Target| target.is_crowd || outside(target.area);
        let (counted, ignored): (Vec<usize>, Vec<usize>) =
            (0..targets.len()).partition(|&object| !is_ignored(&targets[object]));
        objects[number] = counted.len() as u64;
        for (bit, threshold) in thresholds().into_iter().enumerate() {
            let mut taken = vec![false; targets.len()];
            for (place, found) in detections.iter_mut().enumerate() {
                let mut best = Best { overlap: threshold.min(1.0 - 1e-10), object: None };
                // What is ignored is matched only where nothing else is.
                best.look_at(overlaps.row(place), &counted, |object| taken[object]);
                let is_counted = best.object.is_some();
                if !is_counted {
                    best.look_at(overlaps.row(place), &ignored, |object| {
                        taken[object] && !targets[object].is_crowd
                    });
                }
                if let Some(object) = best.object {
                    taken[object] = true;
                    found.matched[number] |= 1 << bit;
                }
                let nothing = best.object.is_none() && outside(candidates[place].area);
                if nothing || best.object.is_some() && !is_counted {
                    found.ignored[number] |= 1 << bit;
                }
            }
        }
    }
    ClassMatches { detections, objects }
}

/// The object of the largest overlap so far.
struct Best {
    overlap: f64,
    object: Option<usize>,
}

impl Best {
    /// Takes the object of the largest overlap, of equal ones the last.
    fn look_at(&mut self, overlaps: &[f64], objects: &[usize], is_taken: impl Fn(usize) -> bool) {
        for &object in objects {
            if overlaps[object] >= self.overlap && !is_taken(object) {
                *self = Self { overlap: overlaps[object], object: Some(object) };
            }
        }
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

    #[test]
    fn equal_scores_keep_their_order_and_100_count() {
        assert_eq!(by_score([0.5, 0.9, 0.5].into_iter()), [1, 0, 2]);
        assert_eq!(by_score((0..150).map(|_| 0.1)).last(), Some(&99));
    }
}
