//! The paper's decoder: ConvNeXt blocks on the map of patches (section 3).

use burn::prelude::*;
use convnext_core::{BlockLayout, DecoderConfig};
use convnext_kernels::{Precision, Sites};

use crate::batch_norm::BatchStatistics;
use crate::block::Block;
use crate::decoders::patch_decoder::PatchDecoder;
use crate::encoded_stages::EncodedStages;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::block_plan::Activations;
use crate::parameters::Scope;
use crate::site_map::SiteMap;

/// ConvNeXt blocks.
#[derive(Module, Debug)]
pub struct ConvNextDecoder {
    /// Over all patches.
    pub blocks: Vec<Block>,
}

impl ConvNextDecoder {
    /// Freshly initialised blocks, with their parameters below `scope`.
    pub(crate) fn new(config: &DecoderConfig, scope: &Scope) -> Self {
        let layout = BlockLayout::of_decoder(config);
        Self { blocks: (0..config.depth).map(|index| Block::new(layout, &scope.at(index))).collect() }
    }

    /// The same decoder with this setting of the blocks' saved activations.
    pub(crate) fn with_activations(self, activations: Activations) -> Self {
        let blocks = self.blocks.into_iter().map(|block| block.with_activations(activations));
        Self { blocks: blocks.collect() }
    }

    /// The same decoder with this precision of its linear layers on the CPU.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        Self { blocks: self.blocks.into_iter().map(|block| block.with_precision(precision)).collect() }
    }
}

impl PatchDecoder for ConvNextDecoder {
    fn forward(&self, patches: FeatureMaps, _encoded: &EncodedStages) -> Result<FeatureMaps, ModelError> {
        let FeatureMaps { images, height, width, .. } = patches;
        let sites = SiteMap::new(Sites::dense(images, height, width)?, &patches.rows.device());
        let run = |rows, block: &Block| block.forward(rows, &sites, None);
        let rows = self.blocks.iter().fold(patches.rows.clone(), run);
        Ok(patches.with_rows(rows))
    }

    fn take_statistics(&self) -> Vec<BatchStatistics> {
        self.blocks.iter().filter_map(Block::take_statistics).collect()
    }
}
