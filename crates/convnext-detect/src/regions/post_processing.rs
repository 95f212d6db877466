//! From the box head's outputs for the regions of an image to found objects.
//!
//! As `BBoxHead.predict_by_feat` and `multiclass_nms` of mmdet 3.3 (Apache-2.0); each class is suppressed by
//! itself.

use convnext_core::{BoundingBox, DetectorRules, ImageSize};
use rayon::prelude::*;

use crate::regions::box_coder::BoxCoder;
use crate::regions::non_maximum_suppression::{GroupedBoxes, rank};
use crate::regions::soft_suppression::{Decay, suppress_softly};

/// What happens to a box beside a better one of its class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SuppressionRule {
    /// It is dropped when their intersection over union is above the threshold.
    Hard {
        /// The threshold.
        threshold: f64,
    },
    /// It loses score.
    Soft {
        /// How much.
        decay: Decay,
        /// Below it is dropped.
        min_score: f64,
    },
}

impl SuppressionRule {
    /// Dropped at an overlap above 0.5.
    pub const HARD: Self = Self::Hard { threshold: 0.5 };

    /// Less score from an overlap of 0.5 on, as in the paper's detectors (mmdet's ConvNeXt V2).
    pub const SOFT_LINEAR: Self = Self::Soft { decay: Decay::Linear { threshold: 0.5 }, min_score: 1e-3 };

    /// Less score by mmcv's Gaussian.
    pub const SOFT_GAUSSIAN: Self = Self::Soft { decay: Decay::Gaussian { sigma: 0.5 }, min_score: 1e-3 };
}

/// The boxes that become found objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionRule {
    /// Boxes must have a higher score, before suppression; soft suppression leaves some with less.
    pub score: f64,
    /// Suppression among the boxes of a class.
    pub suppression: SuppressionRule,
    /// Objects of an image at most.
    pub at_most: usize,
    /// Pixels of the input that a box has at least in height and width.
    pub min_side: f64,
}

impl DetectionRule {
    /// The rule of mmdet's evaluation with hard suppression.
    pub const EVALUATION: Self =
        Self { score: 0.05, suppression: SuppressionRule::HARD, at_most: 100, min_side: 0.0 };

    /// The same for a network of these rules.
    pub(crate) fn by(self, rules: DetectorRules) -> Self {
        match rules {
            DetectorRules::MmDetection => self,
            DetectorRules::Torchvision => Self { min_side: 1e-2, ..self },
        }
    }
}

/// The box head's outputs for the regions of an image.
#[derive(Debug, Clone, Copy)]
pub struct RegionOutputs<'a> {
    /// The regions in pixels of the input.
    pub regions: &'a [BoundingBox],
    /// Logits, `[regions, classes + 1]`, background last.
    pub logits: &'a [f32],
    /// Deltas, `[regions, classes, 4]`.
    pub deltas: &'a [f32],
}

/// A found object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundBox {
    /// Index into the classes.
    pub class: usize,
    /// Confidence in 0 to 1.
    pub score: f64,
    /// Its box in pixels of the input, within the image: where its mask is looked for.
    pub bounds: BoundingBox,
}

impl FoundBox {
    /// Its box in the image's own pixels. `scale` is by how much the input is wider and higher than the
    /// image.
    pub fn in_image(&self, scale: [f64; 2]) -> BoundingBox {
        self.bounds.scaled(scale.map(|factor| 1.0 / factor))
    }
}

