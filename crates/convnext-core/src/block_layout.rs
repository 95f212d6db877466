//! The layout of one block: which rows of the table it has, and their sums.

use crate::block_parameters::{BLOCK_PARAMETERS, BlockParameterLayout, Presence, SiteCost};
use crate::config::{DecoderConfig, ModelConfig};

/// The layout of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLayout {
    /// Channels C of its input and output.
    pub channels: usize,
    /// Global Response Normalization after the GELU.
    pub grn: bool,
    /// LayerScale at the end of the branch.
    pub layer_scale: bool,
}

impl BlockLayout {
    /// The blocks of a backbone's stage, counted from 0.
    pub fn of_stage(model: &ModelConfig, stage: usize) -> Self {
        Self { channels: model.widths[stage], grn: model.grn, layer_scale: model.layer_scale }
    }

    /// The blocks of a decoder.
    pub fn of_decoder(decoder: &DecoderConfig) -> Self {
        Self { channels: decoder.width, grn: decoder.grn, layer_scale: decoder.layer_scale }
    }

    /// The rows of the parameters that it has, in their order.
    pub fn rows(self) -> impl Iterator<Item = BlockParameterLayout> {
        BLOCK_PARAMETERS.into_iter().filter(move |row| self.has(row.presence))
    }

    /// Number of its parameters as tensors: a constant, because the type of a block's node in a graph has it.
    pub const fn tensors(self) -> usize {
        let (mut count, mut index) = (0, 0);
        while index < BLOCK_PARAMETERS.len() {
            count += self.has(BLOCK_PARAMETERS[index].presence) as usize;
            index += 1;
        }
        count
    }

    const fn has(self, presence: Presence) -> bool {
        match presence {
            Presence::Always => true,
            Presence::WithGrn => self.grn,
            Presence::WithLayerScale => self.layer_scale,
        }
    }

    /// Number of its trainable values.
    pub fn parameters(self) -> u64 {
        self.rows().map(|row| row.values(self.channels)).fold(0, u64::saturating_add)
    }

    /// Multiply-adds at one site.
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

    const BOTH: BlockLayout = BlockLayout { channels: 40, grn: true, layer_scale: true };

    /// The sums by hand: 8 C^2 + 49 C multiply-adds, 57 C values beside the linear weights, 8 C in GRN, C in
    /// LayerScale.
    #[test]
    fn sums_are_those_by_hand() {
        for (grn, layer_scale, per_channel) in
            [(false, false, 57), (true, false, 65), (false, true, 58), (true, true, 66)]
        {
            let block = BlockLayout { grn, layer_scale, ..BOTH };
            assert_eq!(block.parameters(), 8 * 40 * 40 + per_channel * 40);
            assert_eq!(block.macs_per_site(), 8 * 40 * 40 + 49 * 40);
            assert_eq!(block.norm_outputs_per_site(), 40);
            assert_eq!(block.tensors(), block.rows().count());
        }
        let huge = BlockLayout { channels: usize::MAX, ..BOTH };
        assert_eq!(huge.parameters(), u64::MAX);
    }
}
