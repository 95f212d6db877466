//! Kernels that resample dense maps on the CPU backend, on f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{AxisWeights, DenseMaps, resample};

use crate::ops::flex_slices::{buffer_tensor, contiguous, slice};
use crate::ops::kernels::ResampleKernels;
use crate::ops::resample_plan::ResamplePlan;

/// The resampling kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexResample;

impl ResampleKernels<Flex> for FlexResample {
    fn supports(plan: &ResamplePlan, dtype: DType) -> bool {
        dtype == DType::F32 && plan.images > 0 && !plan.input.contains(&0)
    }

    fn forward(rows: FlexTensor, plan: &ResamplePlan) -> FlexTensor {
        run(rows, plan.images, plan.input, &axes(plan))
    }

    fn backward(output_gradient: FlexTensor, plan: &ResamplePlan) -> FlexTensor {
        run(output_gradient, plan.images, plan.output, &axes(plan).map(|axis| axis.transposed()))
    }
}

/// The weights along height and width.
fn axes(plan: &ResamplePlan) -> [AxisWeights; 2] {
    std::array::from_fn(|axis| {
        let (input, output) = (plan.input[axis], plan.output[axis]);
        AxisWeights::new(input, (0..output).map(|cell| plan.rule.weights(cell, input, output)))
    })
}

fn run(rows: FlexTensor, images: usize, [height, width]: [usize; 2], axes: &[AxisWeights; 2]) -> FlexTensor {
    let rows = contiguous(rows);
    let channels = rows.shape()[1];
    let out = resample(slice(&rows), &DenseMaps { images, height, width }, [&axes[0], &axes[1]]);
    let shape = Shape::new([out.len() / channels.max(1), channels]);
    buffer_tensor(out, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::{tensor, values_close};
    use crate::ops::reference_kernels::Reference;
    use crate::ops::resample_plan::Resampling;

    #[test]
    fn the_kernels_match_the_reference() {
        for rule in [Resampling::Bilinear, Resampling::Nearest, Resampling::AdaptiveAverage] {
            for (input, output) in [([4, 5], [8, 7]), ([4, 5], [4, 5]), ([5, 3], [2, 6]), ([1, 9], [3, 1])] {
                let plan = ResamplePlan { images: 2, input, output, rule };
                let make = |[height, width]: [usize; 2]| {
                    let count = 2 * height * width;
                    let values = (0..count * 5).map(|i| (i as f32 * 0.7).sin()).collect();
                    tensor(values, Shape::new([count, 5]))
                };
                let (rows, dout) = (make(input), make(output));
                assert!(FlexResample::supports(&plan, DType::F32));
                let found = FlexResample::forward(rows.clone(), &plan);
                let expected = <Reference as ResampleKernels<Flex>>::forward(rows, &plan);
                assert!(values_close(&found, &expected), "{plan:?}");
                let found = FlexResample::backward(dout.clone(), &plan);
                let expected = <Reference as ResampleKernels<Flex>>::backward(dout, &plan);
                assert!(values_close(&found, &expected), "{plan:?}");
            }
        }
    }
}
