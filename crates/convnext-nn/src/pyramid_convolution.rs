//! A 3x3 convolution of the levels of a pyramid side by side, all at the size of the finest.
//!
//! Resizing is linear, and so is a convolution: the sum over the taps of `resized(x) W_tap` at a tap's neighbour is that of
//! `resized(x W_tap)` there. So coarser levels are multiplied as they are, before anything is resized, which takes a
//! quarter, a sixteenth and a 64th of the multiply-adds for levels of half, a quarter and an eighth of the size.
//!
//! Notation: C and O input and output channels.

use burn::prelude::*;
use convnext_kernels::Precision;

use crate::feature_maps::FeatureMaps;
use crate::ops::convolution::convolution;
use crate::ops::convolution_plan::{ConvolutionPlan, Epilogue};
use crate::ops::packing::PackingCache;
use crate::ops::resample::resample;
use crate::ops::resample_plan::{ResamplePlan, Resampling, TAPS};

/// A 3x3 convolution with a padding of 1 of maps side by side: those of the finest level, and the others resized
/// bilinearly to their size.
#[derive(Debug)]
pub(crate) struct PyramidConvolution<'a> {
    /// As they are.
    pub(crate) finest: &'a FeatureMaps,
    /// Any number, of any size.
    pub(crate) coarser: &'a [FeatureMaps],
}

impl PyramidConvolution<'_> {
    /// The sums, with what `convolve` makes of the finest level.
    ///
    /// # Shapes
    /// - weight: `[O, C, 3, 3]`, C those of all levels, the finest one's first
    /// - output: rows `[images * height * width, O]` of the finest level
    pub(crate) fn sums(
        &self,
        weight: Tensor<4>,
        precision: Precision,
        convolve: impl FnOnce(&FeatureMaps, Tensor<4>) -> FeatureMaps,
    ) -> FeatureMaps {
        let mut first = self.finest.channels();
        let of_level = |channels| weight.clone().slice([0..weight.dims()[0], channels]);
        let mut sums = convolve(self.finest, of_level(0..first));
        for maps in self.coarser {
            let channels = first..first + maps.channels();
            first = channels.end;
            sums = add_convolved(sums, maps, of_level(channels), precision);
        }
        sums
    }
}

/// The convolution of maps that are resized bilinearly, with a padding of 1, added to maps of the new size:
/// `onto + conv2d(interpolate(maps))`.
///
/// # Shapes
/// - maps: rows `[images * height * width, C]`
/// - weight: `[O, C, 3, 3]`
/// - onto, output: rows `[images * new height * new width, O]`
fn add_convolved(
    onto: FeatureMaps,
    maps: &FeatureMaps,
    weight: Tensor<4>,
    precision: Precision,
) -> FeatureMaps {
    let [outputs, inputs, ..] = weight.dims();
    let products = TAPS * TAPS * outputs;
    let weight = weight.permute([2, 3, 0, 1]).reshape([products, inputs, 1, 1]);
    let plan = ConvolutionPlan {
        images: maps.images,
        input: maps.size(),
        kernel: [1; 2],
        padding: [0; 2],
        stride: [1; 2],
        precision,
        packing: PackingCache::default(),
    };
    let products = convolution(maps.rows.clone(), weight, Epilogue::Plain, plan);
    let products = products.reshape([-1, outputs as i32]);
    let FeatureMaps { rows, images, height, width } = onto;
    let input = maps.size().map(|side| TAPS * side);
    let plan = ResamplePlan { images, input, output: [height, width], rule: Resampling::BilinearTaps };
    FeatureMaps { rows: resample(products, Some(rows), plan), images, height, width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize::resize_bilinear;
    use crate::values::tensor_values;

    fn made<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 0.7).sin()).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    /// The sums, and the gradients of all maps and of the weight; by a convolution of the resized maps or before it.
    fn run(sizes: &[([usize; 2], usize)], resizes_first: bool) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let maps = |&([height, width], channels): &([usize; 2], usize)| {
            let rows = made([2 * height * width, channels], &device);
            FeatureMaps { rows, images: 2, height, width }
        };
        let levels: Vec<FeatureMaps> = sizes.iter().map(maps).collect();
        let weight = made([5, sizes.iter().map(|(_, channels)| channels).sum(), 3, 3], &device);
        let convolve = |maps: &FeatureMaps, weight: Tensor<4>| {
            use burn::tensor::{module::conv2d, ops::ConvOptions};
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            FeatureMaps::from(conv2d(maps.clone().into_tensor(), weight, None, options))
        };
        let (finest, coarser) = levels.split_first().unwrap();
        let sums = match resizes_first {
            false => PyramidConvolution { finest, coarser }.sums(weight.clone(), Precision::F32, convolve),
            true => {
                let [height, width] = finest.size();
                let all = levels.iter().map(|maps| resize_bilinear(maps.clone(), height, width).rows);
                convolve(&finest.with_rows(Tensor::cat(all.collect(), 1)), weight.clone())
            }
        };
        let output = made(sums.rows.dims(), &device).inner();
        let gradients = (sums.rows.clone() * Tensor::from_inner(output)).sum().backward();
        let of_levels = levels.iter().map(|maps| tensor_values(maps.rows.grad(&gradients).unwrap()));
        let of_weight = tensor_values(weight.grad(&gradients).unwrap());
        [tensor_values(sums.rows), of_weight].into_iter().chain(of_levels).collect()
    }

    #[test]
    fn coarser_maps_can_be_multiplied_before_they_are_resized() {
        for sizes in [
            vec![([8, 12], 4), ([4, 6], 3), ([2, 3], 2), ([1, 1], 6)],
            vec![([9, 5], 1), ([4, 2], 3), ([6, 6], 2)],
            vec![([1, 1], 2), ([3, 2], 2)],
        ] {
            for (found, expected) in run(&sizes, false).into_iter().zip(run(&sizes, true)) {
                assert_eq!(found.len(), expected.len());
                let scale = expected.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
                for (found, expected) in found.into_iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-5 * scale, "{sizes:?}: {found}, {expected}");
                }
            }
        }
    }
}
