//! The box head: classes and boxes of regions (MMDetection's `Shared2FCBBoxHead`).
//!
//! Notation: R regions, W the head width, B the box width, K classes.

use burn::prelude::*;
use burn::tensor::activation::relu;
use convnext_core::{BOX_DELTAS, MaskRcnnConfig};
use convnext_nn::{FeatureMaps, Linear, Precision, Scope};

use crate::mask_rcnn::initialisation::{normal_linear, xavier_linear};

/// Standard deviation of the first weights of the classes.
const CLASS_STD: f64 = 0.01;

/// Standard deviation of the first weights of the boxes.
const DELTA_STD: f64 = 0.001;

/// The box head under MMDetection's names.
#[derive(Module, Debug)]
pub struct BoxHead {
    /// Two layers, each followed by a ReLU: 49 W to B, whose inputs are in the order (channel, y, x), and B to B.
    pub shared_fcs: Vec<Linear>,
    /// B to a logit for each class and, last, the background.
    pub fc_cls: Linear,
    /// B to four deltas for each class.
    pub fc_reg: Linear,
}

/// What the box head says of regions.
#[derive(Debug, Clone)]
pub struct BoxOutput {
    /// Logits of the classes and, last, of the background, `[R, K + 1]`.
    pub scores: Tensor<2>,
    /// Deltas of the box of each class, `[R, 4K]`: dx, dy, dw, dh of the first class, and so on.
    pub deltas: Tensor<2>,
}

impl BoxHead {
    /// A freshly initialised head, with its parameters below `scope`.
    pub(crate) fn new(head: &MaskRcnnConfig, classes: usize, scope: &Scope) -> Self {
        let hidden = head.box_width;
        let shared =
            |index: usize, inputs| xavier_linear([hidden, inputs], &scope.at("shared_fcs").at(index));
        Self {
            shared_fcs: vec![shared(0, head.box_inputs()), shared(1, hidden)],
            fc_cls: normal_linear([classes + 1, hidden], CLASS_STD, &scope.at("fc_cls")),
            fc_reg: normal_linear([classes * BOX_DELTAS, hidden], DELTA_STD, &scope.at("fc_reg")),
        }
    }

    /// The same head with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let shared = self.shared_fcs.into_iter().map(|layer| layer.with_precision(precision));
        Self {
            shared_fcs: shared.collect(),
            fc_cls: self.fc_cls.with_precision(precision),
            fc_reg: self.fc_reg.with_precision(precision),
        }
    }

    /// Classes and boxes of regions; of none where there are none.
    ///
    /// # Shapes
    /// - regions: R maps of 7 x 7, rows `[R * 49, W]`
    pub fn forward(&self, regions: &FeatureMaps) -> BoxOutput {
        let outputs = |layer: &Linear| layer.bias.lazy_shape()[0];
        if regions.images == 0 {
            let none = |layer| Tensor::zeros([0, outputs(layer)], &regions.rows.device());
            return BoxOutput { scores: none(&self.fc_cls), deltas: none(&self.fc_reg) };
        }
        // The weight is PyTorch's, for channels first. It is the rows that are put into this order, not the weight: they are no
        // more values for a thousand regions, and a packed weight stays good from one inference to the next.
        let [channels, places] = [regions.channels(), regions.height * regions.width];
        let mut hidden = regions.clone().into_tensor().reshape([regions.images, channels * places]);
        for layer in &self.shared_fcs {
            hidden = relu(layer.forward(hidden));
        }
        BoxOutput { scores: self.fc_cls.forward(hidden.clone()), deltas: self.fc_reg.forward(hidden) }
    }
}
