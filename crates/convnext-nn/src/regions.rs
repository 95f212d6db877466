//! Regions of dense maps in one size (Mask R-CNN, section 3).

use crate::feature_maps::FeatureMaps;
use crate::ops::roi_align::roi_align_rows;
use crate::ops::roi_align_plan::{Region, RoiAlignPlan, RoiSampling};

/// RoIAlign: each region of the maps in one size, a map for each region in their order. It is differentiable in the maps.
///
/// As `torchvision.ops.roi_align`: an output cell is the mean of a grid of bilinear samples, with [`RoiSampling::Aligned`] one
/// for each cell of the maps that it covers downwards and to the right, rounded up. Samples more than a cell off the map
/// count as zeros. A region without a size gives zeros if it is aligned.
///
/// # Shapes
/// - maps: rows `[images * height * width, channels]`
/// - output: height and width of the new maps
/// - scale: cells of the maps for a pixel of the network's input, 1 / stride
/// - returned: rows `[regions * output height * output width, channels]`
///
/// # Panics
/// When a region is of an image that the maps do not have.
pub fn roi_align(
    maps: &FeatureMaps,
    regions: &[Region],
    output: [usize; 2],
    scale: f32,
    sampling: RoiSampling,
) -> FeatureMaps {
    let plan = RoiAlignPlan::new(maps.images, maps.size(), regions, output, (scale, sampling));
    let rows = roi_align_rows(maps.rows.clone(), plan);
    let [height, width] = output;
    FeatureMaps { rows, images: regions.len(), height, width }
}
