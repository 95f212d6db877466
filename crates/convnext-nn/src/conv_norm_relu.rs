//! A convolution without bias, batch norm and ReLU: mmcv's `ConvModule`, of which decode heads are made.

use burn::prelude::*;
use convnext_kernels::Precision;

use crate::batch_norm::{BatchNorm, NormStatistics};
use crate::conv2d::Conv2d;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::parameters::Scope;

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
            NormStatistics::Batch(gathered) => {
                let (maps, found) = self.bn.forward_training(&self.conv.forward(maps))?;
                gathered.push(found);
                Ok(maps)
            }
        }
    }
}
