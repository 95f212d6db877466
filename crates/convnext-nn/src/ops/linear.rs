//! A linear layer on rows; after a gather also a convolution whose stride is its kernel size.
//!
//! Notation: R rows, I input and O output features.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use convnext_kernels::{LinearInput, PackedLinear, Precision, SavedLinear};

use crate::ops::flex_slices::{buffer_tensor, contiguous, tensor};
use crate::ops::graph::register;
use crate::ops::packing::PackingCache;
use crate::ops::reference::{linear_reference, weight_matrix};

/// The settings of a linear layer.
#[derive(Debug, Clone, Default)]
pub struct LinearPlan {
    /// Precision of the GEMM's inputs on the CPU. GPUs compute in f32.
    pub precision: Precision,
    /// Cache of the CPU backend's packed weight between inferences.
    pub packing: PackingCache<PackedLinear>,
}

impl LinearPlan {
    pub(crate) fn new(precision: Precision) -> Self {
        Self { precision, packing: PackingCache::default() }
    }
}

/// The forward of a linear layer, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait LinearBackend: Backend {
    /// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with PyTorch's weight `[O, ...]`, whose further
    /// dimensions are read as one of I values.
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        _plan: LinearPlan,
    ) -> FloatTensor<Self> {
        linear_reference::<Self>(rows, weight, bias)
    }
}

/// A linear layer's forward and backward for automatic differentiation.
pub trait DifferentiableLinear: LinearBackend {
    /// [`LinearBackend::linear_rows`], and the input to save for [`Self::linear_backward`] in place of the
    /// rows, if any.
    fn linear_saving(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: LinearPlan,
    ) -> (FloatTensor<Self>, Option<SavedLinear>) {
        (Self::linear_rows(rows, weight, bias, plan), None)
    }

    /// The gradients of rows, if requested, weight and bias for an output gradient `[R, O]`, each in the
    /// shape of its input.
    fn linear_backward(
        input: SavedInput<Self>,
        weight: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        wants_rows: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        let SavedInput::Rows(rows) = input else { unreachable!("only kernels save rows themselves") };
        linear_backward_reference::<Self>(rows, weight, output_gradient, wants_rows)
    }
}

/// The input that the graph saves for a layer's backward.
#[derive(Debug, Clone)]
pub enum SavedInput<B: Backend> {
    /// The rows, `[R, I]`.
    Rows(FloatTensor<B>),
    /// The rows in bf16, as the kernels save them.
    Bf16(SavedLinear),
}

fn linear_backward_reference<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    dout: FloatTensor<B>,
    wants_rows: bool,
) -> (Option<FloatTensor<B>>, [FloatTensor<B>; 2]) {
    let shape = weight.shape();
    let outputs = shape[0];
    let drows = wants_rows.then(|| B::float_matmul(dout.clone(), weight_matrix::<B>(weight)));
    let dweight = B::float_reshape(B::float_matmul(B::float_swap_dims(dout.clone(), 0, 1), rows), shape);
    let dbias = B::float_reshape(B::float_sum_dim(dout, 0), Shape::new([outputs]));
    (drows, [dweight, dbias])
}

/// The CPU backend runs the kernels on f32, and the reference implementation on other types.
impl LinearBackend for Flex {
    fn linear_rows(rows: FlexTensor, weight: FlexTensor, bias: FlexTensor, plan: LinearPlan) -> FlexTensor {
        forward(rows, weight, bias, &plan, false).0
    }
}

impl DifferentiableLinear for Flex {
    fn linear_saving(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        plan: LinearPlan,
    ) -> (FlexTensor, Option<SavedLinear>) {
        forward(rows, weight, bias, &plan, true)
    }

