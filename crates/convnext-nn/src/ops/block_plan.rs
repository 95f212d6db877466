//! The inputs of a block's operation: its parameters, the placement of its rows, and its settings.

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType};
use convnext_core::ResponseNorm;
use convnext_kernels::{Precision, Sites};

use crate::ops::packing::PackingCache;

/// Placement of the rows in the maps on the device: kernels of the CPU read [`Sites`] instead.
#[derive(Debug, Clone, ExtensionType)]
pub enum Placement<B: Backend> {
    /// Rows and map are the same.
    Dense,
    /// Kept sites only.
    Kept {
        /// Flat index of every row in the stacked maps, `[rows]`.
        positions: IntTensor<B>,
    },
}

impl<B: Backend> Placement<B> {
    /// The same placement for a backend that wraps this one or is wrapped by it, and shares its integers.
    pub(crate) fn convert<B2: Backend<IntTensorPrimitive = B::IntTensorPrimitive>>(self) -> Placement<B2> {
        match self {
            Self::Dense => Placement::Dense,
            Self::Kept { positions } => Placement::Kept { positions },
        }
    }
}

/// Parameters of the normalisation of the E = 4C hidden channels; G channels are in the middle of a gate.
#[derive(Debug, Clone, ExtensionType)]
pub enum ResponseParameters<B: Backend> {
    /// The block has no normalisation (V1), or one without parameters.
    Absent,
    /// Global Response Normalization (paper equations 1 to 3) and its variants, each `[1, 1, 1, E]`.
    Grn {
        /// Scale of the normalised response.
        gamma: FloatTensor<B>,
        /// Shift.
        beta: FloatTensor<B>,
    },
    /// LayerNorm, each `[E]`.
    LayerNorm {
        /// Scale.
        weight: FloatTensor<B>,
        /// Shift.
        bias: FloatTensor<B>,
    },
    /// Batch norm, each `[E]`.
    BatchNorm {
        /// Scale.
        weight: FloatTensor<B>,
        /// Shift.
        bias: FloatTensor<B>,
        /// Running mean.
        mean: FloatTensor<B>,
        /// Running variance.
        variance: FloatTensor<B>,
    },
    /// Squeeze and excite.
    SqueezeExcite {
        /// `[G, E]`.
        reduce: FloatTensor<B>,
        /// `[E, G]`.
        expand: FloatTensor<B>,
    },
    /// CBAM.
    Cbam {
        /// `[G, E]`.
        reduce: FloatTensor<B>,
        /// `[E, G]`.
        expand: FloatTensor<B>,
        /// Kernel of the gate over sites, `[1, 2, 7, 7]`.
        kernel: FloatTensor<B>,
    },
}

impl<B: Backend> ResponseParameters<B> {
    /// Applies `f` to every tensor, in the order of the table of a block's parameters.
    fn map<B2: Backend>(
        self,
        mut f: impl FnMut(FloatTensor<B>) -> FloatTensor<B2>,
    ) -> ResponseParameters<B2> {
        use ResponseParameters as R;
        match self {
            Self::Absent => R::Absent,
            Self::Grn { gamma, beta } => R::Grn { gamma: f(gamma), beta: f(beta) },
            Self::LayerNorm { weight, bias } => R::LayerNorm { weight: f(weight), bias: f(bias) },
            Self::BatchNorm { weight, bias, mean, variance } => {
                R::BatchNorm { weight: f(weight), bias: f(bias), mean: f(mean), variance: f(variance) }
            }
            Self::SqueezeExcite { reduce, expand } => {
                R::SqueezeExcite { reduce: f(reduce), expand: f(expand) }
            }
            Self::Cbam { reduce, expand, kernel } => {
                R::Cbam { reduce: f(reduce), expand: f(expand), kernel: f(kernel) }
            }
        }
    }
}

/// LayerScale, `[C]`, or none (V2).
#[derive(Debug, Clone, ExtensionType)]
pub enum LayerScaleParameters<B: Backend> {
    /// The block has no LayerScale.
    Absent,
    /// A factor on each channel of the branch.
    Present {
        /// The factor.
        gamma: FloatTensor<B>,
    },
}

