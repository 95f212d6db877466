//! RoIAlign on rows of dense maps: on the backend's kernels ([`BackendKernels::RoiAlign`]) where these support it, and on the
//! reference implementation elsewhere.
//!
//! Notation: N images, H x W their maps, R regions, P bins of each, C channels.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, RoiAlignKernels};
use crate::ops::reference_kernels::Reference;
use crate::ops::roi_align_plan::RoiAlignPlan;

/// The forward of RoIAlign, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait RoiAlignBackend: Backend {
    /// Rows `[N H W, C]` to `[R P, C]`.
    fn roi_align_rows(rows: FloatTensor<Self>, plan: RoiAlignPlan) -> FloatTensor<Self>;
}

impl<B: BackendKernels> RoiAlignBackend for B {
    fn roi_align_rows(rows: FloatTensor<Self>, plan: RoiAlignPlan) -> FloatTensor<Self> {
        if B::RoiAlign::supports(&plan, rows.dtype()) {
            B::RoiAlign::forward(rows, &plan)
        } else {
            <Reference as RoiAlignKernels<B>>::forward(rows, &plan)
        }
    }
}

/// The autograd node of one RoIAlign that ran on the kernels `K`.
#[derive(Debug)]
struct RoiAlignNode<K>(PhantomData<K>);

impl<B: Backend, K: RoiAlignKernels<B>> Backward<B, 1> for RoiAlignNode<K> {
    type State = RoiAlignPlan;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let drows = K::backward(output_gradient, &ops.state);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(drows)]);
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> RoiAlignBackend for Autodiff<B, C> {
    fn roi_align_rows(rows: FloatTensor<Self>, plan: RoiAlignPlan) -> FloatTensor<Self> {
        if B::RoiAlign::supports(&plan, rows.dtype()) {
            record::<B, C, B::RoiAlign>(rows, plan)
        } else {
            record::<B, C, Reference>(rows, plan)
        }
    }
}

/// Runs RoIAlign on the kernels `K` of the inner backend and records its node in the graph if the rows require a gradient.
fn record<B: Backend, C: CheckpointStrategy, K: RoiAlignKernels<B>>(
    rows: FloatTensor<Autodiff<B, C>>,
    plan: RoiAlignPlan,
) -> FloatTensor<Autodiff<B, C>> {
    let (rows, of_rows) = rows.into_parts();
    let output = K::forward(rows, &plan);
    match RoiAlignNode::<K>(PhantomData).prepare::<C>([of_rows]).compute_bound().stateful() {
        OpsKind::Tracked(node) => node.finish(plan, output),
        OpsKind::UnTracked(node) => node.finish(output),
    }
}

/// The bins of regions of dense maps, on the backend of their tensor.
///
/// # Shapes
/// - rows: `[N H W, C]`
/// - output: `[R P, C]`
pub(crate) fn roi_align_rows(rows: Tensor<2>, plan: RoiAlignPlan) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as RoiAlignBackend>::roi_align_rows(rows.into_dispatch(), plan))
}
