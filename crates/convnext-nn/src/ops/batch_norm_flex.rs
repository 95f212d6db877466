//! Kernels of batch norm in training on the CPU backend, on f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{BatchNormLayer, BatchStatistics, batch_norm_backward, batch_norm_forward};

use crate::ops::flex_slices::{buffer_tensor, contiguous, slice, tensor};
use crate::ops::kernels::BatchNormKernels;

/// The batch norm kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexBatchNorm;

impl BatchNormKernels<Flex> for FlexBatchNorm {
    fn supports(dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn forward(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        has_relu: bool,
    ) -> (FlexTensor, [FlexTensor; 2]) {
        let [rows, weight, bias] = [rows, weight, bias].map(contiguous);
        let layer = BatchNormLayer { weight: slice(&weight), bias: slice(&bias), has_relu };
        let (out, BatchStatistics { mean, variance }) = batch_norm_forward(slice(&rows), &layer);
        (buffer_tensor(out, rows.shape()), [mean, variance].map(|values| tensor(values, bias.shape())))
    }

    fn backward(
        rows: FlexTensor,
        parameters: [FlexTensor; 2],
        statistics: [FlexTensor; 2],
        output_gradient: FlexTensor,
        has_relu: bool,
    ) -> [FlexTensor; 3] {
        let [rows, dout] = [rows, output_gradient].map(contiguous);
        let [weight, bias] = parameters.map(contiguous);
        let [mean, variance] = statistics.map(|values| slice(&contiguous(values)).to_vec());
        let layer = BatchNormLayer { weight: slice(&weight), bias: slice(&bias), has_relu };
        let statistics = BatchStatistics { mean, variance };
        let (drows, [dweight, dbias]) = batch_norm_backward(slice(&rows), &layer, &statistics, slice(&dout));
        let of_channels = |values: Vec<f32>| {
            let shape = Shape::new([values.len()]);
            tensor(values, shape)
        };
        [buffer_tensor(drows, rows.shape()), of_channels(dweight), of_channels(dbias)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::values_close;
    use crate::ops::reference_kernels::Reference;

    #[test]
    fn the_kernels_match_the_reference() {
        let make = |shape: &[usize], seed: f32| {
            let count: usize = shape.iter().product();
            tensor((0..count).map(|i| (i as f32 * 0.7 + seed).sin()).collect(), Shape::from(shape.to_vec()))
        };
        let (rows, dout) = (make(&[30, 5], 0.0), make(&[30, 5], 1.0));
        for has_relu in [true, false] {
            let parameters = [make(&[5], 2.0), make(&[5], 3.0)];
            let [weight, bias] = parameters.clone();
            let (found, statistics) =
                FlexBatchNorm::forward(rows.clone(), weight.clone(), bias.clone(), has_relu);
            let (expected, expected_statistics) =
                <Reference as BatchNormKernels<Flex>>::forward(rows.clone(), weight, bias, has_relu);
            assert!(values_close(&found, &expected));
            assert!(statistics.iter().zip(&expected_statistics).all(|(a, b)| values_close(a, b)));
            let inputs = (rows.clone(), parameters, statistics, dout.clone());
            let (x, p, s, d) = inputs.clone();
            let found = FlexBatchNorm::backward(x, p, s, d, has_relu);
            let (x, p, s, d) = inputs;
            let expected = <Reference as BatchNormKernels<Flex>>::backward(x, p, s, d, has_relu);
            assert!(found.iter().zip(&expected).all(|(a, b)| values_close(a, b)));
        }
    }
}