    fn linear_backward(
        input: SavedInput<Self>,
        weight: FlexTensor,
        output_gradient: FlexTensor,
        wants_rows: bool,
    ) -> (Option<FlexTensor>, [FlexTensor; 2]) {
        let [weight, dout] = [weight, output_gradient].map(contiguous);
        let rows = if let SavedInput::Rows(rows) = &input { Some(contiguous(rows.clone())) } else { None };
        let found_input = match &input {
            SavedInput::Bf16(saved) => Some(LinearInput::Bf16(saved)),
            SavedInput::Rows(_) => rows.as_ref().and_then(FlexTensor::as_slice).map(LinearInput::Rows),
        };
        let slices = (found_input, weight.as_slice::<f32>(), dout.as_slice::<f32>());
        if let (Some(input), Some(w), Some(d)) = slices {
            let outputs = weight.shape()[0];
            let found = convnext_kernels::linear_backward(input, w, outputs, d, wants_rows);
            let shape = Shape::new([dout.shape()[0], w.len() / outputs]);
            return (
                found.rows.map(|values| buffer_tensor(values, shape)),
                [tensor(found.weight, weight.shape()), tensor(found.bias, Shape::new([outputs]))],
            );
        }
        let rows = rows.unwrap_or_else(|| unreachable!("what was saved is of f32"));
        linear_backward_reference::<Self>(rows, weight, dout, wants_rows)
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
    if let [Some(x), Some(b)] = [&rows, &bias].map(FlexTensor::as_slice::<f32>)
        && weight.dtype() == DType::F32
    {
        let outputs = bias.shape()[0];
        let packed = plan.packing.get(&[&weight], || {
            let weight = contiguous(weight.clone());
            let values = weight.as_slice().unwrap_or_else(|| unreachable!("the weight is f32"));
            PackedLinear::new(values, outputs, plan.precision)
        });
        let shape = Shape::new([rows.shape()[0], outputs]);
        let (out, saved) = convnext_kernels::linear_forward(x, &packed, b, save);
        return (buffer_tensor(out, shape), saved);
    }
    (linear_reference::<Flex>(rows, weight, bias), None)
}

/// The autograd node of one linear layer.
#[derive(Debug)]
struct LinearNode;

impl<B: DifferentiableLinear> Backward<B, 3> for LinearNode {
    /// The input and the weight.
    type State = (SavedInput<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let (input, weight) = ops.state;
        let wants_rows = ops.parents[0].is_some();
        let (drows, [dweight, dbias]) = B::linear_backward(input, weight, output_gradient, wants_rows);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 3>(grads, parents, [drows, Some(dweight), Some(dbias)]);
    }
}

impl<B: DifferentiableLinear, C: CheckpointStrategy> LinearBackend for Autodiff<B, C> {
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: LinearPlan,
    ) -> FloatTensor<Self> {
        let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
            [rows, weight, bias].map(FloatTensor::<Self>::into_parts);
        match LinearNode.prepare::<C>([of_rows, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                // The weight is about to change: training keeps no packed copy of it.
                plan.packing.clear();
                let plan = LinearPlan::new(plan.precision);
                let (output, saved) = B::linear_saving(rows.clone(), weight.clone(), bias, plan);
                let input = saved.map_or(SavedInput::Rows(rows), SavedInput::Bf16);
                node.finish((input, weight), output)
            }
            OpsKind::UnTracked(node) => node.finish(B::linear_rows(rows, weight, bias, plan)),
        }
    }
}

/// A linear layer, on the backend of its tensors.
pub(crate) fn linear<const D: usize>(
    rows: Tensor<2>,
    weight: Tensor<D>,
    bias: Tensor<1>,
    plan: &LinearPlan,
) -> Tensor<2> {
    let (rows, weight, bias) = (rows.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::linear_rows(rows, weight, bias, plan.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::values_close;

    #[test]
    fn the_kernels_match_the_reference() {
        let make = |rows: usize, columns: usize| {
            let values = (0..rows * columns).map(|i| (i as f32 * 0.7).sin()).collect();
            tensor(values, Shape::new([rows, columns]))
        };
        let (rows, weight, dout) = (make(7, 5), make(3, 5), make(7, 3));
        let bias = tensor(vec![0.5, -1.0, 2.0], Shape::new([3]));
        let found = Flex::linear_rows(rows.clone(), weight.clone(), bias.clone(), LinearPlan::default());
        let expected = linear_reference::<Flex>(rows.clone(), weight.clone(), bias);
        assert!(values_close(&found, &expected));
        let input = SavedInput::Rows(rows.clone());
        let (drows, rest) = Flex::linear_backward(input, weight.clone(), dout.clone(), true);
        let (expected_drows, expected_rest) = linear_backward_reference::<Flex>(rows, weight, dout, true);
        assert!(values_close(&drows.unwrap(), &expected_drows.unwrap()));
        assert!(rest.iter().zip(&expected_rest).all(|(a, b)| values_close(a, b)));
    }
}
