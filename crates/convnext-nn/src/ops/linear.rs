//! A linear layer on rows; after a gather also a convolution whose stride is its kernel size: on the backend's
//! kernels ([`BackendKernels::Linear`]) where these support it, and on the reference implementation elsewhere.
//!
//! Notation: R rows, I input and O output features.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, LinearKernels};
use crate::ops::linear_plan::LinearPlan;
use crate::ops::reference_kernels::Reference;

/// The forward of a linear layer, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait LinearBackend: Backend {
    /// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with PyTorch's weight `[O, ...]`, whose further
    /// dimensions are read as one of I values.
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: LinearPlan,
    ) -> FloatTensor<Self>;
}

/// `true` if the backend's own kernels run this layer; they see tensors of one element type only.
fn is_supported<B: BackendKernels>([rows, weight, bias]: [DType; 3], plan: &LinearPlan) -> bool {
    B::Linear::supports(plan, rows) && weight == rows && bias == rows
}

impl<B: BackendKernels> LinearBackend for B {
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: LinearPlan,
    ) -> FloatTensor<Self> {
        if is_supported::<B>([&rows, &weight, &bias].map(TensorMetadata::dtype), &plan) {
            B::Linear::forward(rows, weight, bias, &plan)
        } else {
            <Reference as LinearKernels<B>>::forward(rows, weight, bias, &plan)
        }
    }
}

/// The autograd node of one linear layer that ran on the kernels `K`.
#[derive(Debug)]
struct LinearNode<K>(PhantomData<K>);

impl<B: Backend, K: LinearKernels<B>> Backward<B, 3> for LinearNode<K> {
    /// The input and the weight.
    type State = (K::Saved, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let (saved, weight) = ops.state;
        let wants_rows = ops.parents[0].is_some();
        let (drows, [dweight, dbias]) = K::backward(saved, weight, output_gradient, wants_rows);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 3>(grads, parents, [drows, Some(dweight), Some(dbias)]);
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> LinearBackend for Autodiff<B, C> {
    fn linear_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: LinearPlan,
    ) -> FloatTensor<Self> {
        if is_supported::<B>([&rows, &weight, &bias].map(TensorMetadata::dtype), &plan) {
            record::<B, C, B::Linear>(rows, weight, bias, plan)
        } else {
            record::<B, C, Reference>(rows, weight, bias, plan)
        }
    }
}

/// Runs the layer on the kernels `K` of the inner backend and records its node in the graph if an input
/// requires a gradient.
fn record<B: Backend, C: CheckpointStrategy, K: LinearKernels<B>>(
    rows: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    plan: LinearPlan,
) -> FloatTensor<Autodiff<B, C>> {
    let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
        [rows, weight, bias].map(FloatTensor::<Autodiff<B, C>>::into_parts);
    let node = LinearNode::<K>(PhantomData).prepare::<C>([of_rows, of_weight, of_bias]);
    match node.compute_bound().stateful() {
        OpsKind::Tracked(node) => {
            // The weight is about to change: training keeps no packed copy of it.
            plan.packing.clear();
            let plan = LinearPlan::new(plan.precision);
            let (output, saved) = K::forward_saving(rows, weight.clone(), bias, &plan);
            node.finish((saved, weight), output)
        }
        OpsKind::UnTracked(node) => node.finish(K::forward(rows, weight, bias, &plan)),
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
