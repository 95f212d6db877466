//! The inputs of a convolution's operation beside rows and weight: its settings, and what follows it.
//!
//! Notation: N images, H x W their maps, I input and O output channels, k the kernel's sides.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};
use convnext_kernels::Precision;

use crate::ops::packing::PackingCache;

/// The settings of a convolution over rows of dense maps.
#[derive(Debug, Clone)]
pub struct ConvolutionPlan {
    /// Images of the batch.
    pub images: usize,
    /// Height and width of the input maps.
    pub input: [usize; 2],
    /// Height and width of the kernel, those of the weight `[O, I, height, width]`.
    pub kernel: [usize; 2],
    /// Rows and columns of zeros around the input maps, on each side.
    pub padding: [usize; 2],
    /// Step between neighbouring outputs, downwards and to the right.
    pub stride: [usize; 2],
    /// Precision of the products' inputs on the CPU. GPUs compute in f32.
    pub precision: Precision,
    /// Cache of the kernels' packed weight between inferences.
    pub packing: PackingCache,
}

impl ConvolutionPlan {
    /// Height and width of the output maps: floored, and 0 where the kernel is larger than the padded input.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let padded = self.input[axis] + 2 * self.padding[axis];
            padded.checked_sub(self.kernel[axis]).map_or(0, |free| free / self.stride[axis] + 1)
        })
    }

    /// `true` for a 1x1 convolution that reads every row once: a linear layer.
    pub fn is_pointwise(&self) -> bool {
        (self.kernel, self.padding, self.stride) == ([1, 1], [0, 0], [1, 1])
    }

    /// The same plan without a cache, for training, in which weights change.
    pub(crate) fn without_packing(&self) -> Self {
        Self { packing: PackingCache::default(), ..self.clone() }
    }
}

/// Operation on the sums of a convolution, channel by channel.
#[derive(Debug, Clone, ExtensionType)]
pub enum Epilogue<B: Backend> {
    /// None: the sums are the output.
    Plain,
    /// A bias is added.
    Bias {
        /// `[O]`.
        bias: FloatTensor<B>,
    },
    /// Batch norm with running statistics, then ReLU, of inference only: kernels may fold the norm into their packed weight.
    /// `max(0, (sum - mean) / sqrt(variance + 1e-5) * weight + bias)`.
    BatchNormRelu {
        /// Scale, `[O]`.
        weight: FloatTensor<B>,
        /// Shift, `[O]`.
        bias: FloatTensor<B>,
        /// Running mean, `[O]`.
        mean: FloatTensor<B>,
        /// Running variance, `[O]`.
        variance: FloatTensor<B>,
    },
}

impl<B: Backend> Epilogue<B> {
    /// Every tensor, in the order of the fields.
    pub(crate) fn tensors(&self) -> Vec<&FloatTensor<B>> {
        match self {
            Self::Plain => Vec::new(),
            Self::Bias { bias } => vec![bias],
            Self::BatchNormRelu { weight, bias, mean, variance } => vec![weight, bias, mean, variance],
        }
    }
}

/// The gradients of a convolution.
#[derive(Debug, Clone)]
pub struct ConvolutionGradients<B: Backend> {
    /// Of the input rows `[N H W, I]`, if they were requested.
    pub rows: Option<FloatTensor<B>>,
    /// Of the weight, `[O, I, k, k]`.
    pub weight: FloatTensor<B>,
    /// Of the bias `[O]`, if there is one.
    pub bias: Option<FloatTensor<B>>,
}

/// The gradients of a convolution that its backward is asked for besides that of the weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedGradients {
    /// That of the rows.
    pub rows: bool,
    /// That of the bias: there is one.
    pub bias: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_floored_as_in_pytorch() {
        let output = |side: usize, kernel: usize, padding: usize, stride: usize| {
            let plan = ConvolutionPlan {
                images: 1,
                input: [side, 2 * side],
                kernel: [kernel; 2],
                padding: [padding; 2],
                stride: [stride; 2],
                precision: Precision::F32,
                packing: PackingCache::default(),
            };
            (plan.output(), plan.is_pointwise())
        };
        assert_eq!(output(5, 1, 0, 1), ([5, 10], true));
        assert_eq!(output(5, 3, 1, 1), ([5, 10], false));
        assert_eq!(output(5, 3, 1, 2), ([3, 5], false));
        assert_eq!(output(1, 3, 0, 1), ([0, 0], false));
        assert_eq!(output(5, 1, 0, 2), ([3, 5], false));
    }
}
