//! The kernels that a backend has for the block, for linear layers, and for operations on dense maps.
//!
//! A backend names them in its [`BackendKernels`]. They may decline a plan, and then the operation runs on
//! [`Reference`](crate::ops::reference_kernels::Reference), which runs every plan on every backend. An
//! operation decides once, at its forward: its backward is that of the same kernels.

use std::fmt::Debug;

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

use crate::ops::block_plan::{BlockGradients, BlockParameters, BlockPlan, Placement};
use crate::ops::convolution_plan::{ConvolutionGradients, ConvolutionPlan, Epilogue, WantedGradients};
use crate::ops::linear_plan::LinearPlan;
use crate::ops::resample_plan::ResamplePlan;
use crate::ops::roi_align_plan::RoiAlignPlan;

/// The kernels of a backend, [`Reference`](crate::ops::reference_kernels::Reference) where it has none.
pub trait BackendKernels: Backend {
    /// Kernels of the block.
    type Block: BlockKernels<Self>;
    /// Kernels of a linear layer.
    type Linear: LinearKernels<Self>;
    /// Kernels of a convolution over dense maps.
    type Convolution: ConvolutionKernels<Self>;
    /// Kernels of batch norm in training.
    type BatchNorm: BatchNormKernels<Self>;
    /// Kernels that resample dense maps.
    type Resample: ResampleKernels<Self>;
    /// Kernels of RoIAlign.
    type RoiAlign: RoiAlignKernels<Self>;
}

/// Kernels of the block: depthwise 7x7, LayerNorm, linear to 4C, GELU, GRN, linear to C, LayerScale, drop
/// path, residual (paper Figure 5).
///
/// `forward`, `forward_saving` and `backward` may assume that `supports` was true.
///
/// # Shapes
/// - rows, output, output gradient: `[rows, C]`
pub trait BlockKernels<B: Backend>: Debug + Send + 'static {
    /// The tensors and activations that a forward saves for its backward, besides the parameters.
    type Saved: Clone + Debug + Send + 'static;

    /// `true` if these kernels run this plan on rows and parameters of this element type.
    fn supports(plan: &BlockPlan, dtype: DType) -> bool;

    /// The block's forward where no gradient is wanted.
    fn forward(
        rows: FloatTensor<B>,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
    ) -> FloatTensor<B>;

    /// The block's forward, and what [`Self::backward`] needs of it: `plan.activations` says how much.
    fn forward_saving(
        rows: FloatTensor<B>,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
    ) -> (FloatTensor<B>, Self::Saved);

    /// The gradients of rows and parameters for an output gradient.
    fn backward(
        saved: Self::Saved,
        parameters: BlockParameters<B>,
        placement: Placement<B>,
        plan: &BlockPlan,
        output_gradient: FloatTensor<B>,
    ) -> BlockGradients<B>;

    /// Bytes of what was saved.
    fn saved_bytes(saved: &Self::Saved) -> usize;
}

/// Kernels of a linear layer with PyTorch's weight `[O, ...]`, whose further dimensions are read as one of I
/// values.
///
/// `forward`, `forward_saving` and `backward` may assume that `supports` was true.
///
/// # Shapes
/// - rows: `[R, I]`
/// - output, output gradient: `[R, O]`
pub trait LinearKernels<B: Backend>: Debug + Send + 'static {
    /// The input as a forward saves it for its backward.
    type Saved: Clone + Debug + Send + 'static;

    /// `true` if these kernels run this plan on rows, weight and bias of this element type.
    fn supports(plan: &LinearPlan, dtype: DType) -> bool;

    /// `rows weight^T + bias` where no gradient is wanted.
    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        plan: &LinearPlan,
    ) -> FloatTensor<B>;

    /// `rows weight^T + bias`, and the input for [`Self::backward`].
    fn forward_saving(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        plan: &LinearPlan,
    ) -> (FloatTensor<B>, Self::Saved);

    /// The gradients of rows, if requested, and of weight and bias for an output gradient, each in the shape
    /// of its input.
    fn backward(
        saved: Self::Saved,
        weight: FloatTensor<B>,
        output_gradient: FloatTensor<B>,
        wants_rows: bool,
    ) -> (Option<FloatTensor<B>>, [FloatTensor<B>; 2]);
}

