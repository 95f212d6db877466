//! Activations of the layers of every block, for analyses (paper Figures 3, 4 and 7).

use std::fmt;

use burn::prelude::*;
use convnext_core::ModelConfig;

use crate::backbone::Backbone;
use crate::block_layer::BlockLayer;
use crate::error::ModelError;
use crate::site_map::SitePyramid;

/// Place of a layer in a backbone. Shown as `stages.2.8.expanded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerPlace {
    /// Stage, from 0.
    pub stage: usize,
    /// Block of the stage, from 0.
    pub block: usize,
    /// Layer of the block.
    pub layer: BlockLayer,
}

impl fmt::Display for LayerPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "stages.{}.{}.{}", self.stage, self.block, self.layer.name())
    }
}

impl Backbone {
    /// Computes whole images and hands every layer of every block to `each`, in their order: its place, the height and
    /// width of its maps, and its rows. In ordinary operations, not in the kernels, which keep no layer.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - rows: `[N H_i W_i, C_i]` or `[N H_i W_i, 4 C_i]`
    ///
    /// # Errors
    /// As [`Self::forward_maps`].
    pub fn forward_layers(
        &self,
        config: &ModelConfig,
        images: Tensor<4>,
        each: &mut dyn FnMut(LayerPlace, [usize; 2], Tensor<2>),
    ) -> Result<(), ModelError> {
        self.check_channels(&images)?;
        let [count, _, height, width] = images.dims();
        let pyramid = SitePyramid::dense(config, count, height, width, &images.device())?;
        let mut rows = self.stem.forward(images, pyramid.stage(0))?;
        for (stage, blocks) in self.stages.iter().enumerate() {
            if stage > 0 {
                rows = self.downsampling[stage - 1].forward(rows, pyramid.children(stage));
            }
            let sites = pyramid.stage(stage);
            let size = [sites.sites().height(), sites.sites().width()];
            for (block, layers) in blocks.iter().enumerate() {
                let computed = layers.forward_layers(rows, sites);
                rows = computed[BlockLayer::ALL.len() - 1].clone();
                for (layer, values) in BlockLayer::ALL.into_iter().zip(computed) {
                    each(LayerPlace { stage, block, layer }, size, values);
                }
            }
        }
        Ok(())
    }
}
