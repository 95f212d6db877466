//! A convolution without bias, batch norm, and ReLU or nothing behind it: mmcv's `ConvModule`, of which decode heads are made.

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;
use burn::tensor::activation::relu;
use convnext_kernels::Precision;

use crate::batch_norm::{BatchNorm, NormStatistics};
use crate::conv2d::Conv2d;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::convolution_plan::Epilogue;
use crate::parameters::Scope;
use crate::pyramid_convolution::PyramidConvolution;

/// A convolution without bias, batch norm, and ReLU unless it is left out, under mmcv's names `conv` and `bn`.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution, of stride 1.
    pub conv: Conv2d,
    /// The norm.
    pub bn: BatchNorm,
    #[module(skip)]
    has_relu: bool,
}

impl ConvNorm {
    /// A freshly initialised layer whose weight has this shape, `[out, in, height, width]`; mmcv draws it by Kaiming's rule.
    pub fn new(shape: [usize; 4], scope: &Scope) -> Self {
        Self::of(scope.at("conv").kaiming_weight("weight", shape), scope)
    }

    /// A layer of this weight, `[out, in, height, width]`, with a fresh norm.
    pub fn of(weight: Param<Tensor<4>>, scope: &Scope) -> Self {
        let [outputs, _, _, _] = weight.lazy_shape().dims();
        Self { conv: Conv2d::new(weight, None), bn: BatchNorm::new(outputs, &scope.at("bn")), has_relu: true }
    }

    /// The same layer without ReLU.
    #[must_use]
    pub fn without_relu(self) -> Self {
        Self { has_relu: false, ..self }
    }

    /// The same layer with this precision of its products on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { conv: self.conv.with_precision(precision), ..self }
    }

    /// The layer by these statistics; those of the batch are added to them.
    ///
    /// # Shapes
    /// - maps: rows `[R, in]`
    /// - output: rows `[R, out]`
    ///
    /// # Errors
    /// [`ModelError::OneValue`] when the statistics are those of a batch with one row.
    pub fn forward(
        &self,
        maps: &FeatureMaps,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        match statistics {
            NormStatistics::Running if self.has_relu => Ok(self.conv.forward_with(maps, self.bn.epilogue())),
            NormStatistics::Running => {
                let (weight, epilogue) = self.folded();
                Ok(self.conv.forward_weight_with(maps, weight, epilogue))
            }
            of_batch => self.normalise(&self.conv.forward(maps), of_batch),
        }
    }

    /// The layer on maps side by side, those behind the first resized bilinearly to its size; its kernel is 3x3.
    ///
    /// # Shapes
    /// - finest: rows `[R, C_0]`
    /// - coarser: rows of any number, with so many channels that all together have `in`
    /// - output: rows `[R, out]`
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_pyramid(
        &self,
        finest: &FeatureMaps,
        coarser: &[FeatureMaps],
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let levels = PyramidConvolution { finest, coarser };
        match statistics {
            NormStatistics::Running => {
                let (weight, epilogue) = self.folded();
                let sums = self.conv.forward_pyramid_with(weight, &levels, epilogue);
                Ok(if self.has_relu { sums.with_rows(relu(sums.rows.clone())) } else { sums })
            }
            of_batch => {
                let weight = self.conv.weight.val();
                self.normalise(&self.conv.forward_pyramid_with(weight, &levels, Epilogue::Plain), of_batch)
            }
        }
    }

    /// The weight with the norm by its running statistics in it, and the bias that this takes.
    fn folded(&self) -> (Tensor<4>, Epilogue<Dispatch>) {
        let (weight, shift) = self.bn.fold_into(self.conv.weight.val());
        (weight, Epilogue::Bias { bias: shift.into_dispatch() })
    }

    /// What stands behind the convolution, by the batch's statistics, which are added to the others; nothing by running ones.
    fn normalise(
        &self,
        sums: &FeatureMaps,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let (maps, found) = match statistics {
            NormStatistics::Batch(_) if self.has_relu => self.bn.forward_training(sums)?,
            NormStatistics::Batch(_) => self.bn.forward_training_plain(sums)?,
            NormStatistics::Shared(_, batch) => {
                let (maps, found) = self.bn.forward_shared(sums, batch)?;
                (if self.has_relu { maps.with_rows(relu(maps.rows.clone())) } else { maps }, found)
            }
            NormStatistics::Running => return Ok(sums.clone()),
        };
        statistics.add(found);
        Ok(maps)
    }
}
