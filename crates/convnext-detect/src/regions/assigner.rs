//! Objects for boxes: each anchor or region learns the object that it overlaps most.
//!
//! As `MaxIoUAssigner` of mmdet 3.3 (Apache-2.0) with `match_low_quality`. Here no matrix of all overlaps is
//! held: boxes are gone through in chunks, and objects that lie apart from all boxes of a chunk are passed
//! over, as they overlap by 0.

use convnext_core::BoundingBox;
use rayon::prelude::*;

/// The object that a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Index of the object.
    Object(usize),
    /// None.
    Background,
    /// It overlaps an object too much for background and too little for it: nothing is learned.
    Ignored,
}

/// Limits of the intersection over union of boxes and objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssignmentRule {
    /// From here on a box stands for the object that it overlaps most.
    pub positive: f64,
    /// Below, it is background.
    pub negative: f64,
    /// From here on, and above 0, the boxes that overlap an object the most, all that are equally near, stand
    /// for it even below `positive`. Those nearest by less than `negative` do so unless they stand for another object: a small
    /// object does not take away what a large one around it is learned by. (torchvision gives these to the object that they
    /// overlap the most, so that a small one within a large one may have none.)
    pub low_quality: f64,
}

impl AssignmentRule {
    /// The rule of anchors.
    pub const ANCHORS: Self = Self { positive: 0.7, negative: 0.3, low_quality: 0.3 };

    /// The rule of the box head's regions.
    pub const REGIONS: Self = Self { positive: 0.5, negative: 0.5, low_quality: 0.5 };
}

/// Boxes that a thread takes at once. Neighbouring anchors lie close together, so few objects meet a chunk.
const CHUNK: usize = 512;

/// Two boxes of hardly any area have a union of at least this.
const MIN_UNION: f64 = 1e-6;

/// The object of each box. Where two overlap it equally, it is the first one; where two objects are both
/// nearest to it by the rule of low quality, the last one.
pub fn assign(boxes: &[BoundingBox], objects: &[BoundingBox], rule: AssignmentRule) -> Vec<Match> {
    let mut matches = vec![Match::Background; boxes.len()];
    if objects.is_empty() {
        return matches;
    }
    let chunks = matches.par_chunks_mut(CHUNK).zip(boxes.par_chunks(CHUNK)).enumerate();
    let of_chunks: Vec<Vec<Nearest>> = chunks
        .map(|(at, (matches, boxes))| assign_chunk(at * CHUNK, boxes, objects, rule, matches))
        .collect();

    let mut nearest = vec![Nearest::default(); objects.len()];
    for found in of_chunks.into_iter().flatten() {
        nearest[found.object].join(found);
    }
    for nearest in nearest.iter_mut().filter(|nearest| nearest.overlap < rule.negative) {
        nearest.boxes.retain(|&at| !matches!(matches[at], Match::Object(_)));
    }
    // Objects without a box above `negative` go first, so that the others keep theirs.
    let mut in_order: Vec<(usize, Nearest)> = nearest.into_iter().enumerate().collect();
    in_order.sort_by_key(|(_, nearest)| nearest.overlap >= rule.negative);
    for (object, nearest) in in_order {
        for at in nearest.boxes {
            matches[at] = Match::Object(object);
        }
    }
    matches
}

/// The boxes that overlap an object the most.
#[derive(Debug, Clone, Default)]
struct Nearest {
    object: usize,
    overlap: f64,
    /// Their indices, ascending; empty below the limit of low quality.
    boxes: Vec<usize>,
}

impl Nearest {
    /// Takes in later boxes.
    fn join(&mut self, later: Self) {
        if later.overlap > self.overlap {
            *self = later;
        } else if later.overlap == self.overlap {
            self.boxes.extend(later.boxes);
        }
    }
}

