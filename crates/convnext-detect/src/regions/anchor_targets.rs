//! What the region proposal network learns of an image.

use convnext_core::{BoundingBox, ImageSize};
use rand::Rng;

use crate::regions::anchors::AnchorGrid;
use crate::regions::assigner::{AssignmentRule, Match, assign};
use crate::regions::box_coder::BoxCoder;
use crate::regions::sampler::{Sample, SamplingRule, sample};
use crate::regions::training_objects::TrainingObject;

/// The anchors of an image that the loss is over, by their indices in the [`AnchorGrid`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnchorTargets {
    /// Anchors on objects, with the deltas to the object's box.
    pub positives: Vec<(usize, [f64; 4])>,
    /// Anchors on background.
    pub negatives: Vec<usize>,
}

impl AnchorTargets {
    /// What the image adds to the number that the losses of its batch are divided by. mmdet counts either
    /// kind as at least one, so an image without objects counts 257.
    pub fn average_factor(&self) -> usize {
        self.positives.len().max(1) + self.negatives.len().max(1)
    }
}

/// The targets of an image with the given padded size, by `rule`. All choices come from `stream`
/// ([`convnext_core::Purpose::AnchorSample`]).
pub fn anchor_targets(
    grid: &AnchorGrid,
    padded: ImageSize,
    objects: &[TrainingObject],
    rule: AssignmentRule,
    stream: &mut impl Rng,
) -> AnchorTargets {
    let matches = grid_matches(grid, padded, objects, rule);
    let Sample { positives, negatives } = sample(&matches, SamplingRule::ANCHORS, stream);
    let encode = |(at, object): (usize, usize)| {
        (at, BoxCoder::ANCHORS.encode(&grid.boxes()[at], &objects[object].bounds))
    };
    AnchorTargets { positives: positives.into_iter().map(encode).collect(), negatives }
}

/// The matches of all anchors of a grid; those beyond the image are ignored, and nearest to no object.
fn grid_matches(
    grid: &AnchorGrid,
    padded: ImageSize,
    objects: &[TrainingObject],
    rule: AssignmentRule,
) -> Vec<Match> {
    let bounds: Vec<BoundingBox> = objects.iter().map(|object| object.bounds).collect();
    let valid = grid.valid(padded);
    if valid.len() == grid.boxes().len() {
        return assign(grid.boxes(), &bounds, rule);
    }
    let anchors: Vec<BoundingBox> = valid.iter().map(|&at| grid.boxes()[at]).collect();
    let mut matches = vec![Match::Ignored; grid.boxes().len()];
    for (at, found) in valid.into_iter().zip(assign(&anchors, &bounds, rule)) {
        matches[at] = found;
    }
    matches
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;
    use crate::regions::anchors::MapLevel;

    #[test]
    fn anchors_beyond_the_image_are_not_sampled() {
        let level = |stride| MapLevel::new(stride, [64 / stride; 2]);
        let grid = AnchorGrid::new(vec![level(4), level(8)]);
        let bounds = BoundingBox { left: 3.0, top: 5.0, right: 30.0, bottom: 31.0 };
        let objects = [TrainingObject { instance: 0, class: 0, bounds }];
        let draw = |objects: &[TrainingObject]| {
            let mut stream = Seed(3).stream(Purpose::AnchorSample, 0, 0);
            let padded = ImageSize { height: 64, width: 32 };
            anchor_targets(&grid, padded, objects, AssignmentRule::ANCHORS, &mut stream)
        };
        let AnchorTargets { positives, negatives } = draw(&objects);
        let valid = grid.valid(ImageSize { height: 64, width: 32 });
        assert!(!positives.is_empty());
        assert_eq!(positives.len() + negatives.len(), 256);
        assert!(positives.iter().map(|(at, _)| at).chain(&negatives).all(|at| valid.contains(at)));
        for (at, deltas) in positives {
            let found = BoxCoder::ANCHORS.decode(&grid.boxes()[at], deltas);
            assert!((found.right - 30.0).abs() < 1e-9);
        }
        assert_eq!(draw(&[]).average_factor(), 257);
    }

    /// A square of 12 pixels has no intersection over union with an anchor above 0.141. So small nuclei taught the region
    /// proposal network nothing, and torchvision, which gives them their nearest anchors, was three points of AP ahead.
    #[test]
    fn objects_that_are_smaller_than_all_anchors_are_learned_where_the_rule_says_so() {
        let grid = AnchorGrid::new(vec![MapLevel::new(4, [16; 2]), MapLevel::new(8, [8; 2])]);
        let bounds = BoundingBox { left: 20.0, top: 24.0, right: 32.0, bottom: 36.0 };
        let objects = [TrainingObject { instance: 0, class: 0, bounds }];
        let positives = |low_quality| {
            let rule = AssignmentRule { low_quality, ..AssignmentRule::ANCHORS };
            let mut stream = Seed(3).stream(Purpose::AnchorSample, 0, 0);
            let padded = ImageSize { height: 64, width: 64 };
            anchor_targets(&grid, padded, &objects, rule, &mut stream).positives.len()
        };
        assert_eq!(positives(0.3), 0);
        assert!(positives(0.0) > 0);
    }
}
