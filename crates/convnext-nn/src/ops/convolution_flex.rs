//! Kernels of convolutions over dense maps on the CPU backend, on f32: 3x3 with padding 1, and 1x1.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{
    ConvolutionEpilogue, ConvolutionWeight, DenseMaps, PackedConvolution, column_sums, convolution_backward,
    convolution_forward,
};

use crate::ops::convolution_plan::{ConvolutionGradients, ConvolutionPlan, Epilogue, WantedGradients};
use crate::ops::flex_slices::{Memory, buffer_tensor, contiguous, slice, tensor};
use crate::ops::kernels::ConvolutionKernels;
use crate::ops::reference::BATCH_NORM_EPSILON;

/// The convolution kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexConvolution;

/// A packed weight and what is added to its sums.
struct PackedLayer {
    weight: PackedConvolution,
    /// The shift of a batch norm whose scale is folded into the weight.
    shift: Option<Vec<f32>>,
}

impl ConvolutionKernels<Flex> for FlexConvolution {
    type Saved = FlexTensor;

    fn supports(plan: &ConvolutionPlan, dtype: DType) -> bool {
        let is_3x3 = (plan.kernel, plan.padding, plan.stride) == ([3, 3], [1, 1], [1, 1]);
        dtype == DType::F32 && (is_3x3 || plan.is_pointwise()) && maps(plan).rows() > 0
    }

    fn forward(
        rows: FlexTensor,
        weight: FlexTensor,
        epilogue: Epilogue<Flex>,
        plan: &ConvolutionPlan,
    ) -> FlexTensor {
        let parameters = [vec![&weight], epilogue.tensors()].concat();
        let key: Vec<Memory> = parameters.into_iter().map(Memory::of).collect();
        let packed: Arc<PackedLayer> = plan.packing.get(key, || pack(weight, &epilogue, plan));
        let bias = if let Epilogue::Bias { bias } = epilogue { Some(contiguous(bias)) } else { None };
        let epilogue = match (&packed.shift, &bias) {
            (Some(shift), _) => ConvolutionEpilogue::BiasRelu(shift),
            (None, Some(bias)) => ConvolutionEpilogue::Bias(slice(bias)),
            (None, None) => ConvolutionEpilogue::Plain,
        };
        let rows = contiguous(rows);
        let out = convolution_forward(slice(&rows), &maps(plan), &packed.weight, epilogue);
        let shape = Shape::new([maps(plan).rows(), out.len() / maps(plan).rows()]);
        buffer_tensor(out, shape)
    }

    fn forward_saving(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
        plan: &ConvolutionPlan,
    ) -> (FlexTensor, FlexTensor) {
        let rows = contiguous(rows);
        let epilogue = bias.map_or(Epilogue::Plain, |bias| Epilogue::Bias { bias });
        // The plan is saved, and must not hold a packed weight until the backward.
        (Self::forward(rows.clone(), weight, epilogue, &plan.without_packing()), rows)
    }

    fn backward(
        rows: FlexTensor,
        weight: FlexTensor,
        output_gradient: FlexTensor,
        wanted: WantedGradients,
        plan: &ConvolutionPlan,
    ) -> ConvolutionGradients<Flex> {
        let [rows, weight, dout] = [rows, weight, output_gradient].map(contiguous);
        let (of_weight, outputs) = (kernel(&weight), weight.shape()[0]);
        let input = (slice(&rows), &maps(plan));
        let found = convolution_backward(input, &of_weight, plan.precision, slice(&dout), wanted.rows);
        let bias = wanted.bias.then(|| tensor(column_sums(slice(&dout), outputs), Shape::new([outputs])));
        ConvolutionGradients {
            rows: found.rows.map(|values| buffer_tensor(values, rows.shape())),
            weight: buffer_tensor(found.weight, weight.shape()),
            bias,
        }
    }
}

fn maps(plan: &ConvolutionPlan) -> DenseMaps {
    DenseMaps { images: plan.images, height: plan.input[0], width: plan.input[1] }
}

/// A contiguous weight `[O, I, k, k]`.
fn kernel(weight: &FlexTensor) -> ConvolutionWeight<'_> {
    let shape = weight.shape();
    ConvolutionWeight { values: slice(weight), outputs: shape[0], inputs: shape[1] }
}

