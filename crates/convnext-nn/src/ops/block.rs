//! The block as ONE operation of our backend extension, forward and backward.
//!
//! Depthwise 7x7, LayerNorm, linear to 4C, GELU, GRN, linear to C, LayerScale, drop path, residual
//! (paper Figure 5): a backend that has kernels overrides [`BlockBackend::block`] and the methods of
//! [`DifferentiableBlock`], and nothing else changes. The CPU backend does, in `block_flex.rs`. Every
//! other backend runs the reference implementation: the block in tensor operations, and its gradients by
//! nested automatic differentiation.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use convnext_core::BlockLayout;
use convnext_kernels::{PackedBlock, Precision, SavedActivations};

use crate::ops::block_plan::{Activations, BlockGradients, BlockParameters, BlockPlan, Placement};
use crate::ops::graph::{leaf, register, vjp};
use crate::ops::packing::PackingCache;
use crate::ops::reference::block_reference;
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
    ) -> FloatTensor<Self> {
        block_reference::<Self>(rows, parameters, placement, &plan)
    }
}

/// The block's forward and backward for automatic differentiation.
pub trait DifferentiableBlock: BlockBackend {
    /// [`BlockBackend::block`], and the activations to save for [`Self::block_backward`] besides its inputs.
    fn block_saving(
        rows: FloatTensor<Self>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> (FloatTensor<Self>, Option<SavedActivations>) {
        (Self::block(rows, parameters, placement, plan), None)
    }

    /// The gradients of [`BlockBackend::block`] for an output gradient `[rows, C]`. `rows` is `None` if the
    /// saved activations include them.
    fn block_backward(
        rows: Option<FloatTensor<Self>>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
        _kept: Option<SavedActivations>,
        output_gradient: FloatTensor<Self>,
    ) -> BlockGradients<Self> {
        let rows = rows.unwrap_or_else(|| unreachable!("only kernels save rows themselves"));
        block_backward_reference(rows, parameters, placement, &plan, output_gradient)
    }
}

/// The reference backward: recomputes the block under a nested automatic differentiation, so that only the
/// block's inputs are saved between forward and backward.
pub(crate) fn block_backward_reference<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
    output_gradient: FloatTensor<B>,
) -> BlockGradients<B> {
    let rows = leaf::<B>(rows);
    let mut leaves = vec![rows.clone()];
    let parameters: BlockParameters<Autodiff<B>> = parameters.map(|tensor| {
        let leaf = leaf::<B>(tensor);
        leaves.push(leaf.clone());
        leaf
    });
    let output = block_reference::<Autodiff<B>>(rows, parameters.clone(), placement.convert(), plan);
    let mut gradients = vjp::<B>(output, output_gradient, &leaves).into_iter();
    let mut next = || gradients.next().unwrap_or_else(|| unreachable!("one gradient for each leaf"));
    BlockGradients { rows: next(), parameters: parameters.map(|_| next()) }
}

/// Parents of the node of a block of each kind.
const PLAIN: usize = parents(false, false);
const WITH_LAYER_SCALE: usize = parents(false, true);
const WITH_GRN: usize = parents(true, false);
const WITH_BOTH: usize = parents(true, true);

/// The rows and every parameter.
const fn parents(grn: bool, layer_scale: bool) -> usize {
    1 + BlockLayout { channels: 1, grn, layer_scale }.tensors()
}

/// The state that the graph saves for a block's backward.
#[derive(Debug, Clone)]
struct SavedBlock<B: Backend> {
    /// `None` if the saved activations include them.
    rows: Option<FloatTensor<B>>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: BlockPlan,
    saved: Option<SavedActivations>,
    /// Counts the bytes of all of this.
    bytes: Option<Arc<SavedBytes>>,
}

/// The autograd node of one block.
#[derive(Debug)]
struct BlockNode;

