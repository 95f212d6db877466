//! Kernels of batch norm in training on the CPU backend, on f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{
    BatchNormWeights, BatchStatistics, batch_norm_relu_backward, batch_norm_relu_forward,
};

use crate::ops::flex_slices::{buffer_tensor, contiguous, slice, tensor};
use crate::ops::kernels::BatchNormKernels;

/// The batch norm kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexBatchNorm;

impl BatchNormKernels<Flex> for FlexBatchNorm {
    fn supports(dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn forward(rows: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> (FlexTensor, [FlexTensor; 2]) {
        let [rows, weight, bias] = [rows, weight, bias].map(contiguous);
        let weights = BatchNormWeights { weight: slice(&weight), bias: slice(&bias) };
        let (out, BatchStatistics { mean, variance }) = batch_norm_relu_forward(slice(&rows), &weights);
        (buffer_tensor(out, rows.shape()), [mean, variance].map(|values| tensor(values, bias.shape())))
    }

    fn backward(
        rows: FlexTensor,
        parameters: [FlexTensor; 2],
        statistics: [FlexTensor; 2],
        output_gradient: FlexTensor,
    ) -> [FlexTensor; 3] {
        let [rows, dout] = [rows, output_gradient].map(contiguous);
        let [weight, bias] = parameters.map(contiguous);
        let [mean, variance] = statistics.map(|values| slice(&contiguous(values)).to_vec());
        let weights = BatchNormWeights { weight: slice(&weight), bias: slice(&bias) };
        let statistics = BatchStatistics { mean, variance };
        let (drows, [dweight, dbias]) =
            batch_norm_relu_backward(slice(&rows), &weights, &statistics, slice(&dout));
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
        let parameters = [make(&[5], 2.0), make(&[5], 3.0)];
        let [weight, bias] = parameters.clone();
        let (found, statistics) = FlexBatchNorm::forward(rows.clone(), weight.clone(), bias.clone());
        let (expected, expected_statistics) =
            <Reference as BatchNormKernels<Flex>>::forward(rows.clone(), weight, bias);
        assert!(values_close(&found, &expected));
        assert!(statistics.iter().zip(&expected_statistics).all(|(a, b)| values_close(a, b)));
        let found =
            FlexBatchNorm::backward(rows.clone(), parameters.clone(), statistics.clone(), dout.clone());
        let expected = <Reference as BatchNormKernels<Flex>>::backward(rows, parameters, statistics, dout);
        assert!(found.iter().zip(&expected).all(|(a, b)| values_close(a, b)));
    }
}
