//! Dense maps in another size: PyTorch's `interpolate` and `adaptive_avg_pool2d` (docs/facts.md, "F. Segmentation").

use crate::feature_maps::FeatureMaps;
use crate::ops::gather::gather;
use crate::ops::resample::resample;
use crate::ops::resample_plan::{ResamplePlan, Resampling};
use crate::site_map::index_tensor;

/// Bilinear interpolation to this size, `align_corners=False`, without antialiasing.
///
/// # Shapes
/// - output: `[images * height * width, channels]`
pub fn resize_bilinear(maps: FeatureMaps, height: usize, width: usize) -> FeatureMaps {
    resized(maps, [height, width], Resampling::Bilinear)
}

/// Bilinear interpolation to the size of other maps, as [`resize_bilinear`], added to them.
///
/// # Shapes
/// - maps: rows of as many channels
/// - onto, output: `[images * height * width, channels]`
pub fn add_resized(onto: FeatureMaps, maps: FeatureMaps) -> FeatureMaps {
    added(onto, maps, Resampling::Bilinear)
}

/// Nearest neighbours in the size of other maps, as [`resize_nearest`], added to them.
///
/// # Shapes
/// - maps: rows of as many channels
/// - onto, output: `[images * height * width, channels]`
pub fn add_resized_nearest(onto: FeatureMaps, maps: FeatureMaps) -> FeatureMaps {
    added(onto, maps, Resampling::Nearest)
}

/// Nearest neighbours in this size, by PyTorch's rule `nearest` in f32.
///
/// # Shapes
/// - output: `[images * height * width, channels]`
pub fn resize_nearest(maps: FeatureMaps, height: usize, width: usize) -> FeatureMaps {
    resized(maps, [height, width], Resampling::Nearest)
}

/// The means over `height` x `width` bins, which overlap or repeat where they do not divide the map.
///
/// # Shapes
/// - output: `[images * height * width, channels]`
pub fn adaptive_average_pool(maps: FeatureMaps, height: usize, width: usize) -> FeatureMaps {
    resized(maps, [height, width], Resampling::AdaptiveAverage)
}

/// Every even row and column: PyTorch's `max_pool2d` with a kernel of 1 and a stride of 2, as a feature pyramid's last level.
///
/// # Shapes
/// - output: `[images * ceil(height / 2) * ceil(width / 2), channels]`
pub fn subsample(maps: &FeatureMaps) -> FeatureMaps {
    let &FeatureMaps { images, height, width, .. } = maps;
    let even = |line: usize| (0..width).step_by(2).map(move |x| line * width + x);
    let of_image = |image: usize| (0..height).step_by(2).flat_map(move |y| even(image * height + y));
    let kept: Vec<usize> = (0..images).flat_map(of_image).collect();
    let rows = gather(maps.rows.clone(), index_tensor(&kept, &maps.rows.device()));
    FeatureMaps { rows, images, height: height.div_ceil(2), width: width.div_ceil(2) }
}

/// The maps in the size of others by a rule, added to them.
fn added(onto: FeatureMaps, maps: FeatureMaps, rule: Resampling) -> FeatureMaps {
    let FeatureMaps { rows, images, height, width } = onto;
    let plan = ResamplePlan { images, input: maps.size(), output: [height, width], rule };
    FeatureMaps { rows: resample(maps.rows, Some(rows), plan), images, height, width }
}

/// The maps in this size by a rule, each of which keeps maps that have it already.
fn resized(maps: FeatureMaps, [height, width]: [usize; 2], rule: Resampling) -> FeatureMaps {
    if maps.size() == [height, width] {
        return maps;
    }
    let FeatureMaps { images, .. } = maps;
    let plan = ResamplePlan { images, input: maps.size(), output: [height, width], rule };
    FeatureMaps { rows: resample(maps.rows, None, plan), images, height, width }
}
