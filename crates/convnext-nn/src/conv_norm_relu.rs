//! A convolution without bias, batch norm and ReLU: mmcv's `ConvModule`, of which decode heads are made.

use burn::prelude::*;
use burn::tensor::activation::relu;
use convnext_kernels::Precision;

use crate::batch_norm::{BatchNorm, BatchStatistics, NormStatistics};
use crate::conv2d::Conv2d;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::convolution_plan::Epilogue;
use crate::parameters::Scope;
use crate::pyramid_convolution::PyramidConvolution;

/// A convolution without bias, batch norm and ReLU, under mmcv's names `conv` and `bn`.
#[derive(Module, Debug)]
pub struct ConvNormRelu {
    /// The convolution, of stride 1.
    pub conv: Conv2d,
    /// The norm.
    pub bn: BatchNorm,
}

impl ConvNormRelu {
    /// A freshly initialised layer whose weight has this shape, `[out, in, height, width]`; mmcv draws it by Kaiming's rule.
    pub fn new(shape: [usize; 4], scope: &Scope) -> Self {
        let weight = scope.at("conv").kaiming_weight("weight", shape);
        Self { conv: Conv2d::new(weight, None), bn: BatchNorm::new(shape[0], &scope.at("bn")) }
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
            NormStatistics::Running => Ok(self.conv.forward_with(maps, self.bn.epilogue())),
            NormStatistics::Batch(gathered) => self.normalise(&self.conv.forward(maps), gathered),
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
                let (weight, shift) = self.bn.fold_into(self.conv.weight.val());
                let epilogue = Epilogue::Bias { bias: shift.into_dispatch() };
                let sums = self.conv.forward_pyramid_with(weight, &levels, epilogue);
                Ok(sums.with_rows(relu(sums.rows.clone())))
            }
            NormStatistics::Batch(gathered) => {
                let weight = self.conv.weight.val();
                self.normalise(&self.conv.forward_pyramid_with(weight, &levels, Epilogue::Plain), gathered)
            }
        }
    }

    /// The batch norm by the batch's statistics, which are added to the others.
    fn normalise(
        &self,
        sums: &FeatureMaps,
        gathered: &mut Vec<BatchStatistics>,
    ) -> Result<FeatureMaps, ModelError> {
        let (maps, found) = self.bn.forward_training(sums)?;
        gathered.push(found);
        Ok(maps)
    }
}