/// Kernels of a convolution over rows of dense maps, in the order (image, y, x), with PyTorch's weight
/// `[O, I, k, k]`.
///
/// `forward`, `forward_saving` and `backward` may assume that `supports` was true.
///
/// # Shapes
/// - rows: `[images * input height * input width, I]`
/// - output, output gradient: `[images * output height * output width, O]`
pub trait ConvolutionKernels<B: Backend>: Debug + Send + 'static {
    /// The input as a forward saves it for its backward.
    type Saved: Clone + Debug + Send + 'static;

    /// `true` if these kernels run this plan on rows and parameters of this element type.
    fn supports(plan: &ConvolutionPlan, dtype: DType) -> bool;

    /// The convolution and its epilogue where no gradient is wanted.
    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        epilogue: Epilogue<B>,
        plan: &ConvolutionPlan,
    ) -> FloatTensor<B>;

    /// The convolution with a bias `[O]` or without, and the input for [`Self::backward`].
    fn forward_saving(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Option<FloatTensor<B>>,
        plan: &ConvolutionPlan,
    ) -> (FloatTensor<B>, Self::Saved);

    /// The gradients for an output gradient.
    fn backward(
        saved: Self::Saved,
        weight: FloatTensor<B>,
        output_gradient: FloatTensor<B>,
        wanted: WantedGradients,
        plan: &ConvolutionPlan,
    ) -> ConvolutionGradients<B>;
}

/// Kernels of batch norm with the statistics of the batch, `(rows - mean) / sqrt(variance + 1e-5) * weight + bias`, and of its
/// ReLU if there is one.
///
/// Sums over rows have an order that depends on shapes alone. `forward` and `backward` may assume that `supports`
/// was true.
///
/// # Shapes
/// - rows, output, output gradient: `[R, C]`
/// - weight, bias, mean, variance: `[C]`
pub trait BatchNormKernels<B: Backend>: Debug + Send + 'static {
    /// `true` if these kernels run on rows and parameters of this element type.
    fn supports(dtype: DType) -> bool;

    /// The output, and mean and biased variance of each channel.
    fn forward(
        rows: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        has_relu: bool,
    ) -> (FloatTensor<B>, [FloatTensor<B>; 2]);

    /// The gradients of rows, weight and bias. Parameters are weight and bias, statistics mean and biased
    /// variance as `forward` found them.
    fn backward(
        rows: FloatTensor<B>,
        parameters: [FloatTensor<B>; 2],
        statistics: [FloatTensor<B>; 2],
        output_gradient: FloatTensor<B>,
        has_relu: bool,
    ) -> [FloatTensor<B>; 3];
}

/// Kernels that resample rows of dense maps, in the order (image, y, x).
///
/// `forward` and `backward` may assume that `supports` was true.
///
/// # Shapes
/// - rows: `[images * input height * input width, C]`
/// - output, output gradient: `[images * output height * output width, C]`
pub trait ResampleKernels<B: Backend>: Debug + Send + 'static {
    /// `true` if these kernels run this plan on rows of this element type.
    fn supports(plan: &ResamplePlan, dtype: DType) -> bool;

    /// The resampled maps, added to others of their size if there are any.
    fn forward(rows: FloatTensor<B>, onto: Option<FloatTensor<B>>, plan: &ResamplePlan) -> FloatTensor<B>;

    /// The gradient of the rows for an output gradient: the transpose of the forward.
    fn backward(output_gradient: FloatTensor<B>, plan: &ResamplePlan) -> FloatTensor<B>;
}

/// Kernels of RoIAlign on rows of dense maps, in the order (image, y, x).
///
/// `forward` and `backward` may assume that `supports` was true.
///
/// # Shapes
/// - rows: `[images * input height * input width, C]`
/// - output, output gradient: `[regions * output height * output width, C]`
pub trait RoiAlignKernels<B: Backend>: Debug + Send + 'static {
    /// `true` if these kernels run this plan on rows of this element type.
    fn supports(plan: &RoiAlignPlan, dtype: DType) -> bool;

    /// The bins of all regions.
    fn forward(rows: FloatTensor<B>, plan: &RoiAlignPlan) -> FloatTensor<B>;

    /// The gradient of the rows for an output gradient: the transpose of the forward.
    fn backward(output_gradient: FloatTensor<B>, plan: &RoiAlignPlan) -> FloatTensor<B>;
}
