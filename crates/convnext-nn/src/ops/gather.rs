//! Rows picked by their index.
//!
//! Notation: R rows to pick from, P picks, C values of a row.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::prelude::*;

use crate::ops::flex_slices::{buffer_tensor, contiguous, indices};
use crate::ops::graph::register;
use crate::ops::reference::put_rows;

/// The forward of a gather, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait GatherBackend: Backend {
    /// The rows of `[R, C]` with these indices: `[P, C]`.
    fn gather_rows(rows: FloatTensor<Self>, picks: IntTensor<Self>) -> FloatTensor<Self> {
        Self::float_select(rows, 0, picks)
    }
}

/// What automatic differentiation needs of a backend's gather.
pub trait DifferentiableGather: GatherBackend {
    /// The gradient of the rows, of shape `rows`, for an output gradient `[P, C]`.
    fn gather_backward(
        rows: Shape,
        picks: IntTensor<Self>,
        output_gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        scatter_in_tensor_operations::<Self>(rows, picks, output_gradient)
    }
}

fn scatter_in_tensor_operations<B: Backend>(
    rows: Shape,
    picks: IntTensor<B>,
    dout: FloatTensor<B>,
) -> FloatTensor<B> {
    let zeros = B::float_zeros(rows, &dout.device(), dout.dtype().into());
    put_rows::<B>(zeros, picks, dout)
}

/// The CPU backend runs the kernels on f32, and the default body on other types.
impl GatherBackend for Flex {
    fn gather_rows(rows: FlexTensor, picks: FlexTensor) -> FlexTensor {
        let [rows, picks] = [rows, picks].map(contiguous);
        if let (Some(x), Some(found)) = (rows.as_slice::<f32>(), indices(&picks)) {
            let columns = rows.shape()[1];
            let shape = Shape::new([found.len(), columns]);
            return buffer_tensor(convnext_kernels::gather_rows(x, columns, &found), shape);
        }
        <Self as burn::backend::ops::FloatTensorOps<Self>>::float_select(rows, 0, picks)
    }
}

impl DifferentiableGather for Flex {
    fn gather_backward(rows: Shape, picks: FlexTensor, output_gradient: FlexTensor) -> FlexTensor {
        let [picks, dout] = [picks, output_gradient].map(contiguous);
        if let (Some(d), Some(found)) = (dout.as_slice::<f32>(), indices(&picks)) {
            let drows = convnext_kernels::gather_rows_backward(d, rows[1], &found, rows[0]);
            return buffer_tensor(drows, rows);
        }
        scatter_in_tensor_operations::<Self>(rows, picks, dout)
    }
}

/// The graph's node of one gather.
#[derive(Debug)]
struct GatherNode;

impl<B: DifferentiableGather> Backward<B, 1> for GatherNode {
    type State = (Shape, IntTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let (rows, picks) = ops.state;
        let drows = B::gather_backward(rows, picks, output_gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(drows)]);
    }
}

impl<B: DifferentiableGather, C: CheckpointStrategy> GatherBackend for Autodiff<B, C> {
    fn gather_rows(rows: FloatTensor<Self>, picks: IntTensor<Self>) -> FloatTensor<Self> {
        let (rows, of_rows) = rows.into_parts();
        match GatherNode.prepare::<C>([of_rows]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish((rows.shape(), picks.clone()), B::gather_rows(rows, picks)),
            OpsKind::UnTracked(node) => node.finish(B::gather_rows(rows, picks)),
        }
    }
}

/// Rows picked by their index, on whatever backend they live.
pub(crate) fn gather(rows: Tensor<2>, picks: Tensor<1, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gather_rows(rows.into_dispatch(), picks.into_dispatch()))
}
