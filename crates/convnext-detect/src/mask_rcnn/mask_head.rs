//! The mask head: a mask of each class for regions (MMDetection's `FCNMaskHead`).
//!
//! Notation: R regions, W the head width, K classes.

use burn::prelude::*;
use convnext_core::MASK_CONVOLUTIONS;
use convnext_nn::{Conv2d, FeatureMaps, Precision, Scope, TransposedConv2d};

use crate::mask_rcnn::initialisation::kaiming_conv2d;

/// The mask head under MMDetection's names. A ReLU follows each layer but the last.
#[derive(Module, Debug)]
pub struct MaskHead {
    /// Four 3x3 convolutions.
    pub convs: Vec<Conv2d>,
    /// 2x2 of stride 2, transposed.
    pub upsample: TransposedConv2d,
    /// 1x1 to a logit for each class.
    pub conv_logits: Conv2d,
}

impl MaskHead {
    /// A freshly initialised head of this width, with its parameters below `scope`.
    pub(crate) fn new(width: usize, classes: usize, scope: &Scope) -> Self {
        let layer = |index: usize| kaiming_conv2d([width, width, 3], &scope.at("convs").at(index).at("conv"));
        let upsample = scope.at("upsample");
        let weight = upsample.kaiming_weight("weight", [width, width, 2, 2]);
        Self {
            convs: (0..MASK_CONVOLUTIONS).map(layer).collect(),
            upsample: TransposedConv2d::new(weight, upsample.constant([width], 0.0)),
            conv_logits: kaiming_conv2d([classes, width, 1], &scope.at("conv_logits")),
        }
    }

    /// The same head with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        Self {
            convs: self.convs.into_iter().map(|layer| layer.with_precision(precision)).collect(),
            upsample: self.upsample.with_precision(precision),
            conv_logits: self.conv_logits.with_precision(precision),
        }
    }

    /// Logits of each class at twice the size of the regions' maps; of no region where there are none.
    ///
    /// # Shapes
    /// - regions: R maps of 14 x 14, rows `[R * 196, W]`
    /// - output: R maps of 28 x 28, rows `[R * 784, K]`
    pub fn forward(&self, regions: &FeatureMaps) -> FeatureMaps {
        if regions.images == 0 {
            let classes = self.conv_logits.weight.lazy_shape()[0];
            let rows = Tensor::zeros([0, classes], &regions.rows.device());
            return FeatureMaps { rows, images: 0, height: 2 * regions.height, width: 2 * regions.width };
        }
        let mut maps = regions.clone();
        for layer in &self.convs {
            maps = layer.forward(&maps).relu();
        }
        self.conv_logits.forward(&self.upsample.forward(&maps).relu())
    }
}
