//! Resampling of rows of dense maps: on the backend's kernels ([`BackendKernels::Resample`]) where these support it, and on
//! the reference implementation elsewhere.
//!
//! Notation: N images, H x W their maps, C channels.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
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

    /// The same, added to rows `[N H' W', C]`.
    fn resample_rows_onto(
        rows: FloatTensor<Self>,
        onto: FloatTensor<Self>,
        plan: ResamplePlan,
    ) -> FloatTensor<Self>;
}

/// The forward on the backend's kernels if they support the plan and both element types are one.
fn forward<B: BackendKernels>(
    rows: FloatTensor<B>,
    onto: Option<FloatTensor<B>>,
    plan: &ResamplePlan,
) -> FloatTensor<B> {
    if is_supported::<B>(&rows, onto.as_ref(), plan) {
        B::Resample::forward(rows, onto, plan)
    } else {
        <Reference as ResampleKernels<B>>::forward(rows, onto, plan)
    }
}

fn is_supported<B: BackendKernels>(
    rows: &FloatTensor<B>,
    onto: Option<&FloatTensor<B>>,
    plan: &ResamplePlan,
) -> bool {
    let dtype = rows.dtype();
    B::Resample::supports(plan, dtype) && onto.is_none_or(|onto| onto.dtype() == dtype)
}

impl<B: BackendKernels> ResampleBackend for B {
    fn resample_rows(rows: FloatTensor<Self>, plan: ResamplePlan) -> FloatTensor<Self> {
        forward::<B>(rows, None, &plan)
    }

    fn resample_rows_onto(
        rows: FloatTensor<Self>,
        onto: FloatTensor<Self>,
        plan: ResamplePlan,
    ) -> FloatTensor<Self> {
        forward::<B>(rows, Some(onto), &plan)
    }
}

/// The autograd node of one resampling that ran on the kernels `K`. Parents: rows, and what they were added to if that was.
#[derive(Debug)]
struct ResampleNode<K>(PhantomData<K>);

impl<B: Backend, K: ResampleKernels<B>, const N: usize> Backward<B, N> for ResampleNode<K> {
    type State = ResamplePlan;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let drows = K::backward(output_gradient.clone(), &ops.state);
        register::<B, N>(grads, parents, [drows, output_gradient].into_iter().map(Some).take(N));
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> ResampleBackend for Autodiff<B, C> {
    fn resample_rows(rows: FloatTensor<Self>, plan: ResamplePlan) -> FloatTensor<Self> {
        let (rows, of_rows) = rows.into_parts();
        choose::<B, C, 1>([of_rows], rows, None, plan)
    }

    fn resample_rows_onto(
        rows: FloatTensor<Self>,
        onto: FloatTensor<Self>,
        plan: ResamplePlan,
    ) -> FloatTensor<Self> {
        let ((rows, of_rows), (onto, of_onto)) = (rows.into_parts(), onto.into_parts());
        choose::<B, C, 2>([of_rows, of_onto], rows, Some(onto), plan)
    }
}

/// [`record`] on the kernels that support the plan.
fn choose<B: BackendKernels, C: CheckpointStrategy, const N: usize>(
    guards: [NodeGuard; N],
    rows: FloatTensor<B>,
    onto: Option<FloatTensor<B>>,
    plan: ResamplePlan,
) -> FloatTensor<Autodiff<B, C>> {
    if is_supported::<B>(&rows, onto.as_ref(), &plan) {
        record::<B, C, B::Resample, N>(guards, rows, onto, plan)
    } else {
        record::<B, C, Reference, N>(guards, rows, onto, plan)
    }
}

/// Resamples on the kernels `K` of the inner backend and records the node in the graph if an input requires a gradient.
fn record<B: Backend, C: CheckpointStrategy, K: ResampleKernels<B>, const N: usize>(
    guards: [NodeGuard; N],
    rows: FloatTensor<B>,
    onto: Option<FloatTensor<B>>,
    plan: ResamplePlan,
) -> FloatTensor<Autodiff<B, C>> {
    let output = K::forward(rows, onto, &plan);
    match ResampleNode::<K>(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(node) => node.finish(plan, output),
        OpsKind::UnTracked(node) => node.finish(output),
    }
}

/// Resampled rows of dense maps, on the backend of their tensor, added to others of the output's size if there are any.
///
/// # Shapes
/// - rows: `[N H W, C]`
/// - onto, output: `[N H' W', C]`
pub(crate) fn resample(rows: Tensor<2>, onto: Option<Tensor<2>>, plan: ResamplePlan) -> Tensor<2> {
    let rows = rows.into_dispatch();
    Tensor::from_dispatch(match onto {
        None => <Dispatch as ResampleBackend>::resample_rows(rows, plan),
        Some(onto) => <Dispatch as ResampleBackend>::resample_rows_onto(rows, onto.into_dispatch(), plan),
    })
}