/// The matches of the boxes from `first` on, and the nearest of them to each object that meets any.
fn assign_chunk(
    first: usize,
    boxes: &[BoundingBox],
    objects: &[BoundingBox],
    rule: AssignmentRule,
    matches: &mut [Match],
) -> Vec<Nearest> {
    let hull = boxes.iter().copied().reduce(|hull, next| hull.around(&next)).unwrap_or_default();
    let mut best = vec![(0.0, 0); boxes.len()];
    let mut nearest = Vec::new();
    for (object, bounds) in objects.iter().enumerate().filter(|(_, bounds)| hull.shared_area(bounds) > 0.0) {
        let area = bounds.area();
        let mut found = Nearest { object, ..Nearest::default() };
        for (at, (candidate, best)) in boxes.iter().zip(&mut best).enumerate() {
            let shared = candidate.shared_area(bounds);
            if shared <= 0.0 {
                continue;
            }
            let overlap = shared / (candidate.area() + area - shared).max(MIN_UNION);
            if overlap > best.0 {
                *best = (overlap, object);
            }
            if overlap > found.overlap {
                found.overlap = overlap;
                found.boxes.clear();
            }
            if overlap == found.overlap && overlap >= rule.low_quality {
                found.boxes.push(first + at);
            }
        }
        nearest.push(found);
    }
    for (found, (overlap, object)) in matches.iter_mut().zip(best) {
        *found = match overlap {
            _ if overlap >= rule.positive => Match::Object(object),
            _ if overlap < rule.negative => Match::Background,
            _ => Match::Ignored,
        };
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(left: f64, side: f64) -> BoundingBox {
        BoundingBox { left, top: 0.0, right: left + side, bottom: side }
    }

    #[test]
    fn the_nearest_boxes_stand_for_an_object_below_the_limit() {
        use Match::{Background, Ignored, Object};
        // Both neighbours of an object overlap it by a third, and no other comes nearer.
        let boxes = [square(0.0, 4.0), square(4.0, 4.0), square(30.0, 4.0), square(31.0, 4.0)];
        let objects = [square(2.0, 4.0), square(30.0, 4.0)];
        let found = assign(&boxes, &objects, AssignmentRule::ANCHORS);
        assert_eq!(found, [Object(0), Object(0), Object(1), Ignored]);
        let found = assign(&boxes, &objects, AssignmentRule::REGIONS);
        assert_eq!(found, [Background, Background, Object(1), Object(1)]);
        assert_eq!(assign(&boxes, &[], AssignmentRule::ANCHORS), [Background; 4]);
        assert_eq!(assign(&[], &objects, AssignmentRule::ANCHORS), []);
    }

    /// Bug: the nearest boxes of a small object were all that a large one around it had.
    #[test]
    fn a_small_object_takes_no_box_from_the_large_one_around_it() {
        let boxes = [square(0.0, 32.0), square(8.0, 32.0)];
        let (large, small) = (square(0.0, 32.0), square(10.0, 6.0));
        let every_object = AssignmentRule { low_quality: 0.0, ..AssignmentRule::ANCHORS };
        // Both boxes hold the small object whole, and so are equally near to it.
        assert_eq!(assign(&boxes, &[large, small], every_object), [Match::Object(0), Match::Object(1)]);
        // Even where the only box of the large one reaches 0.3 to 0.7 of it, in either order.
        assert_eq!(assign(&boxes[1..], &[large, small], every_object), [Match::Object(0)]);
        assert_eq!(assign(&boxes[1..], &[small, large], every_object), [Match::Object(1)]);
    }

    #[test]
    fn the_first_of_equal_objects_is_taken_and_the_last_of_low_quality() {
        let twice = [square(0.0, 8.0), square(0.0, 8.0)];
        let wide = AssignmentRule { low_quality: 2.0, ..AssignmentRule::ANCHORS };
        assert_eq!(assign(&[square(0.0, 8.0)], &twice, wide), [Match::Object(0)]);
        assert_eq!(assign(&[square(0.0, 8.0)], &twice, AssignmentRule::ANCHORS), [Match::Object(1)]);
    }
}