/// The objects of an image by descending score; equal ones in the order (region, class) of the outputs.
/// `image` is its size in the input, before padding.
pub fn detections(
    outputs: &RegionOutputs<'_>,
    classes: usize,
    image: ImageSize,
    rule: DetectionRule,
) -> Vec<FoundBox> {
    let candidates = confident(outputs, classes, image, rule);
    let kept: Vec<(usize, f64)> = match rule.suppression {
        SuppressionRule::Hard { threshold } => {
            let kept = candidates.suppress(threshold, rule.at_most).into_iter();
            kept.map(|at| (at, candidates.scores[at])).collect()
        }
        SuppressionRule::Soft { decay, min_score } => {
            let mut kept = softly(&candidates, classes, decay, min_score);
            kept.truncate(rule.at_most);
            kept
        }
    };
    let found = |(at, score)| FoundBox { class: candidates.groups[at], score, bounds: candidates.boxes[at] };
    kept.into_iter().map(found).collect()
}

/// The box of each region and class with a score above the threshold, grouped by class.
fn confident(
    outputs: &RegionOutputs<'_>,
    classes: usize,
    image: ImageSize,
    rule: DetectionRule,
) -> GroupedBoxes {
    let deltas = outputs.deltas.as_chunks::<4>().0;
    let mut candidates = GroupedBoxes::default();
    for (at, (region, logits)) in
        outputs.regions.iter().zip(outputs.logits.chunks_exact(classes + 1)).enumerate()
    {
        for (class, score) in softmax(logits).into_iter().take(classes).enumerate() {
            if score > rule.score {
                let deltas = deltas[at * classes + class].map(f64::from);
                let bounds = BoxCoder::REGIONS.decode(region, deltas).clipped(image);
                if bounds.width().min(bounds.height()) >= rule.min_side {
                    candidates.push(bounds, score, class);
                }
            }
        }
    }
    candidates
}

/// Softly suppressed boxes of all classes with their scores, by descending score.
fn softly(candidates: &GroupedBoxes, classes: usize, decay: Decay, min_score: f64) -> Vec<(usize, f64)> {
    let of_class = |class: usize| {
        let members: Vec<usize> =
            (0..candidates.boxes.len()).filter(|&at| candidates.groups[at] == class).collect();
        let boxes: Vec<BoundingBox> = members.iter().map(|&at| candidates.boxes[at]).collect();
        let scores: Vec<f64> = members.iter().map(|&at| candidates.scores[at]).collect();
        let kept = suppress_softly(&boxes, &scores, decay, min_score).into_iter();
        kept.map(|(at, score)| (members[at], score)).collect::<Vec<_>>()
    };
    let mut kept: Vec<(usize, f64)> = (0..classes).into_par_iter().flat_map_iter(of_class).collect();
    kept.sort_unstable_by_key(|&(at, _)| at);
    let scores: Vec<f64> = kept.iter().map(|&(_, score)| score).collect();
    rank(&scores).into_iter().map(|at| kept[at]).collect()
}

/// Probabilities of a row of logits.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_class_of_a_region_is_found_in_the_image() {
        let region = BoundingBox { left: 10.0, top: 20.0, right: 30.0, bottom: 60.0 };
        // Class 1 is moved to the right by a quarter of the region.
        let deltas = [0.0, 0.0, 0.0, 0.0, 2.5, 0.0, 0.0, 0.0];
        let outputs = RegionOutputs { regions: &[region], logits: &[-1.0, 4.0, 0.0], deltas: &deltas };
        let image = ImageSize { height: 50, width: 100 };
        let found = detections(&outputs, 2, image, DetectionRule::EVALUATION);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class, found[0].bounds.edges()), (1, [15.0, 20.0, 35.0, 50.0]));
        assert!((found[0].score - 1.0 / (1.0 + (-5.0_f64).exp() + (-4.0_f64).exp())).abs() < 1e-12);
        assert_eq!(found[0].in_image([0.5, 2.0]).edges(), [30.0, 10.0, 70.0, 25.0]);
        let all = DetectionRule { score: 0.0, ..DetectionRule::EVALUATION };
        assert_eq!(detections(&outputs, 2, image, all).len(), 2);
        let wide = |min_side| detections(&outputs, 2, image, DetectionRule { min_side, ..all }).len();
        assert_eq!([wide(20.0), wide(20.1)], [2, 0]);
    }
}
