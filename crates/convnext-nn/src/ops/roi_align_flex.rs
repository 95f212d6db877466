//! Kernels of RoIAlign on the CPU backend, on f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{DenseMaps, roi_align, roi_align_backward};

use crate::ops::flex_slices::{buffer_tensor, contiguous, slice};
use crate::ops::kernels::RoiAlignKernels;
use crate::ops::roi_align_plan::RoiAlignPlan;

/// The RoIAlign kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexRoiAlign;

impl RoiAlignKernels<Flex> for FlexRoiAlign {
    fn supports(_plan: &RoiAlignPlan, dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn forward(rows: FlexTensor, plan: &RoiAlignPlan) -> FlexTensor {
        let rows = contiguous(rows);
        let shape = Shape::new([plan.rows(), rows.shape()[1]]);
        buffer_tensor(roi_align(slice(&rows), &maps(plan), &plan.regions), shape)
    }

    fn backward(output_gradient: FlexTensor, plan: &RoiAlignPlan) -> FlexTensor {
        let (dout, maps) = (contiguous(output_gradient), maps(plan));
        let channels = dout.shape()[1];
        let drows = roi_align_backward(slice(&dout), channels, &maps, &plan.regions);
        buffer_tensor(drows, Shape::new([maps.rows(), channels]))
    }
}

fn maps(plan: &RoiAlignPlan) -> DenseMaps {
    DenseMaps { images: plan.images, height: plan.input[0], width: plan.input[1] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::{tensor, values_close};
    use crate::ops::reference_kernels::Reference;
    use crate::ops::roi_align_plan::{Region, RoiSampling};

    fn check(input: [usize; 2], regions: &[Region]) {
        let plan = RoiAlignPlan::new(2, input, regions, [3, 4], (0.5, RoiSampling::Aligned));
        let make = |count: usize| {
            let values = (0..count * 5).map(|i| (i as f32 * 0.7).sin()).collect();
            tensor(values, Shape::new([count, 5]))
        };
        let (rows, dout) = (make(maps(&plan).rows()), make(plan.rows()));
        assert!(FlexRoiAlign::supports(&plan, DType::F32) && !FlexRoiAlign::supports(&plan, DType::F64));
        let found = FlexRoiAlign::forward(rows.clone(), &plan);
        let expected = <Reference as RoiAlignKernels<Flex>>::forward(rows, &plan);
        assert!(values_close(&found, &expected), "{plan:?}");
        let found = FlexRoiAlign::backward(dout.clone(), &plan);
        let expected = <Reference as RoiAlignKernels<Flex>>::backward(dout, &plan);
        assert!(values_close(&found, &expected), "{plan:?}");
    }

    #[test]
    fn the_kernels_match_the_reference() {
        let region = |image, bounds| Region { image, bounds };
        let regions = [
            region(1, [2.0, 3.0, 11.0, 14.5]),
            region(0, [-9.0, 1.0, 4.0, 40.0]),
            region(1, [5.0, 5.0, 5.0, 9.0]),
            region(0, [0.5, 0.0, f32::INFINITY, 4.0]),
            region(1, [f32::NAN, 0.0, 3.0, 4.0]),
            region(0, [100.0, 0.0, 103.0, 4.0]),
        ];
        for input in [[6, 7], [1, 1], [9, 2]] {
            check(input, &regions);
        }
        check([6, 7], &[]);
        check([4, 3], &regions[3..]);
    }
}
