//! One residual block (paper Figure 5; "A2. Block" in `docs/facts.md`).

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;
use convnext_core::{BlockLayout, BlockParameter, InitialValue, LAYER_SCALE_INIT, MLP_RATIO, ResponseNorm};
use convnext_kernels::Precision;

use crate::batch_norm::{BatchNorm, BatchStatistics};
use crate::batch_statistics::LastStatistics;
use crate::block_layer::BlockLayer;
use crate::gates::{Cbam, Kernel, LinearWeight, SqueezeExcite};
use crate::layers::{Convolution, Grn, LayerNorm, Linear};
use crate::ops::block::{block, block_by_batch, block_layers};
use crate::ops::block_plan::{
    Activations, BlockParameters, BlockPlan, LayerScaleParameters, ResponseParameters,
};
use crate::ops::packing::PackingCache;
use crate::parameters::Scope;
use crate::site_map::SiteMap;

/// Depthwise 7x7, LayerNorm, linear to 4C, GELU, GRN or what stands in its place, linear to C, LayerScale, residual.
#[derive(Module, Debug)]
pub struct Block {
    /// Depthwise 7x7, weight `[C, 1, 7, 7]`.
    pub dwconv: Convolution,
    /// LayerNorm over C channels.
    pub norm: LayerNorm,
    /// Linear from C to 4C.
    pub pwconv1: Linear,
    /// Global Response Normalization of the 4C hidden channels (V2), or a variant of it.
    pub grn: Option<Grn>,
    /// Batch norm in the place of GRN.
    pub bn: Option<BatchNorm>,
    /// LayerNorm in the place of GRN.
    pub ln: Option<LayerNorm>,
    /// Squeeze and excite in the place of GRN.
    pub se: Option<SqueezeExcite>,
    /// CBAM in the place of GRN.
    pub cbam: Option<Cbam>,
    /// Linear from 4C to C.
    pub pwconv2: Linear,
    /// LayerScale, `[C]` (V1).
    pub gamma: Option<Param<Tensor<1>>>,
    #[module(skip)]
    response_norm: Option<ResponseNorm>,
    #[module(skip)]
    statistics: LastStatistics,
    #[module(skip)]
    activations: Activations,
    #[module(skip)]
    precision: Precision,
    #[module(skip)]
    packing: PackingCache,
}

impl Block {
    /// A freshly initialised block of this layout, with its parameters below `scope`.
    pub fn new(layout: BlockLayout, scope: &Scope) -> Self {
        use BlockParameter as P;
        let fresh = Fresh { layout, scope };
        let linear = |parameter| LinearWeight { weight: fresh.parameter(parameter) };
        let norm = |weight, bias| LayerNorm { weight: fresh.parameter(weight), bias: fresh.parameter(bias) };
        let grn = || Grn { gamma: fresh.parameter(P::GrnGamma), beta: fresh.parameter(P::GrnBeta) };
        let se = || SqueezeExcite { fc1: linear(P::SqueezeWeight), fc2: linear(P::ExciteWeight) };
        let cbam = || Cbam {
            fc1: linear(P::ChannelGateReduce),
            fc2: linear(P::ChannelGateExpand),
            conv: Kernel { weight: fresh.parameter(P::SpatialGateWeight) },
        };
        let has = |norm| layout.response_norm == Some(norm);
        Self {
            dwconv: Convolution::of(fresh.parameter(P::DepthwiseWeight), fresh.parameter(P::DepthwiseBias)),
            norm: norm(P::NormWeight, P::NormBias),
            pwconv1: Linear::of(fresh.parameter(P::ExpandWeight), fresh.parameter(P::ExpandBias)),
            grn: layout.response_norm.is_some_and(ResponseNorm::has_grn_parameters).then(grn),
            bn: has(ResponseNorm::Bn).then(|| BatchNorm::new(layout.channels * MLP_RATIO, &scope.at("bn"))),
            ln: has(ResponseNorm::Ln).then(|| norm(P::LayerNormWeight, P::LayerNormBias)),
            se: has(ResponseNorm::Se).then(se),
            cbam: has(ResponseNorm::Cbam).then(cbam),
            pwconv2: Linear::of(fresh.parameter(P::ProjectWeight), fresh.parameter(P::ProjectBias)),
            gamma: layout.layer_scale.is_some().then(|| fresh.parameter(P::LayerScale)),
            response_norm: layout.response_norm,
            statistics: LastStatistics::default(),
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
    /// `drop_path_scales` has drop path's factor of each image; `None` drops none. On a device that tracks gradients a
    /// batch norm is by the statistics of the batch, which are stored for [`Self::take_statistics`], elsewhere by its
    /// running ones.
    ///
    /// # Shapes
    /// - rows, output: `[rows, C]`
    pub fn forward(&self, rows: Tensor<2>, sites: &SiteMap, drop_path_scales: Option<Vec<f32>>) -> Tensor<2> {
        let plan = self.plan(sites, drop_path_scales);
        if self.bn.is_none() || !rows.device().is_autodiff() {
            return block(rows, self.parameters(), sites, plan);
        }
        let (output, statistics) = block_by_batch(rows, self.parameters(), sites, &plan);
        if let Some(statistics) = statistics {
            self.statistics.store(statistics);
        }
        output
    }

    /// The values of all layers that analyses look at, in the order of [`BlockLayer::ALL`]; no image is dropped, and a batch
    /// norm is by its running statistics.
    pub(crate) fn forward_layers(
        &self,
        rows: Tensor<2>,
        sites: &SiteMap,
    ) -> [Tensor<2>; BlockLayer::ALL.len()] {
        let plan = self.plan(sites, None);
        let [depthwise, expanded, normalised, output] =
            block_layers(rows.clone(), self.parameters(), sites, &plan);
        [rows, depthwise, expanded, normalised, output]
    }

    fn plan(&self, sites: &SiteMap, drop_path_scales: Option<Vec<f32>>) -> BlockPlan {
        BlockPlan {
            sites: sites.sites().clone(),
            drop_path_scales,
            response_norm: self.response_norm,
            activations: self.activations,
            precision: self.precision,
            packing: Some(self.packing.clone()),
        }
    }

    /// The normalisation of the hidden channels.
    pub fn response_norm(&self) -> Option<ResponseNorm> {
        self.response_norm
    }

    /// Takes what the batch norm in the place of GRN saw in the last training batch; `None` where there is none.
    pub fn take_statistics(&self) -> Option<BatchStatistics> {
        let ([mean, variance], norm) = self.statistics.take().zip(self.bn.as_ref())?;
        Some(BatchStatistics { name: norm.name().to_owned(), mean, variance })
    }

    /// Stores what the batch norm sees, for [`Self::take_statistics`].
    pub(crate) fn store_statistics(&self, statistics: [Tensor<1>; 2]) {
        self.statistics.store(statistics);
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
            response: self.response_parameters(),
            layer_scale: match &self.gamma {
                None => LayerScaleParameters::Absent,
                Some(gamma) => LayerScaleParameters::Present { gamma: gamma.val().into_dispatch() },
            },
        }
    }

    fn response_parameters(&self) -> ResponseParameters<Dispatch> {
        // A block has one of these fields at most. Nothing asks for the arm of a new one but the golden values of its
        // gradients (`tests/response_norms.rs`).
        match self {
            Self { grn: Some(Grn { gamma, beta }), .. } => ResponseParameters::Grn {
                gamma: gamma.val().into_dispatch(),
                beta: beta.val().into_dispatch(),
            },
            Self { bn: Some(norm), .. } => ResponseParameters::BatchNorm {
                weight: norm.weight.val().into_dispatch(),
                bias: norm.bias.val().into_dispatch(),
                mean: norm.running_mean.get().val().into_dispatch(),
                variance: norm.running_var.get().val().into_dispatch(),
            },
            Self { ln: Some(LayerNorm { weight, bias }), .. } => ResponseParameters::LayerNorm {
                weight: weight.val().into_dispatch(),
                bias: bias.val().into_dispatch(),
            },
            Self { se: Some(SqueezeExcite { fc1, fc2 }), .. } => ResponseParameters::SqueezeExcite {
                reduce: fc1.weight.val().into_dispatch(),
                expand: fc2.weight.val().into_dispatch(),
            },
            Self { cbam: Some(Cbam { fc1, fc2, conv }), .. } => ResponseParameters::Cbam {
                reduce: fc1.weight.val().into_dispatch(),
                expand: fc2.weight.val().into_dispatch(),
                kernel: conv.weight.val().into_dispatch(),
            },
            Self { grn: None, bn: None, ln: None, se: None, cbam: None, .. } => ResponseParameters::Absent,
        }
    }
}

/// The fresh parameters of a block of this layout.
struct Fresh<'a> {
    layout: BlockLayout,
    scope: &'a Scope<'a>,
}