impl<B: DifferentiableBlock, const N: usize> Backward<B, N> for BlockNode {
    type State = SavedBlock<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let SavedBlock { rows, parameters, placement, plan, saved, bytes: _bytes } = ops.state;
        let gradients = B::block_backward(rows, parameters, placement, plan, saved, output_gradient);
        let mut list = vec![Some(gradients.rows)];
        let _: BlockParameters<B> = gradients.parameters.map(|tensor| {
            list.push(Some(tensor.clone()));
            tensor
        });
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, N>(grads, parents, list);
    }
}

impl<B: DifferentiableBlock, C: CheckpointStrategy> BlockBackend for Autodiff<B, C> {
    fn block(
        rows: FloatTensor<Self>,
        parameters: BlockParameters<Self>,
        placement: Placement<Self>,
        plan: BlockPlan,
    ) -> FloatTensor<Self> {
        let mut guards: Vec<NodeGuard> = Vec::with_capacity(WITH_BOTH);
        let mut part = |tensor: FloatTensor<Self>| {
            let (primitive, guard) = tensor.into_parts();
            guards.push(guard);
            primitive
        };
        let rows = part(rows);
        let parameters: BlockParameters<B> = parameters.map(part);
        let placement = placement.convert();
        let state = SavedBlock { rows: None, parameters, placement, plan, saved: None, bytes: None };
        // The number of a node's parents is part of its type.
        match guards.len() {
            PLAIN => record::<B, C, PLAIN>(guards, rows, state),
            WITH_LAYER_SCALE => record::<B, C, WITH_LAYER_SCALE>(guards, rows, state),
            WITH_GRN => record::<B, C, WITH_GRN>(guards, rows, state),
            _ => record::<B, C, WITH_BOTH>(guards, rows, state),
        }
    }
}

/// Runs the block on the inner backend and records its node in the graph if an input requires a gradient.
fn record<B: DifferentiableBlock, C: CheckpointStrategy, const N: usize>(
    guards: Vec<NodeGuard>,
    rows: FloatTensor<B>,
    mut state: SavedBlock<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let guards: [NodeGuard; N] =
        guards.try_into().unwrap_or_else(|_| unreachable!("the caller chose N by the number of guards"));
    match BlockNode.prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(node) => {
            // These parameters are about to change: training keeps no packed copy of them.
            if let Some(packing) = state.plan.packing.take() {
                packing.clear();
            }
            let SavedBlock { parameters, placement, plan, .. } = state.clone();
            let (output, saved) = match plan.activations {
                Activations::Recompute => (B::block(rows.clone(), parameters, placement, plan), None),
                Activations::Save | Activations::SaveBf16 => {
                    B::block_saving(rows.clone(), parameters, placement, plan)
                }
            };
            state.rows = Some(rows).filter(|_| !saved.as_ref().is_some_and(SavedActivations::has_rows));
            state.saved = saved;
            let of_rows = |rows: &FloatTensor<B>| rows.shape().num_elements() * rows.dtype().size();
            let bytes = state.rows.as_ref().map_or(0, of_rows)
                + state.saved.as_ref().map_or(0, SavedActivations::bytes);
            state.bytes = Some(Arc::new(SavedBytes::new(bytes as u64)));
            node.finish(state, output)
        }
        OpsKind::UnTracked(node) => {
            node.finish(B::block(rows, state.parameters, state.placement, state.plan))
        }
    }
}

/// One block on rows, on the backend of its tensors.
///
/// # Shapes
/// - rows, output: `[rows, C]`
pub(crate) fn block(
    rows: Tensor<2>,
    parameters: BlockParameters<Dispatch>,
    sites: &SiteMap,
    drop_path_scales: Option<Vec<f32>>,
    (activations, precision): (Activations, Precision),
    packing: PackingCache<PackedBlock>,
) -> Tensor<2> {
    let placement = match sites.positions() {
        None => Placement::Dense,
        Some(positions) => Placement::Kept { positions: positions.clone().into_dispatch() },
    };
    let (sites, packing) = (sites.sites().clone(), Some(packing));
    let plan = BlockPlan { sites, drop_path_scales, activations, precision, packing };
    let output = <Dispatch as BlockBackend>::block(rows.into_dispatch(), parameters, placement, plan);
    Tensor::from_dispatch(output)
}
