//! Suppression of boxes that overlap a better one.
//!
//! The result is torchvision's `nms` and, group by group, what mmcv's `batched_nms` stands for. mmcv moves
//! the groups apart in space, which rounds the coordinates; here each group is by itself.

use convnext_core::BoundingBox;

/// Indices in descending order of their scores, equal scores in their own order.
pub(crate) fn rank(scores: &[f64]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..scores.len()).collect();
    // Zero is added because -0 and 0 are equal scores, but no equal floats to `total_cmp`.
    ranked.sort_by(|&one, &other| (scores[other] + 0.0).total_cmp(&(scores[one] + 0.0)));
    ranked
}

/// Boxes with the scores to rank them by and the groups that do not meet, all of one length.
#[derive(Debug, Clone, Default)]
pub struct GroupedBoxes {
    /// Boxes.
    pub boxes: Vec<BoundingBox>,
    /// Their scores.
    pub scores: Vec<f64>,
    /// Their groups, classes or levels, counted from 0.
    pub groups: Vec<usize>,
}

impl GroupedBoxes {
    /// Adds a box.
    pub fn push(&mut self, bounds: BoundingBox, score: f64, group: usize) {
        self.boxes.push(bounds);
        self.scores.push(score);
        self.groups.push(group);
    }

    /// The best boxes that overlap no better one of their group by more than `threshold` (an intersection
    /// over union equal to it is kept), at most `at_most` of them, by descending score; equal scores in their
    /// own order.
    pub fn suppress(&self, threshold: f64, at_most: usize) -> Vec<usize> {
        let groups = self.groups.iter().max().map_or(0, |last| last + 1);
        let mut kept_boxes: Vec<Vec<(BoundingBox, f64)>> = vec![Vec::new(); groups];
        let mut kept = Vec::new();
        for at in rank(&self.scores) {
            if kept.len() == at_most {
                break;
            }
            let (bounds, of_group) = (self.boxes[at], &mut kept_boxes[self.groups[at]]);
            let area = bounds.area();
            let overlaps = |(other, other_area): &(BoundingBox, f64)| {
                let shared = bounds.shared_area(other);
                let union = area + other_area - shared;
                // Most pairs are far from the threshold, and need no division.
                shared > (threshold - 1e-9) * union && shared / union > threshold
            };
            if !of_group.iter().any(overlaps) {
                of_group.push((bounds, area));
                kept.push(at);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(rows: &[([f64; 4], f64, usize)]) -> GroupedBoxes {
        let mut boxes = GroupedBoxes::default();
        for &([left, top, right, bottom], score, group) in rows {
            boxes.push(BoundingBox { left, top, right, bottom }, score, group);
        }
        boxes
    }

    #[test]
    fn ties_and_limits_are_those_of_torchvision() {
        let square = [0.0, 0.0, 10.0, 10.0];
        // Of equal boxes with equal scores the first stays.
        assert_eq!(boxes(&[(square, 0.5, 0), (square, 0.5, 0), (square, 0.5, 0)]).suppress(0.5, 9), [0]);
        // An overlap of exactly the threshold is none.
        let half = boxes(&[([0.0, 0.0, 10.0, 5.0], 0.8, 0), (square, 0.9, 0)]);
        assert_eq!((half.suppress(0.5, 9), half.suppress(0.499, 9)), (vec![1, 0], vec![1]));
        assert_eq!(half.suppress(0.5, 1), [1]);
        // Groups do not meet.
        assert_eq!(boxes(&[(square, 0.1, 4), (square, 0.2, 0)]).suppress(0.5, 9), [1, 0]);
        assert_eq!(boxes(&[]).suppress(0.5, 9), [0; 0]);
    }
}
