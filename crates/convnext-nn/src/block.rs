//! One residual block (paper Figure 5; "A2. Block" in `docs/facts.md`).

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;
use convnext_core::{BlockLayout, BlockParameter, InitialValue};
use convnext_kernels::Precision;

use crate::block_layers::BlockLayer;
use crate::layers::{Convolution, Grn, LayerNorm, Linear};
use crate::ops::block;
use crate::ops::block_layers::block_layers;
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
    /// A freshly initialised block of this layout, with its parameters below `scope`.
    pub fn new(layout: BlockLayout, scope: &Scope) -> Self {
        use BlockParameter as P;
        let fresh = Fresh { channels: layout.channels, scope };
        let grn = || Grn { gamma: fresh.parameter(P::GrnGamma), beta: fresh.parameter(P::GrnBeta) };
        Self {
            dwconv: Convolution::of(fresh.parameter(P::DepthwiseWeight), fresh.parameter(P::DepthwiseBias)),
            norm: LayerNorm { weight: fresh.parameter(P::NormWeight), bias: fresh.parameter(P::NormBias) },
            pwconv1: Linear::of(fresh.parameter(P::ExpandWeight), fresh.parameter(P::ExpandBias)),
            grn: layout.grn.then(grn),
            pwconv2: Linear::of(fresh.parameter(P::ProjectWeight), fresh.parameter(P::ProjectBias)),
            gamma: layout.layer_scale.then(|| fresh.parameter(P::LayerScale)),
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

    /// The values of all layers that analyses look at, in the order of [`BlockLayer::ALL`].
    pub(crate) fn forward_layers(
        &self,
        rows: Tensor<2>,
        sites: &SiteMap,
    ) -> [Tensor<2>; BlockLayer::ALL.len()] {
        let [depthwise, expanded, normalised] = block_layers(rows.clone(), self.parameters(), sites);
        let output = self.forward(rows.clone(), sites, None);
        [rows, depthwise, expanded, normalised, output]
    }

    fn parameters(&self) -> BlockParameters<Dispatch> {
        // Every field by name, so that none is forgotten here.
        let Self { dwconv, norm, pwconv1, grn, pwconv2, gamma, activations: _, precision: _, packing: _ } =
            self;
        BlockParameters {
            depthwise_weight: dwconv.weight.val().into_dispatch(),
            depthwise_bias: dwconv.bias.val().into_dispatch(),
            norm_weight: norm.weight.val().into_dispatch(),
            norm_bias: norm.bias.val().into_dispatch(),
            expand_weight: pwconv1.weight.val().into_dispatch(),
            expand_bias: pwconv1.bias.val().into_dispatch(),
            project_weight: pwconv2.weight.val().into_dispatch(),
            project_bias: pwconv2.bias.val().into_dispatch(),
            grn: match grn {
                None => GrnParameters::Absent,
                Some(grn) => GrnParameters::Present {
                    gamma: grn.gamma.val().into_dispatch(),
                    beta: grn.beta.val().into_dispatch(),
                },
            },
            layer_scale: match gamma {
                None => LayerScaleParameters::Absent,
                Some(gamma) => LayerScaleParameters::Present { gamma: gamma.val().into_dispatch() },
            },
        }
    }
}

/// The fresh parameters of a block of so many channels.
struct Fresh<'a> {
    channels: usize,
    scope: &'a Scope<'a>,
}

impl Fresh<'_> {
    /// A parameter with the name, shape and initial values that the table gives it.
    fn parameter<const D: usize>(&self, parameter: BlockParameter) -> Param<Tensor<D>> {
        let row = parameter.layout();
        let shape = row.shape(self.channels).try_into();
        let shape: [usize; D] =
            shape.unwrap_or_else(|_| unreachable!("the fields of a block have the ranks of the table"));
        match row.initial {
            InitialValue::Normal => self.scope.weight(row.name, shape),
            InitialValue::Constant(value) => self.scope.constant(shape, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use convnext_core::Seed;

    use super::*;
    use crate::values::tensor_values;
    use crate::visits::for_each_parameter;

    /// Shape and first values by name, found and as the table has them.
    #[test]
    fn a_fresh_block_is_that_of_the_table() {
        let device = Device::flex();
        for (grn, layer_scale) in [(false, false), (true, false), (false, true), (true, true)] {
            let layout = BlockLayout { channels: 3, grn, layer_scale };
            let block = Block::new(layout, &Scope::root(Seed(1), &device));
            let mut found = BTreeMap::new();
            for_each_parameter(&block, |p| {
                found.insert(p.name(), (p.shape.clone(), tensor_values(p.values())));
            });
            let expected = layout.rows().map(|row| {
                let count = row.values(layout.channels) as usize;
                let values = match row.initial {
                    InitialValue::Normal => Seed(1).initial_values(row.name, count, 0.02),
                    InitialValue::Constant(value) => vec![value as f32; count],
                };
                (row.name.to_owned(), (row.shape(layout.channels), values))
            });
            assert_eq!(found, expected.collect(), "{layout:?}");
        }
    }
}