/// The parameters of a block in PyTorch's layouts; also the shape of their gradients.
#[derive(Debug, Clone, ExtensionType)]
pub struct BlockParameters<B: Backend> {
    /// `dwconv.weight`, `[C, 1, 7, 7]`.
    pub depthwise_weight: FloatTensor<B>,
    /// `dwconv.bias`, `[C]`.
    pub depthwise_bias: FloatTensor<B>,
    /// `norm.weight`, `[C]`.
    pub norm_weight: FloatTensor<B>,
    /// `norm.bias`, `[C]`.
    pub norm_bias: FloatTensor<B>,
    /// `pwconv1.weight`, `[4C, C]`.
    pub expand_weight: FloatTensor<B>,
    /// `pwconv1.bias`, `[4C]`.
    pub expand_bias: FloatTensor<B>,
    /// `pwconv2.weight`, `[C, 4C]`.
    pub project_weight: FloatTensor<B>,
    /// `pwconv2.bias`, `[C]`.
    pub project_bias: FloatTensor<B>,
    /// Those of GRN, or of what stands in its place.
    #[extension_type]
    pub response: ResponseParameters<B>,
    /// `gamma`.
    #[extension_type]
    pub layer_scale: LayerScaleParameters<B>,
}

/// Tensors of a block with the most parameters: batch norm and LayerScale.
pub(crate) const MOST_TENSORS: usize = 13;

impl<B: Backend> BlockParameters<B> {
    /// Applies `f` to every tensor, in the fixed order that the graph's parents use as well.
    pub(crate) fn map<B2: Backend>(
        self,
        mut f: impl FnMut(FloatTensor<B>) -> FloatTensor<B2>,
    ) -> BlockParameters<B2> {
        BlockParameters {
            depthwise_weight: f(self.depthwise_weight),
            depthwise_bias: f(self.depthwise_bias),
            norm_weight: f(self.norm_weight),
            norm_bias: f(self.norm_bias),
            expand_weight: f(self.expand_weight),
            expand_bias: f(self.expand_bias),
            project_weight: f(self.project_weight),
            project_bias: f(self.project_bias),
            response: self.response.map(&mut f),
            layer_scale: match self.layer_scale {
                LayerScaleParameters::Absent => LayerScaleParameters::Absent,
                LayerScaleParameters::Present { gamma } => LayerScaleParameters::Present { gamma: f(gamma) },
            },
        }
    }

    /// Every tensor, in the order of [`Self::map`].
    pub(crate) fn into_tensors(self) -> Vec<FloatTensor<B>> {
        let mut tensors = Vec::with_capacity(MOST_TENSORS);
        let _: Self = self.map(|tensor| {
            tensors.push(tensor.clone());
            tensor
        });
        tensors
    }
}

/// The activations that a block saves for its backward. Gradients have the same bits with [`Self::Save`] and
/// [`Self::Recompute`], which is activation checkpointing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activations {
    /// Its input, and the outputs of its convolution and its first linear layer, five times as much: the
    /// fastest. In bf16 if that is the precision of the linear layers.
    #[default]
    Save,
    /// The same rounded to bf16, half as much memory, while linear layers multiply in f32.
    SaveBf16,
    /// Its input only: the backward recomputes the others.
    Recompute,
}

/// The settings of a block.
#[derive(Debug, Clone)]
pub struct BlockPlan {
    /// The sites of the rows.
    pub sites: Arc<Sites>,
    /// Drop path: the factor of each image's branch, 0 where the branch is dropped and 1 / (1 - rate)
    /// elsewhere; `None` drops none.
    pub drop_path_scales: Option<Vec<f32>>,
    /// Normalisation of the hidden channels; batch norm is by running statistics here.
    pub response_norm: Option<ResponseNorm>,
    /// Activations to save for the backward.
    pub activations: Activations,
    /// Precision of the linear layers on the CPU. GPUs compute in f32.
    pub precision: Precision,
    /// Cache of the kernels' packed weights between inferences; `None` in training.
    pub packing: Option<PackingCache>,
}

/// The gradients of a block.
#[derive(Debug, Clone, ExtensionType)]
pub struct BlockGradients<B: Backend> {
    /// Gradient of the input rows, `[rows, C]`.
    pub rows: FloatTensor<B>,
    /// Gradients of the parameters.
    #[extension_type]
    pub parameters: BlockParameters<B>,
}
