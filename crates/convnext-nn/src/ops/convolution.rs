//! A convolution over rows of dense maps, with any kernel size, padding and stride: on the backend's kernels
//! ([`BackendKernels::Convolution`]) where these support it, and on the reference implementation elsewhere.
//!
//! Notation: N images, H x W their maps, I input and O output channels, k the kernel's sides.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::convolution_plan::{ConvolutionPlan, Epilogue, WantedGradients};
use crate::ops::dense_reference::epilogue_reference;
use crate::ops::graph::register;
use crate::ops::kernels::{BackendKernels, ConvolutionKernels};
use crate::ops::reference_kernels::Reference;

/// The forward of a convolution and of its epilogue, for every backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub trait ConvolutionBackend: Backend {
    /// Rows `[N H W, I]` to `[N H' W', O]`, with PyTorch's weight `[O, I, k, k]`.
    fn convolve_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] epilogue: Epilogue<Self>,
        plan: ConvolutionPlan,
    ) -> FloatTensor<Self>;
}

/// `true` if the backend's own kernels run this convolution; they see tensors of one element type only.
fn is_supported<B: BackendKernels>(
    rows: &FloatTensor<B>,
    parameters: &[&FloatTensor<B>],
    plan: &ConvolutionPlan,
) -> bool {
    let dtype = rows.dtype();
    B::Convolution::supports(plan, dtype) && parameters.iter().all(|tensor| tensor.dtype() == dtype)
}

impl<B: BackendKernels> ConvolutionBackend for B {
    fn convolve_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epilogue: Epilogue<Self>,
        plan: ConvolutionPlan,
    ) -> FloatTensor<Self> {
        let parameters = [vec![&weight], epilogue.tensors()].concat();
        if is_supported::<B>(&rows, &parameters, &plan) {
            B::Convolution::forward(rows, weight, epilogue, &plan)
        } else {
            <Reference as ConvolutionKernels<B>>::forward(rows, weight, epilogue, &plan)
        }
    }
}

/// The autograd node of one convolution that ran on the kernels `K`. Parents: rows, weight, and the bias if there is one.
#[derive(Debug)]
struct ConvolutionNode<K>(PhantomData<K>);

impl<B: Backend, K: ConvolutionKernels<B>, const N: usize> Backward<B, N> for ConvolutionNode<K> {
    /// The input, the weight and the plan.
    type State = (K::Saved, FloatTensor<B>, ConvolutionPlan);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let (saved, weight, plan) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let wanted = WantedGradients { rows: parents[0].is_some(), bias: N == WITH_BIAS };
        let found = K::backward(saved, weight, output_gradient, wanted, &plan);
        register::<B, N>(grads, parents, [found.rows, Some(found.weight), found.bias]);
    }
}

/// Parents of the node of a convolution without bias, and with one.
const WITHOUT_BIAS: usize = 2;
const WITH_BIAS: usize = 3;

impl<B: BackendKernels, C: CheckpointStrategy> ConvolutionBackend for Autodiff<B, C> {
    fn convolve_rows(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epilogue: Epilogue<Self>,
        plan: ConvolutionPlan,
    ) -> FloatTensor<Self> {
        let ((rows, of_rows), (weight, of_weight)) = (rows.into_parts(), weight.into_parts());
        match epilogue {
            Epilogue::Plain => {
                choose::<B, C, WITHOUT_BIAS>([of_rows, of_weight], (rows, weight, None), &plan)
            }
            Epilogue::Bias { bias } => {
                let (bias, of_bias) = bias.into_parts();
                choose::<B, C, WITH_BIAS>([of_rows, of_weight, of_bias], (rows, weight, Some(bias)), &plan)
            }
            // Kernels have no gradient of it: nothing trains on running statistics.
            norm @ Epilogue::BatchNormRelu { .. } => {
                let input = (rows, weight, None);
                let sums = choose::<B, C, WITHOUT_BIAS>([of_rows, of_weight], input, &plan);
                epilogue_reference::<Self>(sums, norm)
            }
        }
    }
}

/// Rows, weight and bias.
type Input<B> = (FloatTensor<B>, FloatTensor<B>, Option<FloatTensor<B>>);

/// [`record`] on the kernels that support the convolution.
fn choose<B: BackendKernels, C: CheckpointStrategy, const N: usize>(
    guards: [NodeGuard; N],
    input: Input<B>,
    plan: &ConvolutionPlan,
) -> FloatTensor<Autodiff<B, C>> {
    let (rows, weight, bias) = &input;
    let parameters: Vec<&FloatTensor<B>> = [Some(weight), bias.as_ref()].into_iter().flatten().collect();
    if is_supported::<B>(rows, &parameters, plan) {
        record::<B, C, B::Convolution, N>(guards, input, plan)
    } else {
        record::<B, C, Reference, N>(guards, input, plan)
    }
}

/// Runs the convolution on the kernels `K` of the inner backend and records its node in the graph if an input requires a
/// gradient.
fn record<B: Backend, C: CheckpointStrategy, K: ConvolutionKernels<B>, const N: usize>(
    guards: [NodeGuard; N],
    (rows, weight, bias): Input<B>,
    plan: &ConvolutionPlan,
) -> FloatTensor<Autodiff<B, C>> {
    match ConvolutionNode::<K>(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(node) => {
            // The weight is about to change: training keeps no packed copy of it.
            plan.packing.clear();
            let plan = plan.without_packing();
            let (output, saved) = K::forward_saving(rows, weight.clone(), bias, &plan);
            node.finish((saved, weight, plan), output)
        }
        OpsKind::UnTracked(node) => {
            let epilogue = bias.map_or(Epilogue::Plain, |bias| Epilogue::Bias { bias });
            node.finish(K::forward(rows, weight, epilogue, plan))
        }
    }
}

/// A convolution over rows of dense maps, on the backend of its tensors.
///
/// # Shapes
/// - rows: `[N H W, I]`
/// - weight: `[O, I, k, k]`
/// - output: `[N H' W', O]`
pub(crate) fn convolution(
    rows: Tensor<2>,
    weight: Tensor<4>,
    epilogue: Epilogue<Dispatch>,
    plan: ConvolutionPlan,
) -> Tensor<2> {
    let (rows, weight) = (rows.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as ConvolutionBackend>::convolve_rows(rows, weight, epilogue, plan))
}
