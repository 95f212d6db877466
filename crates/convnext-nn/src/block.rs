//! One residual block (paper Figure 5; "A2. Block" in `docs/facts.md`).

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;
use convnext_core::LAYER_SCALE_INIT;
use convnext_kernels::Precision;

use crate::layers::{Convolution, Grn, LayerNorm, Linear};
use crate::ops::block;
use crate::ops::block_plan::{Activations, BlockParameters, GrnParameters, LayerScaleParameters};
use crate::ops::packing::PackingCache;
use crate::parameters::Scope;
use crate::site_map::SiteMap;

/// Depthwise 7x7, LayerNorm, linear to 4C, GELU, GRN, linear to C, LayerScale, residual.
#[derive(Module, Debug)]
pub struct Block {
    /// Depthwise 7x7, weight `[C, 1, 7, 7]`.
    pub dwconv: Convolution,
    /// LayerNorm over C channels.
    pub norm: LayerNorm,
    /// Linear from C to 4C.
    pub pwconv1: Linear,
    /// Global Response Normalization of the 4C hidden channels (V2).
    pub grn: Option<Grn>,
    /// Linear from 4C to C.
    pub pwconv2: Linear,
    /// LayerScale, `[C]` (V1).
    pub gamma: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activations: Activations,
    #[module(skip)]
    precision: Precision,
    #[module(skip)]
    packing: PackingCache,
}

impl Block {
    /// A freshly initialised block, with or without GRN and LayerScale.
    pub fn new(channels: usize, grn: bool, layer_scale: bool, scope: &Scope) -> Self {
        Self {
            dwconv: Convolution::new([channels, 1, 7, 7], &scope.at("dwconv")),
            norm: LayerNorm::new(channels, &scope.at("norm")),
            pwconv1: Linear::new(channels, 4 * channels, 1.0, &scope.at("pwconv1")),
            grn: grn.then(|| Grn::new(4 * channels, &scope.at("grn"))),
            pwconv2: Linear::new(4 * channels, channels, 1.0, &scope.at("pwconv2")),
            gamma: layer_scale.then(|| scope.constant([channels], LAYER_SCALE_INIT)),
            activations: Activations::default(),
            precision: Precision::default(),
            packing: PackingCache::default(),
        }
    }

    /// The same block with this setting of its saved activations.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self { activations, ..self }
    }

    /// The same block with this precision of its linear layers on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, packing: PackingCache::default(), ..self }
    }

    /// Runs the block on the rows of a stage.
    ///
    /// `drop_path_scales` has drop path's factor of each image; `None` drops none.
    ///
    /// # Shapes
    /// - rows, output: `[rows, C]`
    pub fn forward(&self, rows: Tensor<2>, sites: &SiteMap, drop_path_scales: Option<Vec<f32>>) -> Tensor<2> {
        let plan = (self.activations, self.precision);
        block::block(rows, self.parameters(), sites, drop_path_scales, plan, self.packing.clone())
    }

    fn parameters(&self) -> BlockParameters<Dispatch> {
        BlockParameters {
            depthwise_weight: self.dwconv.weight.val().into_dispatch(),
            depthwise_bias: self.dwconv.bias.val().into_dispatch(),
            norm_weight: self.norm.weight.val().into_dispatch(),
            norm_bias: self.norm.bias.val().into_dispatch(),
            expand_weight: self.pwconv1.weight.val().into_dispatch(),
            expand_bias: self.pwconv1.bias.val().into_dispatch(),
            project_weight: self.pwconv2.weight.val().into_dispatch(),
            project_bias: self.pwconv2.bias.val().into_dispatch(),
            grn: match &self.grn {
                None => GrnParameters::Absent,
                Some(grn) => GrnParameters::Present {
                    gamma: grn.gamma.val().into_dispatch(),
                    beta: grn.beta.val().into_dispatch(),
                },
            },
            layer_scale: match &self.gamma {
                None => LayerScaleParameters::Absent,
                Some(gamma) => LayerScaleParameters::Present { gamma: gamma.val().into_dispatch() },
            },
        }
    }
}
