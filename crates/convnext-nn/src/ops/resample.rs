//! Resampling of rows of dense maps: on the backend's kernels ([`BackendKernels::Resample`]) where these support it, and on
//! the reference implementation elsewhere.
//!
//! Notation: N images, H x W their maps, C channels.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, ResampleKernels};
use crate::ops::reference_kernels::Reference;
use crate::ops::resample_plan::ResamplePlan;

/// The forward of a resampling, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait ResampleBackend: Backend {
    /// Rows `[N H W, C]` to `[N H' W', C]`.
    fn resample_rows(rows: FloatTensor<Self>, plan: ResamplePlan) -> FloatTensor<Self>;
}

impl<B: BackendKernels> ResampleBackend for B {
    fn resample_rows(rows: FloatTensor<Self>, plan: ResamplePlan) -> FloatTensor<Self> {
        if B::Resample::supports(&plan, rows.dtype()) {
            B::Resample::forward(rows, &plan)
        } else {
            <Reference as ResampleKernels<B>>::forward(rows, &plan)
        }
    }
}

/// The autograd node of one resampling that ran on the kernels `K`.
#[derive(Debug)]
struct ResampleNode<K>(PhantomData<K>);

impl<B: Backend, K: ResampleKernels<B>> Backward<B, 1> for ResampleNode<K> {
    type State = ResamplePlan;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let drows = K::backward(output_gradient, &ops.state);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(drows)]);
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> ResampleBackend for Autodiff<B, C> {
    fn resample_rows(rows: FloatTensor<Self>, plan: ResamplePlan) -> FloatTensor<Self> {
        if B::Resample::supports(&plan, rows.dtype()) {
            record::<B, C, B::Resample>(rows, plan)
        } else {
            record::<B, C, Reference>(rows, plan)
        }
    }
}

/// Resamples on the kernels `K` of the inner backend and records the node in the graph if the rows require a gradient.
fn record<B: Backend, C: CheckpointStrategy, K: ResampleKernels<B>>(
    rows: FloatTensor<Autodiff<B, C>>,
    plan: ResamplePlan,
) -> FloatTensor<Autodiff<B, C>> {
    let (rows, of_rows) = rows.into_parts();
    let output = K::forward(rows, &plan);
    match ResampleNode::<K>(PhantomData).prepare::<C>([of_rows]).compute_bound().stateful() {
        OpsKind::Tracked(node) => node.finish(plan, output),
        OpsKind::UnTracked(node) => node.finish(output),
    }
}

/// Resampled rows of dense maps, on the backend of their tensor.
///
/// # Shapes
/// - rows: `[N H W, C]`
/// - output: `[N H' W', C]`
pub(crate) fn resample(rows: Tensor<2>, plan: ResamplePlan) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as ResampleBackend>::resample_rows(rows.into_dispatch(), plan))
}
