//! The weights by which regions are made of maps (Mask R-CNN, section 3; `torchvision.ops.roi_align`, whose `aligned` is a
//! matter of the edges that it is given here).
//!
//! A bin of a region is the mean over a grid of bilinear samples. Their places, their weights and which of them are off the
//! map are products of the two axes, so each axis has a sparse matrix of its own.

use crate::dense_maps::DenseMaps;
use crate::resample::axis_weights::AxisWeights;

/// The weights by which the bins of a region are made of the cells of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionWeights {
    /// Index of the map.
    pub image: usize,
    /// Along height and width.
    pub axes: [AxisWeights; 2],
}

impl RegionWeights {
    /// The weights of so many bins downwards and to the right between the left, top, right and bottom edge of a region, in
    /// cells of the map from the centre of the first one. Without a size, or with one that is not finite, all are 0. A bin is
    /// the mean of `samples` x `samples` samples; of as many as it has cells, rounded up, where there is no number.
    ///
    /// # Panics
    /// When there is no map of this index.
    pub fn new(
        maps: &DenseMaps,
        image: usize,
        bounds: [f64; 4],
        bins: [usize; 2],
        samples: Option<u32>,
    ) -> Self {
        assert!(image < maps.images, "a region of map {image} of {}", maps.images);
        let [left, top, right, bottom] = bounds;
        let vertical = axis_weights([top, bottom], maps.height, bins[0], samples);
        let horizontal = axis_weights([left, right], maps.width, bins[1], samples);
        Self { image, axes: [vertical, horizontal] }
    }

    /// Bins downwards and to the right.
    pub(crate) fn bins(&self) -> [usize; 2] {
        self.axes.each_ref().map(AxisWeights::outputs)
    }

    /// The weights of the gradient.
    pub(crate) fn transposed(&self) -> Self {
        Self { image: self.image, axes: self.axes.each_ref().map(AxisWeights::transposed) }
    }
}

/// The weights of the bins between two edges.
fn axis_weights([begin, end]: [f64; 2], input: usize, output: usize, samples: Option<u32>) -> AxisWeights {
    let size = (end - begin) / output as f64;
    let bin = |bin: usize| bin_weights([begin + bin as f64 * size, size], input, samples);
    AxisWeights::new(input, (0..output).map(bin))
}

/// The cells of a bin, from its begin on and of its size, with their weights: the mean of bilinear samples. Samples that lie
/// more than a cell off the map are zeros of this mean. A bin without a size has none.
fn bin_weights([begin, size]: [f64; 2], input: usize, samples: Option<u32>) -> Vec<(usize, f32)> {
    let cells = size.ceil();
    let samples = samples.map_or(cells, f64::from);
    if !(1.0..f64::INFINITY).contains(&cells) || input == 0 {
        return Vec::new();
    }
    let step = size / samples;
    let on_map = -1.0..=input as f64;
    // Not all samples are visited: a region may be any number of times larger than the map.
    let sample_at = |place: f64| (place - begin) / step;
    let first = (sample_at(-1.0) - 1.0).max(0.0).floor() as usize;
    let last = (sample_at(input as f64) + 1.0).min(samples).ceil() as usize;
    let mut cells: Vec<(usize, f64)> = Vec::new();
    // Samples are in ascending order: a cell is one of the last two.
    let mut add =
        |cell: usize, weight: f64| match cells.iter_mut().rev().take(2).find(|(found, _)| *found == cell) {
            Some((_, sum)) => *sum += weight,
            None => cells.push((cell, weight)),
        };
    for place in (first..last).map(|sample| begin + (sample as f64 + 0.5) * step) {
        if on_map.contains(&place) {
            let place = place.clamp(0.0, (input - 1) as f64);
            let (near, fraction) = (place as usize, place.fract());
            add(near, 1.0 - fraction);
            // The last cell is its own neighbour.
            add((near + 1).min(input - 1), fraction);
        }
    }
    cells.into_iter().map(|(cell, weight)| (cell, (weight / samples) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells of one bin from `begin` on, of 4 cells.
    fn bin(begin: f64, size: f64) -> Vec<(usize, f32)> {
        axis_weights([begin, begin + size], 4, 1, None).of(0).to_vec()
    }

    #[test]
    fn a_bin_is_the_mean_of_bilinear_samples() {
        assert_eq!(bin(-0.5, 2.0), [(0, 0.5), (1, 0.5)]);
        assert_eq!(bin(1.0, 1.0), [(1, 0.5), (2, 0.5)]);
        // Two samples, at 0.375 and 1.125.
        assert_eq!(bin(0.0, 1.5), [(0, 0.3125), (1, 0.625), (2, 0.0625)]);
        let halves = axis_weights([0.0, 3.0], 4, 2, None);
        assert_eq!(halves.of(0), bin(0.0, 1.5));
        assert_eq!(halves.of(1), bin(1.5, 1.5));
        // Two samples whatever the size, at 0.25 and 0.75, and at 0.75 and 2.25.
        for (end, expected) in
            [(1.0, [(0, 0.5), (1, 0.5)].as_slice()), (3.0, &[(0, 0.125), (1, 0.375), (2, 0.375), (3, 0.125)])]
        {
            assert_eq!(axis_weights([0.0, end], 4, 1, Some(2)).of(0), expected);
        }
    }

    #[test]
    fn samples_off_the_map_are_counted_as_zeros() {
        // Samples at -2, -1, 0 and 1: a cell reaches one cell off the map.
        assert_eq!(bin(-2.5, 4.0), [(0, 0.5), (1, 0.25)]);
        assert_eq!(bin(2.5, 2.0), [(3, 1.0)]);
        assert_eq!(bin(3.5, 2.0), [(3, 0.5)]);
        assert_eq!(bin(4.0, 3.0), []);
    }

    #[test]
    fn a_bin_of_no_size_is_empty_and_one_of_any_size_ends() {
        for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(bin(0.0, size), [], "{size}");
        }
        // Five samples are on the map, and 1e9 are counted.
        let sum: f32 = bin(-5e8, 1e9).iter().map(|(_, weight)| weight).sum();
        assert!((sum * 1e9 - 5.0).abs() < 1e-3, "{sum}");
        assert!(bin(-1e38, 2e38).len() <= 4);
    }
}
