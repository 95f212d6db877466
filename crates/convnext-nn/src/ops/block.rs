//! The block as ONE operation of our backend extension, forward and backward: on the backend's kernels
//! ([`BackendKernels::Block`]) where these support it, and on the reference implementation elsewhere.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::block_plan::{BlockParameters, BlockPlan, MOST_TENSORS, Placement};
use crate::ops::block_reference::{block_layers_reference, block_reference_by_batch};
use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, BlockKernels};
use crate::ops::reference_kernels::Reference;
use crate::ops::saved_bytes::SavedBytes;
use crate::site_map::SiteMap;

/// The block's forward, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait BlockBackend: Backend {
    /// One block on rows `[rows, C]`; the output has the same shape.
    fn block(
        rows: FloatTensor<Self>,
        #[extension_type] parameters: BlockParameters<Self>,
        #[extension_type] placement: Placement<Self>,
        plan: BlockPlan,
    ) -> FloatTensor<Self>;
}

/// `true` if the backend's own kernels run this block; they see tensors of one element type only.
fn is_supported<B: BackendKernels>(
    rows: &FloatTensor<B>,
    parameters: &BlockParameters<B>,
    plan: &BlockPlan,
) -> bool {
    let dtype = rows.dtype();
    B::Block::supports(plan, dtype)
        && parameters.clone().into_tensors().iter().all(|tensor| tensor.dtype() == dtype)
}

impl<B: BackendKernels> BlockBackend for B {
    fn block(
        rows: FloatTensor<Self>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> FloatTensor<Self> {
        if is_supported::<B>(&rows, &parameters, &plan) {
            B::Block::forward(rows, parameters, placement, &plan)
        } else {
            <Reference as BlockKernels<B>>::forward(rows, parameters, placement, &plan)
        }
    }
}

/// Parents of the node of a block with the fewest parameters: its rows and eight tensors. One without a response norm
/// and LayerScale has no more, one with a batch norm and LayerScale five more.
const FEWEST: usize = 1 + 8;

/// The state that the graph saves for a block's backward.
#[derive(Debug, Clone)]
struct SavedBlock<B: Backend, S> {
    saved: S,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: BlockPlan,
    /// Counts the bytes of `saved`.
    bytes: Arc<SavedBytes>,
}

/// The autograd node of one block that ran on the kernels `K`.
#[derive(Debug)]
struct BlockNode<K>(PhantomData<K>);

impl<B: Backend, K: BlockKernels<B>, const N: usize> Backward<B, N> for BlockNode<K> {
    type State = SavedBlock<B, K::Saved>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let SavedBlock { saved, parameters, placement, plan, bytes: _bytes } = ops.state;
        let gradients = K::backward(saved, parameters, placement, &plan, output_gradient);
        let list = [vec![gradients.rows], gradients.parameters.into_tensors()].concat();
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, N>(grads, parents, list.into_iter().map(Some));
    }
}

