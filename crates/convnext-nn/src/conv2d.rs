//! A convolution over dense maps with any kernel size, padding and stride, as a layer.

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;
use convnext_kernels::Precision;

use crate::convolution_at::neighbourhoods;
use crate::feature_maps::FeatureMaps;
use crate::ops::convolution::convolution;
use crate::ops::convolution_plan::{ConvolutionPlan, Epilogue};
use crate::ops::linear::linear;
use crate::ops::linear_plan::LinearPlan;
use crate::ops::packing::PackingCache;
use crate::pyramid_convolution::PyramidConvolution;

/// A convolution over dense maps, with PyTorch's weight. Patchify convolutions are a [`crate::Convolution`].
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`; absent where a batch norm follows.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    settings: Settings,
}

/// What a convolution's plan holds besides the sizes of maps and kernel.
#[derive(Debug, Clone, Default)]
struct Settings {
    padding: [usize; 2],
    stride: [usize; 2],
    precision: Precision,
    packing: PackingCache,
}

impl Conv2d {
    /// A convolution of stride 1. Half the kernel is padded, so that a kernel with odd sides keeps the size of the maps.
    pub fn new(weight: Param<Tensor<4>>, bias: Option<Param<Tensor<1>>>) -> Self {
        let shape = weight.lazy_shape();
        let padding = [shape[2] / 2, shape[3] / 2];
        Self { weight, bias, settings: Settings { padding, stride: [1; 2], ..Settings::default() } }
    }

    /// The same layer with so many rows and columns of zeros on each side.
    #[must_use]
    pub fn with_padding(self, padding: [usize; 2]) -> Self {
        Self { settings: Settings { padding, ..self.settings }, ..self }
    }

    /// The same layer with these steps downwards and to the right, each at least 1.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 2]) -> Self {
        Self { settings: Settings { stride, ..self.settings }, ..self }
    }

    /// The same layer with this precision of its products on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let packing = PackingCache::default();
        Self { settings: Settings { precision, packing, ..self.settings }, ..self }
    }

    /// The convolution of maps, with the bias if there is one.
    ///
    /// # Shapes
    /// - maps: rows `[images * height * width, in]`
    /// - output: rows `[images * new height * new width, out]`
    pub fn forward(&self, maps: &FeatureMaps) -> FeatureMaps {
        let epilogue = match &self.bias {
            None => Epilogue::Plain,
            Some(bias) => Epilogue::Bias { bias: bias.val().into_dispatch() },
        };
        self.forward_with(maps, epilogue)
    }

    /// The convolution's sums after an epilogue, in place of the bias.
    pub(crate) fn forward_with(&self, maps: &FeatureMaps, epilogue: Epilogue<Dispatch>) -> FeatureMaps {
        self.convolve(maps, self.weight.val(), epilogue, self.settings.packing.clone())
    }

    /// The same with another weight of its shape in place of its own, which is packed anew.
    pub(crate) fn forward_weight_with(
        &self,
        maps: &FeatureMaps,
        weight: Tensor<4>,
        epilogue: Epilogue<Dispatch>,
    ) -> FeatureMaps {
        self.convolve(maps, weight, epilogue, PackingCache::default())
    }

    /// The same for maps side by side, those behind the first resized bilinearly to its size, with another weight in place
    /// of its own. The kernel is 3x3 and keeps the size of the maps.
    pub(crate) fn forward_pyramid_with(
        &self,
        weight: Tensor<4>,
        levels: &PyramidConvolution<'_>,
        epilogue: Epilogue<Dispatch>,
    ) -> FeatureMaps {
        let convolve = |maps: &FeatureMaps, weight: Tensor<4>| {
            self.convolve(maps, weight, epilogue, PackingCache::default())
        };
        levels.sums(weight, self.settings.precision, convolve)
    }

    /// The outputs at some places alone, with a gradient that costs no more than they do. The layer has a stride of 1 and
    /// keeps the size of the maps.
    ///
    /// # Shapes
    /// - maps: pairs of maps, rows `[images * height * width, in]`, and places, rows of their output
    /// - output: `[all places, out]`, the places of the first maps first
    ///
    /// # Panics
    /// When the layer has another stride or padding, a place is not on its maps, or without a place.
    pub fn forward_at(&self, maps: &[(&FeatureMaps, &[usize])]) -> Tensor<2> {
        let [outputs, inputs, height, width] = self.weight.lazy_shape().dims::<4>();
        let Settings { padding, stride, precision, .. } = &self.settings;
        assert_eq!(
            (*stride, *padding),
            ([1; 2], [height / 2, width / 2]),
            "the layer keeps the size of the maps"
        );
        let found = maps.iter().filter(|(_, places)| !places.is_empty());
        let rows = found.map(|(maps, places)| neighbourhoods(maps, places, [height, width])).collect();
        let weight = self.weight.val().permute([0, 2, 3, 1]).reshape([outputs, height * width * inputs]);
        let zeros = || Tensor::zeros([outputs], (&weight.device(), weight.dtype()));
        let bias = self.bias.as_ref().map_or_else(zeros, Param::val);
        linear(Tensor::cat(rows, 0), weight, bias, &LinearPlan::new(*precision))
    }

    fn convolve(
        &self,
        maps: &FeatureMaps,
        weight: Tensor<4>,
        epilogue: Epilogue<Dispatch>,
        packing: PackingCache,
    ) -> FeatureMaps {
        let [.., kernel_height, kernel_width] = self.weight.lazy_shape().dims::<4>();
        let &Settings { padding, stride, precision, .. } = &self.settings;
        let plan = ConvolutionPlan {
            images: maps.images,
            input: maps.size(),
            kernel: [kernel_height, kernel_width],
            padding,
            stride,
            precision,
            packing,
        };
        let [height, width] = plan.output();
        let rows = convolution(maps.rows.clone(), weight, epilogue, plan);
        FeatureMaps { rows, height, width, ..*maps }
    }
}
