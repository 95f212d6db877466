//! UperNet's decode head: pyramid pooling of the last stage, a top-down feature pyramid, and their fusion at the size of the
//! first stage (mmsegmentation's `UPerHead`).
//!
//! Notation: C_i channels of stage i, H_i x W_i its maps, W the head width, K classes.

use burn::prelude::*;
use convnext_core::{ModelConfig, POOL_SCALES, STAGES};
use convnext_nn::{Conv2d, ConvNorm, FeatureMaps, ModelError, NormStatistics, Precision, Scope, add_resized};

use crate::upernet::classifier::{classifier, with_dropout};
use crate::upernet::pyramid_pooling::pool_pyramid;

/// UperNet's decode head under mmsegmentation's names.
#[derive(Module, Debug)]
pub struct DecodeHead {
    /// 1x1 behind each pool, C_3 to W.
    pub psp_modules: Vec<ConvNorm>,
    /// 3x3 behind the pyramid pooling, C_3 + 4 W to W.
    pub bottleneck: ConvNorm,
    /// 1x1 on stages 0 to 2, C_i to W.
    pub lateral_convs: Vec<ConvNorm>,
    /// 3x3 on the sums of stages 0 to 2.
    pub fpn_convs: Vec<ConvNorm>,
    /// 3x3 on the four levels side by side, 4 W to W.
    pub fpn_bottleneck: ConvNorm,
    /// 1x1 to the classes.
    pub conv_seg: Conv2d,
}

impl DecodeHead {
    /// A freshly initialised head of this width, with its parameters below `scope`.
    pub(crate) fn new(backbone: &ModelConfig, width: usize, scope: &Scope) -> Self {
        let last = backbone.last_width();
        let layer = |name: &str, inputs: usize, side: usize| {
            ConvNorm::new([width, inputs, side, side], &scope.at(name))
        };
        let pooled = |index| layer(&format!("psp_modules.{index}.1"), last, 1);
        let lateral = |stage: usize| layer(&format!("lateral_convs.{stage}"), backbone.widths[stage], 1);
        Self {
            psp_modules: (0..POOL_SCALES.len()).map(pooled).collect(),
            bottleneck: layer("bottleneck", last + POOL_SCALES.len() * width, 3),
            lateral_convs: (0..STAGES - 1).map(lateral).collect(),
            fpn_convs: (0..STAGES - 1).map(|stage| layer(&format!("fpn_convs.{stage}"), width, 3)).collect(),
            fpn_bottleneck: layer("fpn_bottleneck", STAGES * width, 3),
            conv_seg: classifier(width, backbone.classes, scope),
        }
    }

    /// The same head with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let all =
            |layers: Vec<ConvNorm>| layers.into_iter().map(|layer| layer.with_precision(precision)).collect();
        Self {
            psp_modules: all(self.psp_modules),
            bottleneck: self.bottleneck.with_precision(precision),
            lateral_convs: all(self.lateral_convs),
            fpn_convs: all(self.fpn_convs),
            fpn_bottleneck: self.fpn_bottleneck.with_precision(precision),
            conv_seg: self.conv_seg.with_precision(precision),
        }
    }

    /// The logits at the size of the first stage.
    ///
    /// # Shapes
    /// - stages: rows `[N H_i W_i, C_i]`, normalised, for i = 0 to 3
    /// - dropout: factors `[N * W]`, or none
    /// - output: rows `[N H_0 W_0, K]`
    pub(crate) fn forward(
        &self,
        stages: &[FeatureMaps; STAGES],
        dropout: Option<Vec<f32>>,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let levels = self.levels(stages, statistics)?;
        let fused = self.fuse(levels, statistics)?;
        Ok(self.conv_seg.forward(&with_dropout(fused, dropout)?))
    }

    /// The four levels of the pyramid, each with what the coarser ones add: `[N H_i W_i, W]`.
    fn levels(
        &self,
        stages: &[FeatureMaps; STAGES],
        statistics: &mut NormStatistics,
    ) -> Result<Vec<FeatureMaps>, ModelError> {
        let mut levels = Vec::with_capacity(STAGES);
        for (lateral, maps) in self.lateral_convs.iter().zip(stages) {
            levels.push(lateral.forward(maps, statistics)?);
        }
        let last = &stages[STAGES - 1];
        let pooled = pool_pyramid(last, &self.psp_modules, statistics)?;
        levels.push(self.bottleneck.forward_pyramid(last, &pooled, statistics)?);
        for level in (1..STAGES).rev() {
            levels[level - 1] = add_resized(levels[level - 1].clone(), levels[level].clone());
        }
        Ok(levels)
    }

    /// The levels, all but the coarsest convolved, side by side at the size of the finest and mixed: `[N H_0 W_0, W]`.
    fn fuse(
        &self,
        levels: Vec<FeatureMaps>,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let mut outputs = Vec::with_capacity(STAGES);
        for (level, maps) in levels.into_iter().enumerate() {
            outputs.push(match self.fpn_convs.get(level) {
                Some(layer) => layer.forward(&maps, statistics)?,
                None => maps,
            });
        }
        let finest = outputs.remove(0);
        self.fpn_bottleneck.forward_pyramid(&finest, &outputs, statistics)
    }
}
