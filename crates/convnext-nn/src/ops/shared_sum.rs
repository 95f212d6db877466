//! Sum over processes, as an operation: each has its own loss, and learns by the sum of all.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData, read_sync};

use crate::ops::graph::register;
use crate::ops::kernels::BackendKernels;
use crate::shared_batch::SharedBatch;

/// The sum over processes, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait SharedSumBackend: Backend {
    /// Values `[C]`, added up over the processes of a batch.
    fn shared_sum(values: FloatTensor<Self>, batch: SharedBatch) -> FloatTensor<Self>;
}

impl<B: BackendKernels> SharedSumBackend for B {
    fn shared_sum(values: FloatTensor<Self>, batch: SharedBatch) -> FloatTensor<Self> {
        sum_of_values::<B>(values, &batch)
    }
}

fn sum_of_values<B: Backend>(values: FloatTensor<B>, batch: &SharedBatch) -> FloatTensor<B> {
    let (shape, device) = (values.shape(), values.device());
    let data = read_sync(B::float_into_data(values)).map(|data| data.convert::<f32>().try_into_vec());
    let Ok(Ok(values)) = data else { unreachable!("a tensor's values can be read") };
    B::float_from_data(TensorData::new(batch.sum(values), shape), &device)
}

/// The autograd node of one sum. Each value of a process is part of the sum of all, whose losses it changes alike: its gradient
/// is the sum of theirs.
#[derive(Debug)]
struct SharedSumNode;

impl<B: Backend> Backward<B, 1> for SharedSumNode {
    type State = SharedBatch;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let gradient = sum_of_values::<B>(output_gradient, &ops.state);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, 1>(grads, parents, [Some(gradient)]);
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> SharedSumBackend for Autodiff<B, C> {
    fn shared_sum(values: FloatTensor<Self>, batch: SharedBatch) -> FloatTensor<Self> {
        let (values, of_values) = FloatTensor::<Self>::into_parts(values);
        let output = sum_of_values::<B>(values, &batch);
        match SharedSumNode.prepare::<C>([of_values]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish(batch, output),
            OpsKind::UnTracked(node) => node.finish(output),
        }
    }
}

/// Values `[C]`, added up over the processes of a batch.
pub(crate) fn shared_sum(values: Tensor<1>, batch: &SharedBatch) -> Tensor<1> {
    let values = values.into_dispatch();
    Tensor::from_dispatch(<Dispatch as SharedSumBackend>::shared_sum(values, batch.clone()))
}
