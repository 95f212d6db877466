//! A linear layer's kernels on the CPU backend, on f32.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use convnext_kernels::{LinearInput, PackedLinear, SavedLinear, linear_backward, linear_forward};

use crate::ops::flex_slices::{Memory, buffer_tensor, contiguous, slice, tensor};
use crate::ops::kernels::LinearKernels;
use crate::ops::linear_plan::LinearPlan;

/// A linear layer's kernels of `convnext_kernels`.
#[derive(Debug)]
pub struct FlexLinear;

/// The input that a layer on the CPU saves for its backward.
#[derive(Debug, Clone)]
pub enum SavedInput {
    /// The rows, `[R, I]`.
    Rows(FlexTensor),
    /// The rows in bf16, as a bf16 layer saves them.
    Bf16(SavedLinear),
}

impl LinearKernels<Flex> for FlexLinear {
    type Saved = SavedInput;

    fn supports(_plan: &LinearPlan, dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn forward(rows: FlexTensor, weight: FlexTensor, bias: FlexTensor, plan: &LinearPlan) -> FlexTensor {
        forward(rows, weight, bias, plan, false).0
    }

    fn forward_saving(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        plan: &LinearPlan,
    ) -> (FlexTensor, SavedInput) {
        let (output, saved) = forward(rows.clone(), weight, bias, plan, true);
        (output, saved.map_or(SavedInput::Rows(rows), SavedInput::Bf16))
    }

    fn backward(
        saved: SavedInput,
        weight: FlexTensor,
        output_gradient: FlexTensor,
        wants_rows: bool,
    ) -> (Option<FlexTensor>, [FlexTensor; 2]) {
        let [weight, dout] = [weight, output_gradient].map(contiguous);
        let rows;
        let input = match saved {
            SavedInput::Bf16(ref saved) => LinearInput::Bf16(saved),
            SavedInput::Rows(saved) => {
                rows = contiguous(saved);
                LinearInput::Rows(slice(&rows))
            }
        };
        let (w, outputs) = (slice(&weight), weight.shape()[0]);
        let found = linear_backward(input, w, outputs, slice(&dout), wants_rows);
        let shape = Shape::new([dout.shape()[0], w.len() / outputs]);
        let drows = found.rows.map(|values| buffer_tensor(values, shape));
        (drows, [tensor(found.weight, weight.shape()), tensor(found.bias, Shape::new([outputs]))])
    }
}

fn forward(
    rows: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    plan: &LinearPlan,
    save: bool,
) -> (FlexTensor, Option<SavedLinear>) {
    let [rows, bias] = [rows, bias].map(contiguous);
    let outputs = bias.shape()[0];
    let packed: Arc<PackedLinear> = plan
        .packing
        .get(Memory::of(&weight), || PackedLinear::new(slice(&contiguous(weight)), outputs, plan.precision));
    let shape = Shape::new([rows.shape()[0], outputs]);
    let (out, saved) = linear_forward(slice(&rows), &packed, slice(&bias), save);
    (buffer_tensor(out, shape), saved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::values_close;
    use crate::ops::reference::linear_reference;
    use crate::ops::reference_kernels::Reference;

    #[test]
    fn the_kernels_match_the_reference() {
        let make = |rows: usize, columns: usize| {
            let values = (0..rows * columns).map(|i| (i as f32 * 0.7).sin()).collect();
            tensor(values, Shape::new([rows, columns]))
        };
        let (rows, weight, dout) = (make(7, 5), make(3, 5), make(7, 3));
        let bias = tensor(vec![0.5, -1.0, 2.0], Shape::new([3]));
        let plan = LinearPlan::default();
        let found = FlexLinear::forward(rows.clone(), weight.clone(), bias.clone(), &plan);
        let expected = linear_reference::<Flex>(rows.clone(), weight.clone(), bias);
        assert!(values_close(&found, &expected));
        let input = SavedInput::Rows(rows.clone());
        let (drows, rest) = FlexLinear::backward(input, weight.clone(), dout.clone(), true);
        let (expected_drows, expected_rest) =
            <Reference as LinearKernels<Flex>>::backward(rows, weight, dout, true);
        assert!(values_close(&drows.unwrap(), &expected_drows.unwrap()));
        assert!(rest.iter().zip(&expected_rest).all(|(a, b)| values_close(a, b)));
    }

    #[test]
    fn a_transposed_view_of_a_packed_weight_is_packed_for_itself() {
        let make = |rows: usize| {
            tensor((0..rows * 3).map(|i| (i as f32 * 0.7).sin()).collect(), Shape::new([rows, 3]))
        };
        let (rows, weight, bias) = (make(5), make(3), tensor(vec![0.5, -1.0, 2.0], Shape::new([3])));
        let plan = LinearPlan::default();
        for weight in [weight.clone(), weight.transpose(0, 1), weight] {
            let found = FlexLinear::forward(rows.clone(), weight.clone(), bias.clone(), &plan);
            let expected = linear_reference::<Flex>(rows.clone(), weight, bias.clone());
            assert!(values_close(&found, &expected));
        }
    }
}
