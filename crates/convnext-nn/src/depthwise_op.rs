//! The depthwise convolution over kept sites as an operation of our backend extension.
//!
//! The block's default body calls it, so a backend that overrides only this one already runs the
//! layer that looks across tiles on a kernel.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::ops::{ConvOptions, IndexingUpdateOp};
use burn::tensor::{Bytes, DType, Shape};
use convnext_kernels::Sites;

/// Where the rows lie, for a default body: kernels read [`Sites`] instead.
#[derive(Debug, Clone, ExtensionType)]
pub enum Placement<B: Backend> {
    /// Rows and map are the same.
    Dense,
    /// Kept sites only.
    Kept {
        /// Place of every row in the stacked maps, `[rows]`.
        positions: IntTensor<B>,
    },
}

impl<B: Backend> Placement<B> {
    /// The same places for a backend around this one or inside it, which shares its integers.
    pub(crate) fn convert<B2: Backend<IntTensorPrimitive = B::IntTensorPrimitive>>(self) -> Placement<B2> {
        match self {
            Self::Dense => Placement::Dense,
            Self::Kept { positions } => Placement::Kept { positions },
        }
    }
}

/// The gradients of a depthwise convolution.
#[derive(Debug, Clone, ExtensionType)]
pub struct DepthwiseGradients<B: Backend> {
    /// `[rows, C]`.
    pub rows: FloatTensor<B>,
    /// `[C, 1, 7, 7]`.
    pub weight: FloatTensor<B>,
    /// `[C]`.
    pub bias: FloatTensor<B>,
}

/// Depthwise 7x7 convolution over kept sites.
#[backend_extension(Flex, Autodiff)]
pub trait DepthwiseBackend: Backend {
    /// Convolves rows `[rows, C]` at their own sites, with weight `[C, 1, 7, 7]` and bias `[C]`.
    /// Sites that are not kept count as zero and get no output.
    fn depthwise(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        #[extension_type] placement: Placement<Self>,
        sites: Arc<Sites>,
    ) -> FloatTensor<Self> {
        depthwise_in_tensor_operations::<Self>(rows, weight, bias, placement, &sites)
    }

    /// The gradients of [`Self::depthwise`] for an output gradient `[rows, C]`.
    fn depthwise_backward(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        #[extension_type] placement: Placement<Self>,
        sites: Arc<Sites>,
        output_gradient: FloatTensor<Self>,
    ) -> DepthwiseGradients<Self> {
        differentiate_default_body(rows, weight, bias, placement, &sites, output_gradient)
    }
}

/// The default body: scatter into maps, convolve, gather.
fn depthwise_in_tensor_operations<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    placement: Placement<B>,
    sites: &Sites,
) -> FloatTensor<B> {
    let channels = rows.shape()[1];
    let (images, height, width) = (sites.images(), sites.height(), sites.width());
    let places = Shape::new([images * height * width, channels]);
    let map = match &placement {
        Placement::Dense => rows,
        Placement::Kept { positions } => {
            let zeros = B::float_zeros(places.clone(), &rows.device(), rows.dtype().into());
            B::float_select_assign(zeros, 0, positions.clone(), rows, IndexingUpdateOp::Add)
        }
    };
    let map = B::float_reshape(map, Shape::new([images, height, width, channels]));
    let map = B::float_permute(map, &[0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [3, 3], [1, 1], channels);
    let map = B::conv2d(map, weight, Some(bias), options);
    let map = B::float_reshape(B::float_permute(map, &[0, 2, 3, 1]), places);
    match placement {
        Placement::Dense => map,
        Placement::Kept { positions } => B::float_select(map, 0, positions),
    }
}

/// The derivative of the default body, by automatic differentiation of that body alone.
fn differentiate_default_body<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    placement: Placement<B>,
    sites: &Sites,
    output_gradient: FloatTensor<B>,
) -> DepthwiseGradients<B> {
    let [rows, weight, bias] = [rows, weight, bias].map(leaf::<B>);
    let leaves = [rows.clone(), weight.clone(), bias.clone()];
    let output =
        depthwise_in_tensor_operations::<Autodiff<B>>(rows, weight, bias, placement.convert(), sites);
    let mut gradients = pull_back::<B>(output, output_gradient, &leaves).into_iter();
    let mut next = || gradients.next().unwrap_or_else(|| unreachable!("one gradient for each leaf"));
    DepthwiseGradients { rows: next(), weight: next(), bias: next() }
}

