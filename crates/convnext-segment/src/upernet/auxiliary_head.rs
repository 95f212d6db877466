//! The auxiliary head on the third stage, which only training uses (mmsegmentation's `FCNHead`).

use burn::prelude::*;
use convnext_core::ModelConfig;
use convnext_nn::{Conv2d, ConvNorm, FeatureMaps, ModelError, NormStatistics, Precision, Scope};

use crate::upernet::classifier::{classifier, with_dropout};

/// The stage whose maps the auxiliary head takes, counted from 0.
pub(crate) const AUXILIARY_STAGE: usize = 2;

/// A fully convolutional head under mmsegmentation's names.
#[derive(Module, Debug)]
pub struct AuxiliaryHead {
    /// One 3x3 convolution.
    pub convs: Vec<ConvNorm>,
    /// 1x1 to the classes.
    pub conv_seg: Conv2d,
}

impl AuxiliaryHead {
    /// A freshly initialised head of this width, with its parameters below `scope`.
    pub(crate) fn new(backbone: &ModelConfig, width: usize, scope: &Scope) -> Self {
        let shape = [width, backbone.widths[AUXILIARY_STAGE], 3, 3];
        Self {
            convs: vec![ConvNorm::new(shape, &scope.at("convs").at(0))],
            conv_seg: classifier(width, backbone.classes, scope),
        }
    }

    /// The same head with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        Self {
            convs: self.convs.into_iter().map(|layer| layer.with_precision(precision)).collect(),
            conv_seg: self.conv_seg.with_precision(precision),
        }
    }

    /// The logits at the size of the stage.
    ///
    /// # Shapes
    /// - maps: rows `[N H_2 W_2, C_2]`, normalised
    /// - dropout: factors `[N * width]`, or none
    /// - output: rows `[N H_2 W_2, classes]`
    pub(crate) fn forward(
        &self,
        maps: &FeatureMaps,
        dropout: Option<Vec<f32>>,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let mut maps = maps.clone();
        for layer in &self.convs {
            maps = layer.forward(&maps, statistics)?;
        }
        Ok(self.conv_seg.forward(&with_dropout(maps, dropout)?))
    }
}
