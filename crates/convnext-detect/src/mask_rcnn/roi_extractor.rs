//! Maps of regions, each cut out of the level of the pyramid that suits its size (MMDetection's `SingleRoIExtractor`).

use convnext_core::{DetectorRules, PYRAMID_LEVELS, PYRAMID_STRIDES, STAGES};
use convnext_nn::{FeatureMaps, Region, RoiSampling, roi_align};

/// Side in pixels that the sizes of regions are measured by: from twice this side on, a square is of the second level.
pub(crate) const FINEST_SCALE: f64 = 56.0;

/// Keeps a region of a level's first size in it in spite of rounding.
pub(crate) const LEVEL_MARGIN: f64 = 1e-6;

/// Levels that regions are cut out of: all but the last.
pub(crate) const REGION_LEVELS: usize = STAGES;

/// The level of a region, 0 for P2 to 3 for P5: one more each time that its sides double.
///
/// - bounds: left, top, right and bottom in pixels of the network's input
pub fn region_level([left, top, right, bottom]: [f32; 4]) -> usize {
    let [width, height] = [[left, right], [top, bottom]].map(|[low, high]| f64::from(high) - f64::from(low));
    let side = (width * height).max(0.0).sqrt();
    let level = (side / FINEST_SCALE + LEVEL_MARGIN).log2().floor();
    // Without an area the logarithm is far below 0.
    (level.max(0.0) as usize).min(REGION_LEVELS - 1)
}

/// A map of this size for each region, in their order, by RoIAlign as the rules have it.
///
/// # Shapes
/// - pyramid: P2 to P6, rows `[N H_l W_l, W]`
/// - output: height and width of the new maps
/// - returned: rows `[regions * output height * output width, W]`
///
/// # Panics
/// When a region is of an image that the pyramid does not have.
pub fn extract(
    pyramid: &[FeatureMaps; PYRAMID_LEVELS],
    regions: &[Region],
    output: [usize; 2],
    rules: DetectorRules,
) -> FeatureMaps {
    let sampling = match rules {
        DetectorRules::MmDetection => RoiSampling::Aligned,
        DetectorRules::Torchvision => RoiSampling::Shifted,
    };
    let of_level = |level: usize| -> Vec<usize> {
        let indices = 0..regions.len();
        indices.filter(|&index| region_level(regions[index].bounds) == level).collect()
    };
    let (mut parts, mut order) = (Vec::new(), Vec::new());
    for level in 0..REGION_LEVELS {
        let indices = of_level(level);
        if !indices.is_empty() {
            let chosen: Vec<Region> = indices.iter().map(|&index| regions[index]).collect();
            let scale = 1.0 / PYRAMID_STRIDES[level] as f32;
            parts.push(roi_align(&pyramid[level], &chosen, output, scale, sampling));
            order.extend(indices);
        }
    }
    match FeatureMaps::concatenate(parts) {
        None => roi_align(&pyramid[0], &[], output, 1.0, sampling),
        Some(maps) if order.is_sorted() => maps,
        Some(maps) => maps.select_images(&inverse(&order)),
    }
}

/// The place of each index in an order of all of them.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    for (place, &index) in order.iter().enumerate() {
        places[index] = place;
    }
    places
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use burn::tensor::Device;
    use convnext_nn::tensor_values;

    use super::*;

    fn square(side: f32) -> Region {
        Region { image: 1, bounds: [5.0, 3.0, 5.0 + side, 3.0 + side] }
    }

    #[test]
    fn levels_begin_at_doubled_sides() {
        let level = |side: f32| region_level(square(side).bounds);
        for (first, side) in [(1, 112.0), (2, 224.0), (3, 448.0)] {
            assert_eq!([level(side * 0.999), level(side), level(side * 1.001)], [first - 1, first, first]);
        }
        assert_eq!([level(0.0), level(1.0), level(5000.0)], [0, 0, 3]);
        // The area counts, not a side; without an area it is the finest.
        assert_eq!(region_level([0.0, 0.0, 448.0, 28.0]), 1);
        assert_eq!(region_level([40.0, 10.0, 20.0, 90.0]), 0);
    }

    /// Each level is full of its own number, which tells where a map came from.
    #[test]
    fn maps_come_from_their_level_in_the_order_of_the_regions() {
        let device = Device::flex();
        let pyramid = std::array::from_fn(|level| {
            let side = 640 / PYRAMID_STRIDES[level];
            let rows = Tensor::full([2 * side * side, 3], level as f32, &device);
            FeatureMaps { rows, images: 2, height: side, width: side }
        });
        let check = |sides: &[f32], levels: &[f32]| {
            let regions: Vec<Region> = sides.iter().map(|&side| square(side)).collect();
            let maps = extract(&pyramid, &regions, [2, 3], DetectorRules::MmDetection);
            assert_eq!((maps.images, maps.size(), maps.channels()), (sides.len(), [2, 3], 3));
            let expected: Vec<f32> = levels.iter().flat_map(|&level| [level; 18]).collect();
            let found: Vec<f32> = tensor_values(maps.rows).into_iter().map(f32::round).collect();
            assert_eq!(found, expected, "{sides:?}");
        };
        check(&[300.0, 20.0, 500.0, 130.0, 30.0], &[2.0, 0.0, 3.0, 1.0, 0.0]);
        check(&[20.0, 300.0], &[0.0, 2.0]);
        check(&[], &[]);
    }
}
