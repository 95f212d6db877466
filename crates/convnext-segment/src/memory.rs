//! Estimate of the memory that a segmentation training needs.

use convnext_core::{ConfigError, POOL_SCALES, STAGES};
use convnext_train::{BesideBackbone, MemoryEstimate};

use crate::segment_job::SegmentJob;

/// Arrays of a convolution with batch norm and ReLU that wait for the gradient: what the convolution puts out, and what comes
/// out in the end.
const SAVED: usize = 2;

/// Arrays of the head's width at the size of the first stage that stand in memory at once while the gradient of the last
/// convolution is made: what goes into it, its gradient, and what is on its way. Fitted to measured peaks of three trainings,
/// from which estimates are between 10 % below and 15 % above.
const WORKING: usize = 3 * STAGES;

/// Arrays of all classes at the size of the labels while the Dice loss and its gradient are made.
const OF_DICE: usize = 8;

/// The need of a training: the backbone's, and the decode head's, whose maps have the size of the first stage.
///
/// # Errors
/// [`ConfigError`] when images do not fit the model.
pub(crate) fn memory(job: &SegmentJob) -> Result<MemoryEstimate, ConfigError> {
    let SegmentJob { run, model, head, recipe, .. } = job;
    let size = recipe.input.image_size;
    let batch = recipe.training.batch_size;
    let sites = model.stage_sizes(size.height, size.width)?.map(|[rows, columns]| batch * rows * columns);
    let width = head.head_width;
    let [finest, .., coarsest] = sites;
    let pyramid =
        (model.last_width() + POOL_SCALES.len() * width + (POOL_SCALES.len() + SAVED) * width) * coarsest;
    // Of each level but the coarsest: lateral and output convolutions, the sum of the path from the top, and its
    // input in this size.
    let levels: usize = sites[..STAGES - 1].iter().map(|sites| (2 * SAVED + 2) * width * sites).sum();
    // Levels in the finest size, side by side, and what becomes of them; logits and their gradient.
    let fusion = (STAGES - 1 + STAGES + SAVED + 1) * width * finest + 2 * model.classes * finest;
    let third = sites[STAGES - 2];
    let auxiliary = head.auxiliary_width.map_or(0, |width| (SAVED * width + 2 * model.classes) * third);
    let working = WORKING * width * finest;
    let dice = if recipe.loss.dice > 0.0 { OF_DICE * model.classes * batch * size.pixels() } else { 0 };
    let tensors = head.tensors(model).into_iter().map(|(_, shape)| shape.iter().product::<usize>());
    let beside = BesideBackbone {
        parameters: tensors.sum::<usize>() as u64,
        values: (pyramid + levels + fusion + auxiliary + working + dice) as u64,
    };
    MemoryEstimate::of_network(model, size, &recipe.training, (run.activations, run.precision), beside)
}
