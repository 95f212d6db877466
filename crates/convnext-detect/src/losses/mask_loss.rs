//! The loss of the mask head.
//!
//! As `FCNMaskHead` with `CrossEntropyLoss(use_mask=True)` of mmdet 3.3 (Apache-2.0): the mean over all
//! pixels of the regions with an object, each by the channel of the object's class.

use burn::prelude::*;

use crate::losses::parts::{binary_cross_entropy, divide, indices, nothing};

/// What the mask head is to find in the regions with an object, all regions of a batch one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskTargets {
    /// Class of each.
    pub classes: Vec<usize>,
    /// Pixels of each, `true` inside the object; equally many for all.
    pub inside: Vec<bool>,
}

impl MaskTargets {
    /// Adds a region.
    pub fn push(&mut self, class: usize, inside: &[bool]) {
        self.classes.push(class);
        self.inside.extend(inside);
    }
}

/// The loss, `[1]`, of the regions R of a batch.
///
/// # Shapes
/// - logits: `[R * pixels, K]`, rows in the order (region, y, x)
pub fn mask_loss(logits: Tensor<2>, targets: &MaskTargets) -> Tensor<1> {
    let (regions, pixels) = (targets.classes.len(), targets.inside.len());
    if regions == 0 {
        return nothing(logits);
    }
    let channels = targets.classes.iter().flat_map(|&class| vec![class; pixels / regions]).collect();
    let channels = indices(channels, &logits.device()).reshape([pixels, 1]);
    let chosen = logits.gather(1, channels).reshape([regions, pixels / regions]);
    divide(binary_cross_entropy(chosen, targets.inside.iter().copied()), pixels)
}
