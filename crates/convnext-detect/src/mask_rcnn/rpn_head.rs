//! The head of the region proposal network: which anchors lie on an object, and how they are to move (MMDetection's
//! `RPNHead`).
//!
//! Notation: N images, H x W the maps of a level.

use burn::prelude::*;
use burn::tensor::activation::relu;
use convnext_core::{BOX_DELTAS, PLACE_ANCHORS};
use convnext_nn::{Conv2d, FeatureMaps, Precision, Scope};

use crate::mask_rcnn::initialisation::normal_conv2d;

/// Standard deviation of the first weights.
const WEIGHT_STD: f64 = 0.01;

/// The head of a region proposal network under MMDetection's names. All levels share it.
#[derive(Module, Debug)]
pub struct RpnHead {
    /// 3x3, followed by a ReLU.
    pub rpn_conv: Conv2d,
    /// 1x1 to a logit for each anchor.
    pub rpn_cls: Conv2d,
    /// 1x1 to four deltas for each anchor.
    pub rpn_reg: Conv2d,
}

/// What the region proposal network says of the anchors of some places: those of all of a level, or some of every level.
#[derive(Debug, Clone)]
pub struct RpnOutput {
    /// Logits of an object, `[places, 3]`: the anchors of a place in a row.
    pub objectness: Tensor<2>,
    /// Deltas of the boxes, `[places, 12]`: of each anchor dx, dy, dw, dh.
    pub deltas: Tensor<2>,
}

impl RpnHead {
    /// A freshly initialised head of this width, with its parameters below `scope`.
    pub(crate) fn new(width: usize, scope: &Scope) -> Self {
        let layer = |name, shape| normal_conv2d(shape, WEIGHT_STD, &scope.at(name));
        Self {
            rpn_conv: layer("rpn_conv", [width, width, 3]),
            rpn_cls: layer("rpn_cls", [PLACE_ANCHORS, width, 1]),
            rpn_reg: layer("rpn_reg", [PLACE_ANCHORS * BOX_DELTAS, width, 1]),
        }
    }

    /// The same head with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        Self {
            rpn_conv: self.rpn_conv.with_precision(precision),
            rpn_cls: self.rpn_cls.with_precision(precision),
            rpn_reg: self.rpn_reg.with_precision(precision),
        }
    }

    /// Scores and deltas of the anchors of a level.
    ///
    /// # Shapes
    /// - maps: rows `[N H W, width]`
    pub fn forward(&self, maps: &FeatureMaps) -> RpnOutput {
        let hidden = self.rpn_conv.forward(maps).relu();
        RpnOutput {
            objectness: self.rpn_cls.forward(&hidden).rows,
            deltas: self.rpn_reg.forward(&hidden).rows,
        }
    }

    /// Scores and deltas at some places of the levels, with gradients: what is learned of a few hundred anchors need not
    /// go back through all places.
    ///
    /// # Shapes
    /// - pyramid: rows `[N H W, width]`
    /// - places: of each level, any number of rows of its maps
    /// - output: rows of all places, those of the finest level first
    ///
    /// # Panics
    /// When a place is not on its maps, or without a place.
    pub fn forward_at(&self, pyramid: &[FeatureMaps], places: &[Vec<usize>]) -> RpnOutput {
        let of_levels: Vec<_> = pyramid.iter().zip(places.iter().map(Vec::as_slice)).collect();
        let rows = relu(self.rpn_conv.forward_at(&of_levels));
        let hidden = FeatureMaps { images: rows.dims()[0], rows, height: 1, width: 1 };
        RpnOutput {
            objectness: self.rpn_cls.forward(&hidden).rows,
            deltas: self.rpn_reg.forward(&hidden).rows,
        }
    }
}
