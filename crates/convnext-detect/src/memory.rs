//! Estimate of the memory that a detection training needs.

use convnext_core::{BOX_MAP_SIDE, ConfigError, MASK_CONVOLUTIONS, MASK_MAP_SIDE, STAGES};
use convnext_train::{BesideBackbone, MemoryEstimate};

use crate::detect_job::DetectJob;
use crate::padding::padded;

/// Arrays of a convolution with ReLU that wait for the gradient: what it puts out, before and after.
const SAVED: usize = 2;

/// Arrays at each place of the pyramid: lateral and output convolutions, the sum of the path from the top, and the gradients of
/// the pyramid from both of its users and their sum. The region proposal network learns from a few places alone.
const OF_PLACE: usize = 3 + 3;

/// The need of a training: the backbone's, the pyramid's, and that of the regions that the heads learn from.
///
/// # Errors
/// [`ConfigError`] when images do not fit the model.
pub(crate) fn memory(job: &DetectJob) -> Result<MemoryEstimate, ConfigError> {
    let DetectJob { run, model, head, recipe, .. } = job;
    let size = padded(recipe.input.image_size);
    let batch = recipe.training.batch_size;
    let sites = model.stage_sizes(size.height, size.width)?.map(|[rows, columns]| batch * rows * columns);
    let width = head.head_width;
    let places = sites.iter().sum::<usize>() + sites[STAGES - 1].div_ceil(4);
    let regions = batch * recipe.regions.sampled;
    let of_boxes = regions * (SAVED * width * BOX_MAP_SIDE.pow(2) + 2 * SAVED * head.box_width);
    // A quarter of the regions show objects. Masks have twice as many places along each side.
    let of_map = MASK_MAP_SIDE.pow(2) * (1 + SAVED * MASK_CONVOLUTIONS + 1) * width;
    let of_mask = 4 * MASK_MAP_SIDE.pow(2) * (SAVED * width + 2 * model.classes);
    let masks = if head.masks { regions / 4 * (of_map + of_mask) } else { 0 };
    let tensors = head.tensors(model).into_iter().map(|(_, shape)| shape.iter().product::<usize>());
    let beside = BesideBackbone {
        parameters: tensors.sum::<usize>() as u64,
        values: (OF_PLACE * width * places + of_boxes + masks) as u64,
    };
    MemoryEstimate::of_network(model, size, &recipe.training, (run.activations, run.precision), beside)
}
