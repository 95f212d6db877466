//! The losses of the region proposal network.
//!
//! As `AnchorHead.loss_by_feat` of mmdet 3.3 (Apache-2.0): both are sums over the sampled anchors of the
//! batch, divided by their number.

use burn::prelude::*;
use convnext_core::PLACE_ANCHORS;

use crate::losses::parts::{absolute_difference, binary_cross_entropy, divide, indices, nothing};
use crate::mask_rcnn::rpn_head::RpnOutput;
use crate::regions::anchor_targets::AnchorTargets;
use crate::regions::anchors::MapLevel;

/// The losses of a batch, each `[1]`.
#[derive(Debug, Clone)]
pub struct RpnLoss {
    /// Binary cross-entropy of the sampled anchors.
    pub objectness: Tensor<1>,
    /// Absolute differences of those on objects.
    pub boxes: Tensor<1>,
}

/// The sampled anchors of a batch, by the places of the maps that they stand at.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledAnchors {
    /// Of each level the rows of its maps `[N H W, C]`, one for each sampled anchor, so some of them several times. A level
    /// without any has its first row, so that its maps have a gradient of 0 and not none.
    pub places: Vec<Vec<usize>>,
    /// Those on objects, with their targets, and those on background, by their place among the anchors of all places.
    positives: Vec<(usize, [f64; 4])>,
    negatives: Vec<usize>,
    /// The number that the losses are divided by.
    divisor: usize,
}

impl SampledAnchors {
    /// The anchors of these levels, the finest first, that each image of a batch is learned by.
    ///
    /// # Panics
    /// When targets are beyond the anchors.
    pub fn new(levels: &[MapLevel], targets: &[AnchorTargets]) -> Self {
        let mut found = Self {
            places: vec![Vec::new(); levels.len()],
            positives: Vec::new(),
            negatives: Vec::new(),
            divisor: targets.iter().map(AnchorTargets::average_factor).sum(),
        };
        let (mut first, mut rows) = (0, 0);
        for (at, level) in levels.iter().enumerate() {
            let anchors = first..first + level.anchors();
            let places = &mut found.places[at];
            let mut sample = |image: usize, anchor: usize| {
                let anchor = image * level.anchors() + anchor - anchors.start;
                places.push(anchor / PLACE_ANCHORS);
                (rows + places.len() - 1) * PLACE_ANCHORS + anchor % PLACE_ANCHORS
            };
            for (image, targets) in targets.iter().enumerate() {
                for (anchor, deltas) in
                    targets.positives.iter().filter(|(anchor, _)| anchors.contains(anchor))
                {
                    found.positives.push((sample(image, *anchor), *deltas));
                }
                for anchor in targets.negatives.iter().filter(|anchor| anchors.contains(anchor)) {
                    found.negatives.push(sample(image, *anchor));
                }
            }
            if places.is_empty() {
                places.push(0);
            }
            rows += places.len();
            first = anchors.end;
        }
        let count = |targets: &AnchorTargets| targets.positives.len() + targets.negatives.len();
        let wanted: usize = targets.iter().map(count).sum();
        assert_eq!(found.positives.len() + found.negatives.len(), wanted, "targets are among the anchors");
        found
    }

    /// The losses of the outputs at [`Self::places`]. Without an anchor they are 0, and so are their gradients.
    ///
    /// # Shapes
    /// - outputs: rows of all places, those of the finest level first
    pub fn loss(&self, outputs: &RpnOutput) -> RpnLoss {
        RpnLoss { objectness: self.objectness(&outputs.objectness), boxes: self.boxes(&outputs.deltas) }
    }

    fn objectness(&self, logits: &Tensor<2>) -> Tensor<1> {
        let positives = self.positives.iter().map(|&(anchor, _)| anchor);
        let anchors: Vec<usize> = positives.chain(self.negatives.iter().copied()).collect();
        let count = anchors.len();
        match select(logits, 1, anchors) {
            None => nothing(logits.clone()),
            Some(logits) => {
                let wanted = (0..count).map(|at| at < self.positives.len());
                divide(binary_cross_entropy(logits, wanted), self.divisor)
            }
        }
    }

    fn boxes(&self, deltas: &Tensor<2>) -> Tensor<1> {
        let (anchors, targets) = self.positives.iter().copied().unzip();
        match select(deltas, 4, anchors) {
            None => nothing(deltas.clone()),
            Some(deltas) => divide(absolute_difference(deltas, targets), self.divisor),
        }
    }
}

/// The values of anchors, `width` of each; `None` without any.
fn select(outputs: &Tensor<2>, width: usize, anchors: Vec<usize>) -> Option<Tensor<2>> {
    if anchors.is_empty() {
        return None;
    }
    let anchors = indices(anchors, &outputs.device());
    let all = outputs.dims()[0] * PLACE_ANCHORS;
    Some(outputs.clone().reshape([all, width]).select(0, anchors))
}