impl Fresh<'_> {
    /// A parameter with the name, shape and initial values that the table gives it.
    fn parameter<const D: usize>(&self, parameter: BlockParameter) -> Param<Tensor<D>> {
        let row = parameter.layout();
        let shape = row.shape(self.layout.channels).try_into();
        let shape: [usize; D] =
            shape.unwrap_or_else(|_| unreachable!("the fields of a block have the ranks of the table"));
        match row.initial {
            InitialValue::Normal => self.scope.weight(row.name, shape),
            InitialValue::Constant(value) => self.scope.constant(shape, value),
            InitialValue::LayerScale => {
                self.scope.constant(shape, self.layout.layer_scale.unwrap_or(LAYER_SCALE_INIT))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use convnext_core::{BlockParameterKind, Seed};

    use super::*;
    use crate::values::tensor_values;
    use crate::visits::for_each_parameter;

    /// Shape and first values by name, found and as the table has them.
    #[test]
    fn a_fresh_block_is_that_of_the_table() {
        let device = Device::flex();
        let norms = ResponseNorm::ALL.map(Some).into_iter().chain([None]);
        let layouts = norms.flat_map(|response_norm| {
            [None, Some(0.5)].map(|layer_scale| BlockLayout { channels: 3, response_norm, layer_scale })
        });
        for layout in layouts {
            let block = Block::new(layout, &Scope::root(Seed(1), &device));
            let mut found = BTreeMap::new();
            for_each_parameter(&block, |p| {
                found.insert(p.name(), (p.shape.clone(), tensor_values(p.values())));
            });
            let floats = layout.rows().filter(|row| row.kind != BlockParameterKind::Counter);
            let expected = floats.map(|row| {
                let count = row.values(layout.channels) as usize;
                let values = match row.initial {
                    InitialValue::Normal => Seed(1).initial_values(row.name, count, 0.02),
                    InitialValue::Constant(value) => vec![value as f32; count],
                    InitialValue::LayerScale => vec![0.5; count],
                };
                (row.name.to_owned(), (row.shape(layout.channels), values))
            });
            assert_eq!(found, expected.collect(), "{layout:?}");
            let counters = layout.rows().filter(|row| row.kind == BlockParameterKind::Counter);
            assert!(counters.map(|row| row.name.to_owned()).eq(crate::counters(&block).into_keys()));
        }
    }
}
