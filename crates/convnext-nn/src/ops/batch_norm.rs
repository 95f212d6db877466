//! Batch norm with the statistics of the batch, and ReLU or none, as one operation: on the backend's kernels
//! ([`BackendKernels::BatchNorm`]) where these support it, and on the reference implementation elsewhere.
//!
//! Notation: R rows, C channels.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, BatchNormKernels};
use crate::ops::reference_kernels::Reference;

/// The forward of a batch norm in training, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait BatchNormBackend: Backend {
    /// Rows `[R, C]`, normalised, scaled, shifted and with ReLU cut off below 0; then mean and biased variance, each `[C]`,
    /// which track no gradient.
    fn normalize_batch(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        has_relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// `true` if the backend's own kernels run this; they see tensors of one element type only.
fn is_supported<B: BackendKernels>([rows, weight, bias]: [DType; 3]) -> bool {
    B::BatchNorm::supports(rows) && weight == rows && bias == rows
}

impl<B: BackendKernels> BatchNormBackend for B {
    fn normalize_batch(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        has_relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (output, [mean, variance]) =
            if is_supported::<B>([&rows, &weight, &bias].map(TensorMetadata::dtype)) {
                B::BatchNorm::forward(rows, weight, bias, has_relu)
            } else {
                <Reference as BatchNormKernels<B>>::forward(rows, weight, bias, has_relu)
            };
        (output, mean, variance)
    }
}

/// The autograd node of one batch norm that ran on the kernels `K`.
#[derive(Debug)]
struct BatchNormNode<K>(PhantomData<K>);

/// The state that the graph saves for a batch norm's backward.
#[derive(Debug, Clone)]
struct SavedBatchNorm<B: Backend> {
    rows: FloatTensor<B>,
    /// Weight and bias.
    parameters: [FloatTensor<B>; 2],
    /// Mean and biased variance.
    statistics: [FloatTensor<B>; 2],
    has_relu: bool,
}

impl<B: Backend, K: BatchNormKernels<B>> Backward<B, 3> for BatchNormNode<K> {
    type State = SavedBatchNorm<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let SavedBatchNorm { rows, parameters, statistics, has_relu } = ops.state;
        let gradients = K::backward(rows, parameters, statistics, output_gradient, has_relu);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 3>(grads, parents, gradients.map(Some));
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> BatchNormBackend for Autodiff<B, C> {
    fn normalize_batch(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        has_relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [rows, weight, bias];
        let [output, mean, variance] = if is_supported::<B>(inputs.each_ref().map(TensorMetadata::dtype)) {
            record::<B, C, B::BatchNorm>(inputs, has_relu)
        } else {
            record::<B, C, Reference>(inputs, has_relu)
        };
        (output, mean, variance)
    }
}

/// Runs the batch norm on the kernels `K` of the inner backend and records its node in the graph if an input requires a
/// gradient.
fn record<B: Backend, C: CheckpointStrategy, K: BatchNormKernels<B>>(
    inputs: [FloatTensor<Autodiff<B, C>>; 3],
    has_relu: bool,
) -> [FloatTensor<Autodiff<B, C>>; 3] {
    let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
        inputs.map(FloatTensor::<Autodiff<B, C>>::into_parts);
    let (output, [mean, variance]) = K::forward(rows.clone(), weight.clone(), bias.clone(), has_relu);
    let node = BatchNormNode::<K>(PhantomData).prepare::<C>([of_rows, of_weight, of_bias]);
    let output = match node.compute_bound().stateful() {
        OpsKind::Tracked(node) => {
            let (parameters, statistics) = ([weight, bias], [mean.clone(), variance.clone()]);
            node.finish(SavedBatchNorm { rows, parameters, statistics, has_relu }, output)
        }
        OpsKind::UnTracked(node) => node.finish(output),
    };
    let [mean, variance] = [mean, variance].map(<Autodiff<B, C> as AutodiffBackend>::from_inner);
    [output, mean, variance]
}

/// Batch norm with the statistics of the batch, and ReLU or none, on the backend of its tensors: rows, mean and biased variance.
///
/// # Shapes
/// - rows, output: `[R, C]`
/// - weight, bias, mean, variance: `[C]`
pub(crate) fn batch_norm(
    rows: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    has_relu: bool,
) -> (Tensor<2>, Tensor<1>, Tensor<1>) {
    let [weight, bias] = [weight, bias].map(Tensor::into_dispatch);
    let (rows, mean, variance) =
        <Dispatch as BatchNormBackend>::normalize_batch(rows.into_dispatch(), weight, bias, has_relu);
    (Tensor::from_dispatch(rows), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}
