//! A UNet as the decoder: from the map of patches to pixels (paper Table 1; docs/facts.md, "Decoder ablations").
//!
//! The paper does not say what its UNet is made of. This is our reading, after the decoder of SparK (`pretrain/decoder.py` of
//! github.com/keyu-tian/SparK, MIT): a step for each doubling, whose layers are SparK's. What is different: a stage is projected
//! at its kept sites by a 1x1 convolution and filled with mask tokens behind it, as in FCMAE, where SparK fills first and
//! projects with 3x3; no norm is in front of that; and pixels are predicted at removed patches alone.
//!
//! Initial values are SparK's in the layers of a step: deviation 0.02 in 3x3 convolutions, Kaiming's rule in transposed ones.
//! Projections, prediction and mask tokens have the deviation 0.02 of FCMAE's, where SparK leaves its projections to PyTorch's
//! default and draws no value of a mask token beyond 0.02.

use burn::module::Param;
use burn::prelude::*;
use convnext_core::{FcmaeConfig, UNetLayout};
use convnext_kernels::Precision;

use crate::batch_norm::{BatchStatistics, NormStatistics};
use crate::batch_statistics::LastStatistics;
use crate::conv_norm::ConvNorm;
use crate::decoders::patch_decoder::PatchDecoder;
use crate::encoded_stages::EncodedStages;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::layers::Convolution;
use crate::parameters::Scope;
use crate::transposed_conv2d::TransposedConv2d;

/// ReLU6 cuts off above this.
const RELU6: f64 = 6.0;

/// A step, which doubles height and width and halves the channels C: a transposed convolution, a convolution with batch norm
/// and ReLU6, and one with batch norm alone.
#[derive(Module, Debug)]
pub struct UNetStep {
    /// 4x4 of stride 2, weight `[C, C, 4, 4]`.
    pub up: TransposedConv2d,
    /// 3x3 with ReLU, weight `[C, C, 3, 3]`.
    pub conv1: ConvNorm,
    /// 3x3 without, weight `[C / 2, C, 3, 3]`.
    pub conv2: ConvNorm,
}

impl UNetStep {
    fn new([inputs, outputs]: [usize; 2], scope: &Scope) -> Self {
        let up = scope.at("up");
        Self {
            up: TransposedConv2d::new(
                up.kaiming_weight("weight", [inputs, inputs, 4, 4]),
                up.constant([inputs], 0.0),
            ),
            conv1: conv_norm([inputs, inputs], &scope.at("conv1")),
            conv2: conv_norm([outputs, inputs], &scope.at("conv2")).without_relu(),
        }
    }

    fn with_precision(self, precision: Precision) -> Self {
        Self {
            up: self.up.with_precision(precision),
            conv1: self.conv1.with_precision(precision),
            conv2: self.conv2.with_precision(precision),
        }
    }

    fn forward(
        &self,
        maps: &FeatureMaps,
        statistics: &mut NormStatistics,
    ) -> Result<FeatureMaps, ModelError> {
        let hidden = self.conv1.forward(&self.up.forward(maps), statistics)?;
        let hidden = hidden.with_rows(hidden.rows.clone().clamp_max(RELU6));
        self.conv2.forward(&hidden, statistics)
    }
}

/// A 3x3 convolution of so many outputs and inputs, batch norm and ReLU.
fn conv_norm([outputs, inputs]: [usize; 2], scope: &Scope) -> ConvNorm {
    ConvNorm::of(scope.at("conv").weight("weight", [outputs, inputs, 3, 3]), scope)
}

/// A skip connection from a stage of the encoder, of C_i channels, to a map of C.
#[derive(Module, Debug)]
pub struct UNetSkip {
    /// 1x1, weight `[C, C_i, 1, 1]`.
    pub proj: Convolution,
    /// The map at removed patches, `[1, C, 1, 1]`; none behind an encoder that fills them itself.
    pub mask_token: Option<Param<Tensor<4>>>,
}

impl UNetSkip {
    fn new([stage, width]: [usize; 2], has_token: bool, scope: &Scope) -> Self {
        Self {
            proj: Convolution::new([width, stage, 1, 1], &scope.at("proj")),
            mask_token: has_token.then(|| scope.weight("mask_token", [1, width, 1, 1])),
        }
    }

    /// The whole map of a stage (0 to 3).
    fn forward(&self, encoded: &EncodedStages, stage: usize) -> Result<FeatureMaps, ModelError> {
        let projected = self.proj.forward_patches(encoded.rows(stage));
        encoded.fill(stage, projected, self.mask_token.as_ref().map(Param::val))
    }
}

/// A UNet, with or without skip connections.
#[derive(Module, Debug)]
pub struct UNetDecoder {
    /// From patches to pixels.
    pub steps: Vec<UNetStep>,
    /// Behind the first steps; empty for a UNet without them.
    pub skips: Vec<UNetSkip>,
    #[module(skip)]
    statistics: LastStatistics<Vec<BatchStatistics>>,
}

impl UNetDecoder {
    /// A freshly initialised decoder, with its parameters below `scope`.
    pub(crate) fn new(config: &FcmaeConfig, scope: &Scope) -> Self {
        let (layout, has_tokens) = (UNetLayout::of(config), !config.encoder_kind.fills_removed_patches());
        let (steps, skips) = (scope.at("steps"), scope.at("skips"));
        let step = |(index, &widths): (usize, _)| UNetStep::new(widths, &steps.at(index));
        let skip = |(index, &widths): (usize, _)| UNetSkip::new(widths, has_tokens, &skips.at(index));
        Self {
            steps: layout.steps.iter().enumerate().map(step).collect(),
            skips: layout.skips.iter().enumerate().map(skip).collect(),
            statistics: LastStatistics::default(),
        }
    }

    /// The same decoder with this precision of its products on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        let skip = |skip: UNetSkip| UNetSkip { proj: skip.proj.with_precision(precision), ..skip };
        Self {
            steps: self.steps.into_iter().map(|step| step.with_precision(precision)).collect(),
            skips: self.skips.into_iter().map(skip).collect(),
            ..self
        }
    }
}

impl PatchDecoder for UNetDecoder {
    /// The map of pixels, `[N height width, D / patch]`. On a device that tracks gradients batch norms are by the statistics of
    /// the batch, which are kept for [`Self::take_statistics`], elsewhere by their running ones.
    fn forward(&self, patches: FeatureMaps, encoded: &EncodedStages) -> Result<FeatureMaps, ModelError> {
        let mut statistics = match patches.rows.device().is_autodiff() {
            true => NormStatistics::Batch(Vec::new()),
            false => NormStatistics::Running,
        };
        let mut maps = patches;
        for (index, step) in self.steps.iter().enumerate() {
            maps = step.forward(&maps, &mut statistics)?;
            if let Some(skip) = self.skips.get(index) {
                let joined = skip.forward(encoded, UNetLayout::stage(index))?;
                maps = maps.with_rows(maps.rows.clone() + joined.rows);
            }
        }
        if let NormStatistics::Batch(found) = statistics {
            self.statistics.store(found);
        }
        Ok(maps)
    }

    fn take_statistics(&self) -> Vec<BatchStatistics> {
        self.statistics.take().unwrap_or_default()
    }
}
