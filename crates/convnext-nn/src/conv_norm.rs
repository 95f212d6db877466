//! A convolution without bias and batch norm, without a ReLU behind it.

use burn::prelude::*;
use convnext_kernels::Precision;

use crate::batch_norm::{BatchNorm, NormStatistics};
use crate::conv2d::Conv2d;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::convolution_plan::Epilogue;
use crate::parameters::Scope;

/// A convolution without bias and batch norm, under mmcv's names `conv` and `bn`.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution, of stride 1.
    pub conv: Conv2d,
    /// The norm.
    pub bn: BatchNorm,
}

impl ConvNorm {
    /// A freshly initialised layer whose weight has this shape, `[out, in, height, width]`, drawn by Kaiming's rule.
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
            NormStatistics::Running => {
                let (weight, shift) = self.bn.fold_into(self.conv.weight.val());
                let epilogue = Epilogue::Bias { bias: shift.into_dispatch() };
                Ok(self.conv.forward_weight_with(maps, weight, epilogue))
            }
            NormStatistics::Batch(gathered) => {
                let (maps, found) = self.bn.forward_training_plain(&self.conv.forward(maps))?;
                gathered.push(found);
                Ok(maps)
            }
        }
    }
}
