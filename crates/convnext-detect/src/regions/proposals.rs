//! Regions that may hold an object, from the outputs of the region proposal network.
//!
//! As `RPNHead.predict_by_feat` of mmdet 3.3 (Apache-2.0).

use convnext_core::{BoundingBox, DetectorRules, ImageSize};
use rayon::prelude::*;

use crate::regions::anchors::MapLevel;
use crate::regions::box_coder::BoxCoder;
use crate::regions::non_maximum_suppression::GroupedBoxes;

/// The outputs for one image on one level.
#[derive(Debug, Clone, Copy)]
pub struct LevelOutputs<'a> {
    /// The map, with its anchors.
    pub level: MapLevel,
    /// Logits of the anchors, in their order.
    pub objectness: &'a [f32],
    /// Four deltas of each anchor, in their order.
    pub deltas: &'a [f32],
}

/// Numbers of proposals, and their overlap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProposalRule {
    /// Anchors of each level that are looked at, the best.
    pub best_of_level: usize,
    /// Intersection over union above which the worse of two proposals of a level is dropped.
    pub threshold: f64,
    /// Proposals of an image at most.
    pub at_most: usize,
    /// Pixels that a proposal has at least in height and width, which is above 0 in any case.
    pub min_side: f64,
}

impl ProposalRule {
    /// The rule in training.
    pub const TRAINING: Self = Self { best_of_level: 2000, threshold: 0.7, at_most: 1000, min_side: 0.0 };

    /// The rule in inference.
    pub const INFERENCE: Self = Self { best_of_level: 1000, ..Self::TRAINING };

    /// The same for a network of these rules.
    pub(crate) fn by(self, rules: DetectorRules) -> Self {
        match rules {
            DetectorRules::MmDetection => self,
            DetectorRules::Torchvision => Self { min_side: 1e-3, ..self },
        }
    }
}

/// A region that may hold an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// Its box in pixels of the input, within the image.
    pub bounds: BoundingBox,
    /// Confidence in 0 to 1.
    pub score: f64,
}

/// The proposals of an image by descending score. `image` is its size before padding: what lies in the
/// padding is dropped. Anchors are ranked by their logits, so that they stay apart where the sigmoid is 1.
pub fn proposals(levels: &[LevelOutputs<'_>], image: ImageSize, rule: ProposalRule) -> Vec<Proposal> {
    let of_level = |outputs: &LevelOutputs<'_>| level_candidates(outputs, image, rule);
    let found: Vec<Vec<Candidate>> = levels.par_iter().map(of_level).collect();
    let mut candidates = GroupedBoxes::default();
    for (level, found) in found.into_iter().enumerate() {
        found.into_iter().for_each(|(bounds, logit)| candidates.push(bounds, logit, level));
    }
    let kept = candidates.suppress(rule.threshold, rule.at_most).into_iter();
    kept.map(|at| Proposal { bounds: candidates.boxes[at], score: sigmoid(candidates.scores[at]) }).collect()
}

/// A box with its logit.
type Candidate = (BoundingBox, f64);

/// The boxes of the best anchors of a level, as far as they are within the image.
fn level_candidates(outputs: &LevelOutputs<'_>, image: ImageSize, rule: ProposalRule) -> Vec<Candidate> {
    let logits = outputs.objectness;
    let deltas = outputs.deltas.as_chunks::<4>().0;
    let candidate = |at: usize| {
        let bounds =
            BoxCoder::ANCHORS.decode(&outputs.level.anchor(at), deltas[at].map(f64::from)).clipped(image);
        let is_large = bounds.has_area() && bounds.width().min(bounds.height()) >= rule.min_side;
        is_large.then_some((bounds, f64::from(logits[at])))
    };
    best(logits, rule.best_of_level).into_iter().filter_map(candidate).collect()
}

/// Indices of the highest logits in descending order, equal ones in their own order.
fn best(logits: &[f32], count: usize) -> Vec<usize> {
    // Zero is added because -0 and 0 are equal logits, but no equal floats to `total_cmp`.
    let logit = |at: usize| logits[at] + 0.0;
    let order = |one: &usize, other: &usize| logit(*other).total_cmp(&logit(*one)).then(one.cmp(other));
    let mut indices: Vec<usize> = (0..logits.len()).collect();
    if count < indices.len() {
        indices.select_nth_unstable_by(count, order);
        indices.truncate(count);
    }
    indices.sort_unstable_by(order);
    indices
}

/// The logistic function.
fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_in_order() {
        let logits = [-0.0, 2.0, -1.0, 2.0, 0.0, 3.0];
        assert_eq!(best(&logits, 4), [5, 1, 3, 0]);
        assert_eq!(best(&logits, 9), [5, 1, 3, 0, 4, 2]);
        assert_eq!(best(&logits, 0), [0; 0]);
    }

    #[test]
    fn a_proposal_in_the_padding_is_dropped() {
        let level = MapLevel::new(4, [1, 9]);
        let deltas = [0.0, 0.0, -3.0, -3.0].repeat(level.anchors());
        let outputs = LevelOutputs { level, objectness: &[40.0; 27], deltas: &deltas };
        let image = ImageSize { height: 4, width: 8 };
        let found = proposals(&[outputs], image, ProposalRule::TRAINING);
        assert!(!found.is_empty() && found.len() < 27);
        assert!(found.iter().all(|proposal| proposal.bounds.right <= 8.0 && proposal.bounds.has_area()));
        assert!(found.iter().all(|proposal| proposal.score == 1.0));
    }
}