/// A tensor as the beginning of a graph of its own.
pub(crate) fn leaf<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<Autodiff<B>> {
    <Autodiff<B> as AutodiffBackend>::from_inner(tensor).require_grad()
}

/// The gradients of `leaves` when `output` has the gradient `output_gradient`.
pub(crate) fn pull_back<B: Backend>(
    output: FloatTensor<Autodiff<B>>,
    output_gradient: FloatTensor<B>,
    leaves: &[FloatTensor<Autodiff<B>>],
) -> Vec<FloatTensor<B>> {
    let output_gradient = <Autodiff<B> as AutodiffBackend>::from_inner(output_gradient);
    let product = <Autodiff<B> as FloatTensorOps<Autodiff<B>>>::float_mul(output, output_gradient);
    let sum = <Autodiff<B> as FloatTensorOps<Autodiff<B>>>::float_sum(product);
    let mut gradients = <Autodiff<B> as AutodiffBackend>::backward(sum);
    let mut gradient = |leaf| {
        <Autodiff<B> as AutodiffBackend>::grad_remove(leaf, &mut gradients)
            .unwrap_or_else(|| unreachable!("every input of the operation reaches its output"))
    };
    leaves.iter().map(&mut gradient).collect()
}

/// The CPU backend runs the kernels on f32, and the default body on other types.
impl DepthwiseBackend for Flex {
    fn depthwise(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        placement: Placement<Self>,
        sites: Arc<Sites>,
    ) -> FlexTensor {
        let [rows, weight, bias] = [rows, weight, bias].map(contiguous);
        if let [Some(x), Some(w), Some(b)] = [&rows, &weight, &bias].map(FlexTensor::as_slice::<f32>) {
            return from_values(convnext_kernels::depthwise_forward(&sites, x, w, b), rows.shape());
        }
        depthwise_in_tensor_operations::<Self>(rows, weight, bias, placement, &sites)
    }

    fn depthwise_backward(
        rows: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        placement: Placement<Self>,
        sites: Arc<Sites>,
        output_gradient: FlexTensor,
    ) -> DepthwiseGradients<Self> {
        let [rows, weight, dout] = [rows, weight, output_gradient].map(contiguous);
        if let [Some(x), Some(w), Some(d)] = [&rows, &weight, &dout].map(FlexTensor::as_slice::<f32>) {
            let gradients = convnext_kernels::depthwise_backward(&sites, x, w, d);
            return DepthwiseGradients {
                rows: from_values(gradients.rows, rows.shape()),
                weight: from_values(gradients.weight, weight.shape()),
                bias: from_values(gradients.bias, bias.shape()),
            };
        }
        differentiate_default_body(rows, weight, bias, placement, &sites, dout)
    }
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

fn from_values(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// What the graph keeps of a convolution.
#[derive(Debug, Clone)]
struct SavedDepthwise<B: Backend> {
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    placement: Placement<B>,
    sites: Arc<Sites>,
}

/// The graph's node of one convolution.
#[derive(Debug)]
struct DepthwiseNode;

impl<B: DepthwiseBackend> Backward<B, 3> for DepthwiseNode {
    type State = SavedDepthwise<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output_gradient = grads.consume::<B>(&ops.node);
        let SavedDepthwise { rows, weight, bias, placement, sites } = ops.state;
        let gradients = B::depthwise_backward(rows, weight, bias, placement, sites, output_gradient);
        let list = [gradients.rows, gradients.weight, gradients.bias];
        for (parent, gradient) in ops.parents.into_iter().zip(list) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: DepthwiseBackend, C: CheckpointStrategy> DepthwiseBackend for Autodiff<B, C> {
    fn depthwise(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        placement: Placement<Self>,
        sites: Arc<Sites>,
    ) -> FloatTensor<Self> {
        let [(rows, of_rows), (weight, of_weight), (bias, of_bias)] =
            [rows, weight, bias].map(FloatTensor::<Self>::into_parts);
        let saved = SavedDepthwise { rows, weight, bias, placement: placement.convert(), sites };
        let run = |s: SavedDepthwise<B>| B::depthwise(s.rows, s.weight, s.bias, s.placement, s.sites);
        match DepthwiseNode.prepare::<C>([of_rows, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let output = run(saved.clone());
                node.finish(saved, output)
            }
            OpsKind::UnTracked(node) => node.finish(run(saved)),
        }
    }
}
