//! The layout of one block: which rows of the table it has, and their sums.

use crate::block_parameter_rules::{BlockParameterKind, Presence, SiteCost};
use crate::block_parameters::{BLOCK_PARAMETERS, BlockParameterLayout};
use crate::config::ModelConfig;
use crate::decoder_config::DecoderConfig;
use crate::response_norm::ResponseNorm;

/// The layout of one block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockLayout {
    /// Channels C of its input and output.
    pub channels: usize,
    /// Normalisation of the hidden channels after the GELU.
    pub response_norm: Option<ResponseNorm>,
    /// Initial value of LayerScale at the end of the branch; `None` has none.
    pub layer_scale: Option<f64>,
}

impl BlockLayout {
    /// The blocks of a backbone's stage, counted from 0.
    pub fn of_stage(model: &ModelConfig, stage: usize) -> Self {
        let ModelConfig { response_norm, layer_scale, .. } = *model;
        Self { channels: model.widths[stage], response_norm, layer_scale }
    }

    /// The blocks of a decoder of ConvNeXt blocks.
    pub fn of_decoder(decoder: &DecoderConfig) -> Self {
        let DecoderConfig { response_norm, layer_scale, .. } = *decoder;
        Self { channels: decoder.width, response_norm, layer_scale }
    }

    /// The rows of the parameters that it has, in their order.
    pub fn rows(self) -> impl Iterator<Item = BlockParameterLayout> {
        BLOCK_PARAMETERS.into_iter().filter(move |row| self.has(row.presence))
    }

    fn has(self, presence: Presence) -> bool {
        match presence {
            Presence::Always => true,
            Presence::WithGrn => self.response_norm.is_some_and(ResponseNorm::has_grn_parameters),
            Presence::With(norm) => self.response_norm == Some(norm),
            Presence::WithLayerScale => self.layer_scale.is_some(),
        }
    }

    /// Number of its trainable values.
    pub fn parameters(self) -> u64 {
        let trained = self.rows().filter(|row| row.kind == BlockParameterKind::Learned);
        trained.map(|row| row.values(self.channels)).fold(0, u64::saturating_add)
    }

    /// Multiply-adds at one site. The linear layers of gates are not counted: they run once an image.
    pub fn macs_per_site(self) -> u64 {
        self.values_of(SiteCost::MultiplyAdds)
    }

    /// Values that its LayerNorms put out at one site.
    pub fn norm_outputs_per_site(self) -> u64 {
        self.values_of(SiteCost::NormOutputs)
    }

    fn values_of(self, cost: SiteCost) -> u64 {
        let rows = self.rows().filter(|row| row.site_cost == cost);
        rows.map(|row| row.values(self.channels)).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ResponseNorm as R;

    fn block(response_norm: Option<ResponseNorm>, layer_scale: bool) -> BlockLayout {
        BlockLayout { channels: 40, response_norm, layer_scale: layer_scale.then_some(1.0) }
    }

    /// The sums by hand: 8 C^2 + 49 C multiply-adds, 57 C values beside the linear weights, 8 C in GRN and other norms
    /// with scale and shift, C in LayerScale, 2 C^2 in gates, 98 in the one over sites.
    #[test]
    fn sums_are_those_by_hand() {
        let gates = 2 * 40 * 40;
        for (norm, layer_scale, more) in [
            (None, false, 0),
            (Some(R::Grn), false, 8 * 40),
            (None, true, 40),
            (Some(R::Grn), true, 9 * 40),
            (Some(R::Identity), false, 8 * 40),
            (Some(R::Bn), false, 8 * 40),
            (Some(R::Ln), false, 8 * 40),
            (Some(R::Lrn), false, 0),
            (Some(R::Se), false, gates),
            (Some(R::Cbam), true, gates + 98 + 40),
        ] {
            let block = block(norm, layer_scale);
            assert_eq!(block.parameters(), 8 * 40 * 40 + 57 * 40 + more, "{block:?}");
            let sites = if norm == Some(R::Cbam) { 98 } else { 0 };
            assert_eq!(block.macs_per_site(), 8 * 40 * 40 + 49 * 40 + sites, "{block:?}");
            let norms = if norm == Some(R::Ln) { 5 } else { 1 };
            assert_eq!(block.norm_outputs_per_site(), norms * 40, "{block:?}");
        }
        for norm in [R::Grn, R::Se] {
            let huge = BlockLayout { channels: usize::MAX, ..block(Some(norm), true) };
            assert_eq!(huge.parameters(), u64::MAX);
        }
    }
}
