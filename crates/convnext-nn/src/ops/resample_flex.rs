//! Kernels that resample dense maps on the CPU backend, on f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{AxisWeights, DenseMaps, SiteOrder, resample};

use crate::ops::flex_slices::{buffer_tensor, contiguous, slice};
use crate::ops::kernels::ResampleKernels;
use crate::ops::resample_plan::{ResamplePlan, Resampling};

/// The resampling kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexResample;

impl ResampleKernels<Flex> for FlexResample {
    fn supports(plan: &ResamplePlan, dtype: DType) -> bool {
        dtype == DType::F32 && plan.images > 0 && !plan.input.contains(&0)
    }

    fn forward(rows: FlexTensor, onto: Option<FlexTensor>, plan: &ResamplePlan) -> FlexTensor {
        run(rows, onto, (plan.images, plan.input), (&axes(plan), [order(plan), SiteOrder::Lines]))
    }

    fn backward(output_gradient: FlexTensor, plan: &ResamplePlan) -> FlexTensor {
        let axes = axes(plan).map(|axis| axis.transposed());
        run(output_gradient, None, (plan.images, plan.output), (&axes, [SiteOrder::Lines, order(plan)]))
    }
}

/// The weights along height and width.
fn axes(plan: &ResamplePlan) -> [AxisWeights; 2] {
    std::array::from_fn(|axis| {
        let (input, output) = (plan.input[axis], plan.output[axis]);
        AxisWeights::new(input, (0..output).map(|cell| plan.rule.weights(cell, input, output)))
    })
}

/// The order of the input's rows.
fn order(plan: &ResamplePlan) -> SiteOrder {
    match plan.rule {
        Resampling::BilinearTaps => SiteOrder::Cells,
        _ => SiteOrder::Lines,
    }
}

fn run(
    rows: FlexTensor,
    onto: Option<FlexTensor>,
    (images, [height, width]): (usize, [usize; 2]),
    (axes, orders): (&[AxisWeights; 2], [SiteOrder; 2]),
) -> FlexTensor {
    let (rows, onto) = (contiguous(rows), onto.map(contiguous));
    let channels = rows.shape()[1];
    let maps = DenseMaps { images, height, width };
    let out = resample(slice(&rows), &maps, [&axes[0], &axes[1]], orders, onto.as_ref().map(slice));
    let shape = Shape::new([out.len() / channels.max(1), channels]);
    buffer_tensor(out, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::{tensor, values_close};
    use crate::ops::reference_kernels::Reference;

    const RULES: [Resampling; 4] =
        [Resampling::Bilinear, Resampling::Nearest, Resampling::AdaptiveAverage, Resampling::BilinearTaps];

    #[test]
    fn the_kernels_match_the_reference() {
        for rule in RULES {
            for (input, output) in [([6, 3], [8, 7]), ([3, 6], [3, 6]), ([9, 3], [2, 6]), ([3, 9], [3, 1])] {
                let plan = ResamplePlan { images: 2, input, output, rule };
                let make = |[height, width]: [usize; 2]| {
                    let count = 2 * height * width;
                    let values = (0..count * 5).map(|i| (i as f32 * 0.7).sin()).collect();
                    tensor(values, Shape::new([count, 5]))
                };
                let (rows, dout) = (make(input), make(output));
                assert!(FlexResample::supports(&plan, DType::F32));
                for onto in [None, Some(dout.clone())] {
                    let found = FlexResample::forward(rows.clone(), onto.clone(), &plan);
                    let expected = <Reference as ResampleKernels<Flex>>::forward(rows.clone(), onto, &plan);
                    assert!(values_close(&found, &expected), "{plan:?}");
                }
                let found = FlexResample::backward(dout.clone(), &plan);
                let expected = <Reference as ResampleKernels<Flex>>::backward(dout, &plan);
                assert!(values_close(&found, &expected), "{plan:?}");
            }
        }
    }
}
