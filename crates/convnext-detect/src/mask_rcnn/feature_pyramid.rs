//! The feature pyramid network: maps of one width on five levels, the finer ones with what the coarser ones add (MMDetection's
//! `FPN`).
//!
//! Notation: N images, C_i channels of stage i, H_l x W_l the maps of level l, W the head width.

use burn::prelude::*;
use convnext_core::{PYRAMID_LEVELS, STAGES};
use convnext_nn::{Conv2d, FeatureMaps, Precision, Scope, add_resized_nearest, subsample};

use crate::mask_rcnn::initialisation::xavier_conv2d;

/// A feature pyramid network under MMDetection's names, without norms and activations.
#[derive(Module, Debug)]
pub struct FeaturePyramid {
    /// 1x1 on each stage, C_i to W.
    pub lateral_convs: Vec<Conv2d>,
    /// 3x3 on the sums of each level but the last.
    pub fpn_convs: Vec<Conv2d>,
}

impl FeaturePyramid {
    /// A freshly initialised pyramid of this width on stages of these widths, with its parameters below `scope`.
    pub(crate) fn new(stages: &[usize; STAGES], width: usize, scope: &Scope) -> Self {
        let at = |layers: &str, stage: usize| scope.at(layers).at(stage).at("conv");
        let lateral = |stage| xavier_conv2d([width, stages[stage], 1], &at("lateral_convs", stage));
        let output = |stage| xavier_conv2d([width, width, 3], &at("fpn_convs", stage));
        Self {
            lateral_convs: (0..STAGES).map(lateral).collect(),
            fpn_convs: (0..STAGES).map(output).collect(),
        }
    }

    /// The same pyramid with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let all = |layers: Vec<Conv2d>| -> Vec<Conv2d> {
            layers.into_iter().map(|layer| layer.with_precision(precision)).collect()
        };
        Self { lateral_convs: all(self.lateral_convs), fpn_convs: all(self.fpn_convs) }
    }

    /// P2 to P6: each stage's map with the nearest neighbours of the coarser levels added to it and convolved, and every second
    /// row and column of the last of them.
    ///
    /// # Shapes
    /// - stages: rows `[N H_i W_i, C_i]`, normalised, for i = 0 to 3
    /// - output: rows `[N H_l W_l, W]`
    pub(crate) fn forward(&self, stages: &[FeatureMaps; STAGES]) -> [FeatureMaps; PYRAMID_LEVELS] {
        let mut sums: Vec<FeatureMaps> =
            self.lateral_convs.iter().zip(stages).map(|(layer, maps)| layer.forward(maps)).collect();
        for level in (1..STAGES).rev() {
            sums[level - 1] = add_resized_nearest(sums[level - 1].clone(), sums[level].clone());
        }
        let [p2, p3, p4, p5]: [FeatureMaps; STAGES] =
            std::array::from_fn(|level| self.fpn_convs[level].forward(&sums[level]));
        let p6 = subsample(&p5);
        [p2, p3, p4, p5, p6]
    }
}