/// Packs a weight, and folds a batch norm into it.
fn pack(weight: FlexTensor, epilogue: &Epilogue<Flex>, plan: &ConvolutionPlan) -> PackedLayer {
    let of_weight = contiguous(weight);
    let weight = kernel(&of_weight);
    let Epilogue::BatchNormRelu { weight: scale, bias, mean, variance } = epilogue else {
        return PackedLayer { weight: PackedConvolution::new(&weight, plan.precision), shift: None };
    };
    let [scale, bias, mean, variance] =
        [scale, bias, mean, variance].map(|values| contiguous(values.clone()));
    let [scale, bias, mean, variance] = [&scale, &bias, &mean, &variance].map(slice);
    let mut folded = weight.values.to_vec();
    let mut shift = Vec::with_capacity(weight.outputs);
    let of_output = weight.values.len() / weight.outputs.max(1);
    for (output, values) in folded.chunks_exact_mut(of_output.max(1)).enumerate() {
        let deviation = (f64::from(variance[output]) + BATCH_NORM_EPSILON).sqrt();
        let scale = f64::from(scale[output]) / deviation;
        shift.push((f64::from(bias[output]) - f64::from(mean[output]) * scale) as f32);
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
    let weight = ConvolutionWeight { values: &folded, ..weight };
    PackedLayer { weight: PackedConvolution::new(&weight, plan.precision), shift: Some(shift) }
}

#[cfg(test)]
mod tests {
    use convnext_kernels::Precision;

    use super::*;
    use crate::ops::flex_slices::values_close;
    use crate::ops::packing::PackingCache;
    use crate::ops::reference_kernels::Reference;

    fn make<const D: usize>(shape: [usize; D], seed: f32) -> FlexTensor {
        let count: usize = shape.iter().product();
        tensor((0..count).map(|i| (i as f32 * 0.7 + seed).sin()).collect(), Shape::new(shape))
    }

    fn plan(side: usize) -> ConvolutionPlan {
        ConvolutionPlan {
            images: 2,
            input: [3, 4],
            kernel: [side; 2],
            padding: [side / 2; 2],
            stride: [1, 1],
            precision: Precision::F32,
            packing: PackingCache::default(),
        }
    }

    fn epilogues() -> [Epilogue<Flex>; 3] {
        let [weight, bias, mean, other] = [1.0, 2.0, 3.0, 4.0].map(|seed| make([6], seed));
        let variance: Vec<f32> = slice(&other).iter().map(|value| value.abs() + 0.1).collect();
        let variance = tensor(variance, Shape::new([6]));
        let norm = Epilogue::BatchNormRelu { weight, bias: bias.clone(), mean, variance };
        [Epilogue::Plain, Epilogue::Bias { bias }, norm]
    }

    #[test]
    fn the_kernels_match_the_reference() {
        for side in [1, 3] {
            let (rows, weight, dout) =
                (make([24, 5], 0.0), make([6, 5, side, side], 1.0), make([24, 6], 2.0));
            for epilogue in epilogues() {
                let plan = plan(side);
                assert!(FlexConvolution::supports(&plan, DType::F32));
                let found = FlexConvolution::forward(rows.clone(), weight.clone(), epilogue.clone(), &plan);
                let expected = <Reference as ConvolutionKernels<Flex>>::forward(
                    rows.clone(),
                    weight.clone(),
                    epilogue,
                    &plan,
                );
                assert!(values_close(&found, &expected));
            }
            let wanted = WantedGradients { rows: true, bias: true };
            let run =
                |found: ConvolutionGradients<Flex>| [found.rows.unwrap(), found.weight, found.bias.unwrap()];
            let of_kernels = run(FlexConvolution::backward(
                rows.clone(),
                weight.clone(),
                dout.clone(),
                wanted,
                &plan(side),
            ));
            let of_reference = run(<Reference as ConvolutionKernels<Flex>>::backward(
                rows,
                weight,
                dout,
                wanted,
                &plan(side),
            ));
            assert!(of_kernels.iter().zip(&of_reference).all(|(a, b)| values_close(a, b)));
        }
    }

    /// A folded norm must not outlive the statistics that it was made of.
    #[test]
    fn new_statistics_are_folded_again() {
        let (rows, weight, plan) = (make([24, 5], 0.0), make([6, 5, 3, 3], 1.0), plan(3));
        let run = |mean: FlexTensor| {
            let [weight_of_norm, bias, variance] =
                [0.5, 0.1, 2.0].map(|value| tensor(vec![value; 6], Shape::new([6])));
            let norm = Epilogue::BatchNormRelu { weight: weight_of_norm, bias, mean, variance };
            let found = FlexConvolution::forward(rows.clone(), weight.clone(), norm.clone(), &plan);
            let (rows, weight) = (rows.clone(), weight.clone());
            let expected = <Reference as ConvolutionKernels<Flex>>::forward(rows, weight, norm, &plan);
            assert!(values_close(&found, &expected));
            found
        };
        let first = run(make([6], 3.0));
        assert!(!values_close(&first, &run(make([6], 4.0))));
    }

    #[test]
    fn other_kernels_are_declined() {
        assert!(!FlexConvolution::supports(&ConvolutionPlan { stride: [2, 2], ..plan(3) }, DType::F32));
        assert!(!FlexConvolution::supports(&ConvolutionPlan { padding: [0, 0], ..plan(3) }, DType::F32));
        assert!(!FlexConvolution::supports(&ConvolutionPlan { kernel: [2, 2], ..plan(1) }, DType::F32));
        assert!(!FlexConvolution::supports(&ConvolutionPlan { input: [0, 4], ..plan(3) }, DType::F32));
        assert!(!FlexConvolution::supports(&plan(3), DType::F64));
    }
}
