//! Rows selected by index: PyTorch's `index_select` on dimension 0, and not its `gather`, which has an index for each value.
//!
//! Notation: R source rows, P indices, C values of a row.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::prelude::*;

use crate::ops::flex_slices::{as_indices, buffer_tensor, contiguous};
use crate::ops::graph::register;
use crate::ops::reference::scatter_add;

/// The forward of a gather of rows, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait GatherBackend: Backend {
    /// The rows of `[R, C]` with these indices: `[P, C]`.
    fn gather_rows(rows: FloatTensor<Self>, indices: IntTensor<Self>) -> FloatTensor<Self> {
        Self::float_select(rows, 0, indices)
    }
}

/// The gather's backward for automatic differentiation.
pub trait DifferentiableGather: GatherBackend {
    /// The gradient of the rows, of shape `rows`, for an output gradient `[P, C]`.
    fn gather_backward(
        rows: Shape,
        indices: IntTensor<Self>,
        output_gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        gather_backward_reference::<Self>(rows, indices, output_gradient)
    }
}

fn gather_backward_reference<B: Backend>(
    rows: Shape,
    indices: IntTensor<B>,
    dout: FloatTensor<B>,
) -> FloatTensor<B> {
    let zeros = B::float_zeros(rows, &dout.device(), dout.dtype().into());
    scatter_add::<B>(zeros, indices, dout)
}

/// The CPU backend runs the kernels on f32, and the reference implementation on other types.
impl GatherBackend for Flex {
    fn gather_rows(rows: FlexTensor, indices: FlexTensor) -> FlexTensor {
        let [rows, indices] = [rows, indices].map(contiguous);
        if let (Some(x), Some(found)) = (rows.as_slice::<f32>(), as_indices(&indices)) {
            let columns = rows.shape()[1];
            let shape = Shape::new([found.len(), columns]);
            return buffer_tensor(convnext_kernels::gather_rows(x, columns, &found), shape);
        }
        <Self as burn::backend::ops::FloatTensorOps<Self>>::float_select(rows, 0, indices)
    }
}

impl DifferentiableGather for Flex {
    fn gather_backward(rows: Shape, indices: FlexTensor, output_gradient: FlexTensor) -> FlexTensor {
        let [indices, dout] = [indices, output_gradient].map(contiguous);
        if let (Some(d), Some(found)) = (dout.as_slice::<f32>(), as_indices(&indices)) {
            let drows = convnext_kernels::gather_rows_backward(d, rows[1], &found, rows[0]);
            return buffer_tensor(drows, rows);
        }
        gather_backward_reference::<Self>(rows, indices, dout)
    }
}

/// The autograd node of one gather.
#[derive(Debug)]
struct GatherNode;

impl<B: DifferentiableGather> Backward<B, 1> for GatherNode {
    type State = (Shape, IntTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let (rows, indices) = ops.state;
        let drows = B::gather_backward(rows, indices, output_gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(drows)]);
    }
}

impl<B: DifferentiableGather, C: CheckpointStrategy> GatherBackend for Autodiff<B, C> {
    fn gather_rows(rows: FloatTensor<Self>, indices: IntTensor<Self>) -> FloatTensor<Self> {
        let (rows, of_rows) = rows.into_parts();
        match GatherNode.prepare::<C>([of_rows]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                node.finish((rows.shape(), indices.clone()), B::gather_rows(rows, indices))
            }
            OpsKind::UnTracked(node) => node.finish(B::gather_rows(rows, indices)),
        }
    }
}

/// Rows selected by index, on the backend of its tensors: PyTorch's `index_select` on dimension 0.
///
/// # Shapes
/// - rows: `[R, C]`
/// - indices: `[P]`
/// - output: `[P, C]`
pub(crate) fn gather(rows: Tensor<2>, indices: Tensor<1, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gather_rows(rows.into_dispatch(), indices.into_dispatch()))
}
