//! The losses of the region proposal network.
//!
//! As `AnchorHead.loss_by_feat` of mmdet 3.3 (Apache-2.0): both are sums over the sampled anchors of the
//! batch, divided by their number.

use burn::prelude::*;

use crate::losses::parts::{absolute_difference, binary_cross_entropy, divide, indices, nothing};
use crate::mask_rcnn::rpn_head::RpnOutput;
use crate::regions::anchor_targets::AnchorTargets;
use crate::regions::anchors::ANCHOR_RATIOS;

/// Anchors at a place.
const ANCHORS: usize = ANCHOR_RATIOS.len();

/// The losses of a batch, each `[1]`.
#[derive(Debug, Clone)]
pub struct RpnLoss {
    /// Binary cross-entropy of the sampled anchors.
    pub objectness: Tensor<1>,
    /// Absolute differences of those on objects.
    pub boxes: Tensor<1>,
}

/// The losses of a batch from its outputs on all levels, the finest first, and the targets of each image.
///
/// # Panics
/// Without a level, or when targets are beyond the anchors.
pub fn rpn_loss(levels: &[RpnOutput], targets: &[AnchorTargets]) -> RpnLoss {
    let divisor: usize = targets.iter().map(AnchorTargets::average_factor).sum();
    let mut objectness = Vec::new();
    let mut boxes = Vec::new();
    let mut first = 0;
    for level in levels {
        let sampled = LevelSample::new(level, first, targets);
        first += sampled.anchors;
        objectness.push(sampled.objectness(level));
        boxes.extend(sampled.boxes(level));
    }
    let mean = |parts: Vec<Tensor<1>>, outputs: fn(&RpnOutput) -> &Tensor<2>| {
        let sum = parts.into_iter().reduce(|sum, part| sum + part);
        sum.map_or_else(|| nothing(outputs(&levels[0]).clone()), |sum| divide(sum, divisor))
    };
    RpnLoss { objectness: mean(objectness, |maps| &maps.objectness), boxes: mean(boxes, |maps| &maps.deltas) }
}

/// The sampled anchors of a level, by their place in the rows of the batch.
struct LevelSample {
    /// Anchors of the level in an image.
    anchors: usize,
    /// Those on objects, with their targets.
    positives: Vec<(usize, [f64; 4])>,
    negatives: Vec<usize>,
}

impl LevelSample {
    /// Those from the anchor `first` of an image on.
    fn new(level: &RpnOutput, first: usize, targets: &[AnchorTargets]) -> Self {
        let anchors = level.objectness.dims()[0] * ANCHORS / targets.len().max(1);
        let mut found = Self { anchors, positives: Vec::new(), negatives: Vec::new() };
        for (image, targets) in targets.iter().enumerate() {
            let row =
                |at: usize| at.checked_sub(first).filter(|at| *at < anchors).map(|at| image * anchors + at);
            found
                .positives
                .extend(targets.positives.iter().filter_map(|&(at, deltas)| Some((row(at)?, deltas))));
            found.negatives.extend(targets.negatives.iter().filter_map(|&at| row(at)));
        }
        found
    }

    /// The summed cross-entropy of the level. Where no anchor of it was sampled, its maps have a gradient of 0 and not none.
    fn objectness(&self, level: &RpnOutput) -> Tensor<1> {
        let positives = self.positives.iter().map(|&(row, _)| row);
        let rows: Vec<usize> = positives.chain(self.negatives.iter().copied()).collect();
        let count = rows.len();
        match select(&level.objectness, 1, rows) {
            None => nothing(level.objectness.clone()),
            Some(logits) => binary_cross_entropy(logits, (0..count).map(|at| at < self.positives.len())),
        }
    }

    /// The summed differences of the level, if any anchor on an object was sampled.
    fn boxes(&self, level: &RpnOutput) -> Option<Tensor<1>> {
        let (rows, targets) = self.positives.iter().copied().unzip();
        Some(absolute_difference(select(&level.deltas, 4, rows)?, targets))
    }
}

/// The values of anchors, `width` of each.
fn select(outputs: &Tensor<2>, width: usize, rows: Vec<usize>) -> Option<Tensor<2>> {
    if rows.is_empty() {
        return None;
    }
    let rows = indices(rows, &outputs.device());
    let anchors = outputs.dims()[0] * ANCHORS;
    Some(outputs.clone().reshape([anchors, width]).select(0, rows))
}
