//! A convolution at some places of its output alone, for losses that look at a few of them.

use burn::prelude::*;

use crate::feature_maps::FeatureMaps;
use crate::ops::gather::gather;
use crate::site_map::index_tensor;

/// What a kernel of stride 1 sees from each of some places, zeros beyond the maps.
///
/// # Shapes
/// - maps: rows `[images * height * width, channels]`
/// - places: rows of the output, whose maps have the size of the input
/// - output: `[places, kernel height * kernel width * channels]`
pub(crate) fn neighbourhoods(
    maps: &FeatureMaps,
    places: &[usize],
    [kernel_height, kernel_width]: [usize; 2],
) -> Tensor<2> {
    let (mut rows, mut on_map) = (Vec::new(), Vec::new());
    for &place in places {
        let (line, x) = (place / maps.width, place % maps.width);
        let (image, y) = (line / maps.height, line % maps.height);
        for (down, right) in
            (0..kernel_height).flat_map(|down| (0..kernel_width).map(move |right| (down, right)))
        {
            let neighbour = |at: usize, step: usize, sides: [usize; 2]| {
                (at + step).checked_sub(sides[0] / 2).filter(|&found| found < sides[1])
            };
            let found = neighbour(y, down, [kernel_height, maps.height])
                .zip(neighbour(x, right, [kernel_width, maps.width]))
                .map(|(y, x)| (image * maps.height + y) * maps.width + x);
            rows.push(found.unwrap_or(place));
            on_map.push(if found.is_some() { 1.0_f32 } else { 0.0 });
        }
    }
    let (taps, channels, device) = (kernel_height * kernel_width, maps.channels(), maps.rows.device());
    let found = gather(maps.rows.clone(), index_tensor(&rows, &device));
    let factors = TensorData::new(on_map, [rows.len(), 1]).convert_dtype(found.dtype());
    let found = found.clone() * Tensor::from_data(factors, (&device, found.dtype()));
    found.reshape([places.len(), taps * channels])
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{DType, Device};

    use crate::conv2d::Conv2d;
    use crate::feature_maps::FeatureMaps;

    use super::*;

    fn make<const D: usize>(shape: [usize; D], seed: f64, dtype: DType) -> Tensor<D> {
        let values: Vec<f64> =
            (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7 + seed).sin()).collect();
        let data = TensorData::new(values, shape).convert_dtype(dtype);
        Tensor::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
    }

    /// Corners, edges, the inside, a place twice, and no place of the second maps.
    #[test]
    fn outputs_and_gradients_at_places_are_those_of_the_whole_convolution() {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
            for side in [1, 3, 5] {
                let bias = make([4], 2.0, dtype);
                let weight = make([4, 3, side, side], 1.0, dtype);
                let layer =
                    Conv2d::new(Param::from_tensor(weight.clone()), Some(Param::from_tensor(bias.clone())));
                let maps = |images, height, width, seed| {
                    let rows = make([images * height * width, 3], seed, dtype);
                    FeatureMaps { rows, images, height, width }
                };
                let levels = [maps(2, 3, 4, 0.0), maps(1, 2, 2, 5.0), maps(1, 1, 1, 6.0)];
                let places: [&[usize]; 3] = [&[0, 23, 5, 12, 5, 11], &[], &[0]];
                let pairs: Vec<_> = levels.iter().zip(places).collect();
                let found = layer.forward_at(&pairs);
                let of_level = |(maps, places): &(&FeatureMaps, &[usize])| {
                    layer.forward(maps).rows.select(0, index_tensor(places, &maps.rows.device()))
                };
                let whole = Tensor::cat([&pairs[0], &pairs[2]].map(of_level).to_vec(), 0);
                let factors = make([7, 4], 3.0, dtype);
                let gradients =
                    [found.clone(), whole.clone()].map(|out| (out * factors.clone()).sum().backward());
                let close = |one: Tensor<1>, other: Tensor<1>| {
                    let difference = (one.cast(DType::F64) - other.cast(DType::F64)).abs().max();
                    let difference: f64 = difference.into_scalar();
                    assert!(difference < tolerance, "{side} {dtype:?}: {difference:e}");
                };
                close(found.flatten(0, 1), whole.flatten(0, 1));
                let [one, other] = &gradients;
                close(weight.grad(one).unwrap().flatten(0, 3), weight.grad(other).unwrap().flatten(0, 3));
                close(bias.grad(one).unwrap(), bias.grad(other).unwrap());
                for level in [0, 2] {
                    let of = |gradients| levels[level].rows.grad(gradients).unwrap().flatten(0, 1);
                    close(of(one), of(other));
                }
            }
        }
    }
}
