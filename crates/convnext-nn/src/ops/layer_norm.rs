//! LayerNorm over rows as an operation of our backend extension: stem, downsampling and head call it. The
//! block's own LayerNorm is fused.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::flex_slices::{buffer_tensor, contiguous, tensor};
use crate::ops::graph::{leaf, register, vjp};
use crate::ops::reference::layer_norm_reference;

/// LayerNorm's forward, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait LayerNormBackend: Backend {
    /// Normalises each row of `[rows, C]`, with weight and bias `[C]`.
    fn normalize_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        layer_norm_reference::<Self>(rows, weight, bias)
    }
}

/// LayerNorm's backward for automatic differentiation.
pub trait DifferentiableLayerNorm: LayerNormBackend {
    /// The gradients of rows, weight and bias for an output gradient `[rows, C]`.
    fn layer_norm_backward(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        layer_norm_backward_reference::<Self>(rows, weight, bias, output_gradient)
    }
}

fn layer_norm_backward_reference<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    output_gradient: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let [rows, weight, bias] = [rows, weight, bias].map(leaf::<B>);
    let leaves = [rows.clone(), weight.clone(), bias.clone()];
    let output = layer_norm_reference::<Autodiff<B>>(rows, weight, bias);
    let gradients = vjp::<B>(output, output_gradient, &leaves);
    gradients.try_into().unwrap_or_else(|_| unreachable!("one gradient for each leaf"))
}

/// The CPU backend runs the kernels on f32, and the reference implementation on other types.
impl LayerNormBackend for Flex {
    fn normalize_rows(rows: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [rows, weight, bias] = [rows, weight, bias].map(contiguous);
        if let [Some(x), Some(w), Some(b)] = [&rows, &weight, &bias].map(FlexTensor::as_slice::<f32>) {
            return buffer_tensor(convnext_kernels::layer_norm_forward(x, w, b), rows.shape());
        }
        layer_norm_reference::<Self>(rows, weight, bias)
    }
}

impl DifferentiableLayerNorm for Flex {
    fn layer_norm_backward(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        output_gradient: FlexTensor,
    ) -> [FlexTensor; 3] {
        let [rows, weight, dout] = [rows, weight, output_gradient].map(contiguous);
        if let [Some(x), Some(w), Some(d)] = [&rows, &weight, &dout].map(FlexTensor::as_slice::<f32>) {
            let (drows, [dweight, dbias]) = convnext_kernels::layer_norm_backward(x, w, d);
            return [
                buffer_tensor(drows, rows.shape()),
                tensor(dweight, weight.shape()),
                tensor(dbias, bias.shape()),
            ];
        }
        layer_norm_backward_reference::<Self>(rows, weight, bias, dout)
    }
}

/// The autograd node of one LayerNorm.
#[derive(Debug)]
struct LayerNormNode;

impl<B: DifferentiableLayerNorm> Backward<B, 3> for LayerNormNode {
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let [rows, weight, bias] = ops.state;
        let gradients = B::layer_norm_backward(rows, weight, bias, output_gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 3>(grads, parents, gradients.map(Some));
    }
}

impl<B: DifferentiableLayerNorm, C: CheckpointStrategy> LayerNormBackend for Autodiff<B, C> {
    fn normalize_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
            [rows, weight, bias].map(FloatTensor::<Self>::into_parts);
        let saved = [rows.clone(), weight.clone(), bias.clone()];
        match LayerNormNode.prepare::<C>([of_rows, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish(saved, B::normalize_rows(rows, weight, bias)),
            OpsKind::UnTracked(node) => node.finish(B::normalize_rows(rows, weight, bias)),
        }
    }
}

/// LayerNorm over rows, on the backend of its tensors.
pub(crate) fn layer_norm(rows: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<2> {
    let [weight, bias] = [weight, bias].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::normalize_rows(rows.into_dispatch(), weight, bias))
}