impl<B: BackendKernels, C: CheckpointStrategy> BlockBackend for Autodiff<B, C> {
    fn block(
        rows: FloatTensor<Self>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> FloatTensor<Self> {
        let mut guards: Vec<NodeGuard> = Vec::with_capacity(1 + MOST_TENSORS);
        let mut part = |tensor: FloatTensor<Self>| {
            let (primitive, guard) = tensor.into_parts();
            guards.push(guard);
            primitive
        };
        let rows = part(rows);
        let parameters: BlockParameters<B> = parameters.map(part);
        let input = BlockInput { rows, parameters, placement: placement.convert(), plan };
        if is_supported::<B>(&input.rows, &input.parameters, &input.plan) {
            run::<B, C, B::Block>(guards, input)
        } else {
            run::<B, C, Reference>(guards, input)
        }
    }
}

/// The inputs of a block.
struct BlockInput<B: Backend> {
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: BlockPlan,
}

/// Runs the block on the kernels `K` of the inner backend.
fn run<B: Backend, C: CheckpointStrategy, K: BlockKernels<B>>(
    guards: Vec<NodeGuard>,
    input: BlockInput<B>,
) -> FloatTensor<Autodiff<B, C>> {
    // The number of a node's parents is part of its type.
    match guards.len() {
        FEWEST => record::<B, C, K, FEWEST>(guards, input),
        10 => record::<B, C, K, 10>(guards, input),
        11 => record::<B, C, K, 11>(guards, input),
        12 => record::<B, C, K, 12>(guards, input),
        13 => record::<B, C, K, 13>(guards, input),
        _ => record::<B, C, K, { 1 + MOST_TENSORS }>(guards, input),
    }
}

/// [`run`], which records the block's node in the graph if an input requires a gradient.
fn record<B: Backend, C: CheckpointStrategy, K: BlockKernels<B>, const N: usize>(
    guards: Vec<NodeGuard>,
    input: BlockInput<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let guards: [NodeGuard; N] =
        guards.try_into().unwrap_or_else(|_| unreachable!("the caller chose N by the number of guards"));
    let BlockInput { rows, parameters, placement, mut plan } = input;
    match BlockNode::<K>(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(node) => {
            // These parameters are about to change: training keeps no packed copy of them.
            if let Some(packing) = plan.packing.take() {
                packing.clear();
            }
            let (output, saved) = K::forward_saving(rows, parameters.clone(), placement.clone(), &plan);
            let bytes = Arc::new(SavedBytes::new(K::saved_bytes(&saved) as u64));
            node.finish(SavedBlock { saved, parameters, placement, plan, bytes }, output)
        }
        OpsKind::UnTracked(node) => node.finish(K::forward(rows, parameters, placement, &plan)),
    }
}

/// One block on rows, on the backend of its tensors; a batch norm is by its running statistics.
///
/// # Shapes
/// - rows, output: `[rows, C]`
pub(crate) fn block(
    rows: Tensor<2>,
    parameters: BlockParameters<Dispatch>,
    sites: &SiteMap,
    plan: BlockPlan,
) -> Tensor<2> {
    let (rows, placement) = (rows.into_dispatch(), placement(sites));
    Tensor::from_dispatch(<Dispatch as BlockBackend>::block(rows, parameters, placement, plan))
}

/// The same with a batch norm by the statistics of this batch, and these: mean and unbiased variance, each `[4C]`, without
/// a gradient. It runs in ordinary operations, whose graph saves every intermediate value.
pub(crate) fn block_by_batch(
    rows: Tensor<2>,
    parameters: BlockParameters<Dispatch>,
    sites: &SiteMap,
    plan: &BlockPlan,
) -> (Tensor<2>, Option<[Tensor<1>; 2]>) {
    let (rows, placement) = (rows.into_dispatch(), placement(sites));
    let (output, statistics) = block_reference_by_batch::<Dispatch>(rows, parameters, placement, plan);
    let statistics = statistics.map(|both| both.map(|one| Tensor::from_dispatch(one).inner()));
    (Tensor::from_dispatch(output), statistics)
}

/// After the depthwise convolution `[rows, C]`, expanded after GELU and normalised `[rows, 4C]`, and the output `[rows, C]`, in
/// ordinary operations; a batch norm is by its running statistics.
pub(crate) fn block_layers(
    rows: Tensor<2>,
    parameters: BlockParameters<Dispatch>,
    sites: &SiteMap,
    plan: &BlockPlan,
) -> [Tensor<2>; 4] {
    let (rows, placement) = (rows.into_dispatch(), placement(sites));
    block_layers_reference::<Dispatch>(rows, parameters, placement, plan).map(Tensor::from_dispatch)
}

fn placement(sites: &SiteMap) -> Placement<Dispatch> {
    match sites.positions() {
        None => Placement::Dense,
        Some(positions) => Placement::Kept { positions: positions.clone().into_dispatch() },
    }
}
