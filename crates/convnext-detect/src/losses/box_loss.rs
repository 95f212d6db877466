//! The losses of the box head.
//!
//! As `BBoxHead.loss` of mmdet 3.3 (Apache-2.0): both are sums divided by the number of all sampled regions
//! of the batch.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use crate::losses::parts::{absolute_difference, divide, indices, nothing, sum};
use crate::regions::region_targets::{RegionTarget, SampledRegion};

/// The losses of a batch, each `[1]`.
#[derive(Debug, Clone)]
pub struct BoxLoss {
    /// Cross-entropy of the regions.
    pub classes: Tensor<1>,
    /// Absolute differences of the regions with an object, by the outputs of its class.
    pub boxes: Tensor<1>,
}

/// The losses of the regions R of a batch, of K classes.
///
/// # Shapes
/// - logits: `[R, K + 1]`, background last
/// - deltas: `[R, 4 * K]`, four for each class
pub fn box_loss(logits: Tensor<2>, deltas: Tensor<2>, regions: &[SampledRegion]) -> BoxLoss {
    let classes = logits.dims()[1] - 1;
    if regions.is_empty() {
        return BoxLoss { classes: nothing(logits), boxes: nothing(deltas) };
    }
    let label = |region: &SampledRegion| region.target.map_or(classes, |target| target.object.class);
    let labels = indices(regions.iter().map(label).collect(), &logits.device());
    let log_probabilities = log_softmax(logits, 1).gather(1, labels.reshape([regions.len(), 1]));
    BoxLoss {
        classes: divide(sum(log_probabilities).neg(), regions.len()),
        boxes: divide(differences(deltas, classes, regions), regions.len()),
    }
}

/// The summed differences of the regions with an object.
fn differences(deltas: Tensor<2>, classes: usize, regions: &[SampledRegion]) -> Tensor<1> {
    let targets = regions.iter().enumerate().filter_map(|(at, region)| Some((at, region.target?)));
    let row = |(at, target): (usize, RegionTarget)| (at * classes + target.object.class, target.deltas);
    let (rows, targets): (Vec<usize>, Vec<[f64; 4]>) = targets.map(row).unzip();
    if rows.is_empty() {
        return nothing(deltas);
    }
    let rows = indices(rows, &deltas.device());
    let chosen = deltas.reshape([regions.len() * classes, 4]).select(0, rows);
    absolute_difference(chosen, targets)
}
