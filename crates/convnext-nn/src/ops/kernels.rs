//! The kernels that a backend has for the block and for linear layers.
//!
//! A backend names them in its [`BackendKernels`]. They may decline a plan, and then the operation runs on
//! [`Reference`](crate::ops::reference_kernels::Reference), which runs every plan on every backend. An
//! operation decides once, at its forward: its backward is that of the same kernels.

use std::fmt::Debug;

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

use crate::ops::block_plan::{BlockGradients, BlockParameters, BlockPlan, Placement};
use crate::ops::linear_plan::LinearPlan;

/// The kernels of a backend, [`Reference`](crate::ops::reference_kernels::Reference) where it has none.
pub trait BackendKernels: Backend {
    /// Kernels of the block.
    type Block: BlockKernels<Self>;
    /// Kernels of a linear layer.
    type Linear: LinearKernels<Self>;
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
