//! A linear layer on rows: convolutions whose kernel is their stride are one after a gather, too.
//!
//! Letters: R rows, I values of a row that goes in, O of one that comes out.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use convnext_kernels::PackedLinear;

use crate::ops::flex_slices::{buffer_tensor, contiguous, tensor};
use crate::ops::graph::register;
use crate::ops::packing::PackingCache;
use crate::ops::reference::{linear_in_tensor_operations, weight_matrix};

/// The forward of a linear layer, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait LinearBackend: Backend {
    /// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with PyTorch's weight `[O, ...]`, whose further
    /// dimensions are read as one of I values. The CPU backend keeps the packed weight in `packing`
    /// between inferences.
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        _packing: PackingCache<PackedLinear>,
    ) -> FloatTensor<Self> {
        linear_in_tensor_operations::<Self>(rows, weight, bias)
    }
}

/// What automatic differentiation needs of a backend's linear layer.
pub trait DifferentiableLinear: LinearBackend {
    /// The gradients of rows, if they are wanted, of weight and of bias for an output gradient `[R, O]`,
    /// each in the shape of what it is the gradient of.
    fn linear_backward(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        wants_rows: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        gradients_in_tensor_operations::<Self>(rows, weight, output_gradient, wants_rows)
    }
}

fn gradients_in_tensor_operations<B: Backend>(
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

/// The CPU backend runs the kernels on f32, and the default body on other types.
impl LinearBackend for Flex {
    fn linear_rows(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        packing: PackingCache<PackedLinear>,
    ) -> FlexTensor {
        let [rows, bias] = [rows, bias].map(contiguous);
        if let [Some(x), Some(b)] = [&rows, &bias].map(FlexTensor::as_slice::<f32>)
            && weight.dtype() == DType::F32
        {
            let outputs = bias.shape()[0];
            let packed = packing.get(&[&weight], || {
                let weight = contiguous(weight.clone());
                let values = weight.as_slice().unwrap_or_else(|| unreachable!("the weight is f32"));
                PackedLinear::new(values, outputs)
            });
            let shape = Shape::new([rows.shape()[0], outputs]);
            return buffer_tensor(convnext_kernels::linear_forward(x, &packed, b), shape);
        }
        linear_in_tensor_operations::<Self>(rows, weight, bias)
    }
}

impl DifferentiableLinear for Flex {
    fn linear_backward(
        rows: FlexTensor,
        weight: FlexTensor,
        output_gradient: FlexTensor,
        wants_rows: bool,
    ) -> (Option<FlexTensor>, [FlexTensor; 2]) {
        let [rows, weight, dout] = [rows, weight, output_gradient].map(contiguous);
        if let [Some(x), Some(w), Some(d)] = [&rows, &weight, &dout].map(FlexTensor::as_slice::<f32>) {
            let outputs = weight.shape()[0];
            let found = convnext_kernels::linear_backward(x, w, outputs, d, wants_rows);
            return (
                found.rows.map(|values| buffer_tensor(values, rows.shape())),
                [tensor(found.weight, weight.shape()), tensor(found.bias, Shape::new([outputs]))],
            );
        }
        gradients_in_tensor_operations::<Self>(rows, weight, dout, wants_rows)
    }
}

/// The graph's node of one linear layer.
#[derive(Debug)]
struct LinearNode;

impl<B: DifferentiableLinear> Backward<B, 3> for LinearNode {
    /// Rows and weight.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let [rows, weight] = ops.state;
        let wants_rows = ops.parents[0].is_some();
        let (drows, [dweight, dbias]) = B::linear_backward(rows, weight, output_gradient, wants_rows);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 3>(grads, parents, [drows, Some(dweight), Some(dbias)]);
    }
}

impl<B: DifferentiableLinear, C: CheckpointStrategy> LinearBackend for Autodiff<B, C> {
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        packing: PackingCache<PackedLinear>,
    ) -> FloatTensor<Self> {
        let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
            [rows, weight, bias].map(FloatTensor::<Self>::into_parts);
        let saved = [rows.clone(), weight.clone()];
        match LinearNode.prepare::<C>([of_rows, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                // The weight is about to change: a training holds no packed copy of it.
                packing.clear();
                node.finish(saved, B::linear_rows(rows, weight, bias, PackingCache::default()))
            }
            OpsKind::UnTracked(node) => node.finish(B::linear_rows(rows, weight, bias, packing)),
        }
    }
}

/// A linear layer, on whatever backend its tensors live.
pub(crate) fn linear<const D: usize>(
    rows: Tensor<2>,
    weight: Tensor<D>,
    bias: Tensor<1>,
    packing: &PackingCache<PackedLinear>,
) -> Tensor<2> {
    let (rows, weight, bias) = (rows.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::linear_rows(rows, weight, bias, packing.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex_slices::values_close;

    #[test]
    fn the_kernels_follow_the_default_bodies() {
        let make = |rows: usize, columns: usize| {
            let values = (0..rows * columns).map(|i| (i as f32 * 0.7).sin()).collect();
            tensor(values, Shape::new([rows, columns]))
        };
        let (rows, weight, dout) = (make(7, 5), make(3, 5), make(7, 3));
        let bias = tensor(vec![0.5, -1.0, 2.0], Shape::new([3]));
        let found = Flex::linear_rows(rows.clone(), weight.clone(), bias.clone(), PackingCache::default());
        let expected = linear_in_tensor_operations::<Flex>(rows.clone(), weight.clone(), bias);
        assert!(values_close(&found, &expected));
        let (drows, rest) = Flex::linear_backward(rows.clone(), weight.clone(), dout.clone(), true);
        let (expected_drows, expected_rest) =
            gradients_in_tensor_operations::<Flex>(rows, weight, dout, true);
        assert!(values_close(&drows.unwrap(), &expected_drows.unwrap()));
        assert!(rest.iter().zip(&expected_rest).all(|(a, b)| values_close(a, b)));
    }
}
