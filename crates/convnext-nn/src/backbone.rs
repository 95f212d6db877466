//! Stem, downsampling and the four stages, on rows of sites (paper section 3; "A1. Macro structure" in
//! `docs/facts.md`).
//!
//! Notation: N images, S rows, C_i channels of stage i, H_i x W_i its map.

use burn::prelude::*;
use convnext_core::{BlockLayout, ModelConfig, STAGES};
use convnext_kernels::Precision;

use crate::batch_norm::BatchStatistics;
use crate::bf16_warning::warn_of_f32;
use crate::block::Block;
use crate::drop_path::DropPath;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::layers::{Convolution, LayerNorm};
use crate::ops::block_plan::Activations;
use crate::ops::gather::gather;
use crate::parameters::Scope;
use crate::site_map::SitePyramid;
use crate::stem::Stem;

/// LayerNorm, then a 2x2 convolution of stride 2.
#[derive(Module, Debug)]
pub struct Downsampling {
    /// Over C_{i-1} channels.
    pub norm: LayerNorm,
    /// Weight `[C_i, C_{i-1}, 2, 2]`.
    pub conv: Convolution,
}

impl Downsampling {
    /// Halves height and width, flooring: four children become one row.
    ///
    /// # Shapes
    /// - rows: `[S_{i-1}, C_{i-1}]`
    /// - children: `[4 S_i]`
    /// - output: `[S_i, C_i]`
    pub(crate) fn forward(&self, rows: Tensor<2>, children: Tensor<1, Int>) -> Tensor<2> {
        let ([_, channels], [count]) = (rows.dims(), children.dims());
        let gathered = gather(self.norm.forward(rows), children);
        self.conv.forward_gathered(gathered.reshape([count / 4, 4 * channels]))
    }
}

/// A ConvNeXt without its final norm and head: the result of pre-training, and the start of later tasks.
#[derive(Module, Debug)]
pub struct Backbone {
    /// From pixels to stage 0.
    pub stem: Stem,
    /// Before stages 1, 2 and 3.
    pub downsampling: Vec<Downsampling>,
    /// The blocks of each stage.
    pub stages: Vec<Vec<Block>>,
}

impl Backbone {
    /// A freshly initialised backbone, with its parameters below `scope`.
    pub fn new(config: &ModelConfig, scope: &Scope) -> Self {
        let widths = config.widths;
        let stem_shape = [widths[0], config.input_channels, config.stem_stride, config.stem_stride];
        let layers = scope.at("downsample_layers");
        Self {
            stem: Stem::new(stem_shape, &layers.at(0)),
            downsampling: (1..STAGES)
                .map(|stage| Downsampling {
                    norm: LayerNorm::new(widths[stage - 1], &layers.at(stage).at(0)),
                    conv: Convolution::new([widths[stage], widths[stage - 1], 2, 2], &layers.at(stage).at(1)),
                })
                .collect(),
            stages: (0..STAGES)
                .map(|stage| {
                    let scope = scope.at("stages").at(stage);
                    let layout = BlockLayout::of_stage(config, stage);
                    let block = |index| Block::new(layout, &scope.at(index));
                    (0..config.depths[stage]).map(block).collect()
                })
                .collect(),
        }
    }

    /// The same backbone with this setting of the blocks' saved activations.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        let of_stage = |blocks: Vec<Block>| {
            blocks.into_iter().map(|block| block.with_activations(activations)).collect()
        };
        Self { stages: self.stages.into_iter().map(of_stage).collect(), ..self }
    }

    /// The same backbone with this precision of its linear layers on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let Self { stem, downsampling, stages } = self;
        warn_of_f32(stages.iter().flatten(), precision);
        let of_stage =
            |blocks: Vec<Block>| blocks.into_iter().map(|block| block.with_precision(precision)).collect();
        let of_downsampling =
            |layer: Downsampling| Downsampling { conv: layer.conv.with_precision(precision), ..layer };
        Self {
            stem: stem.with_precision(precision),
            downsampling: downsampling.into_iter().map(of_downsampling).collect(),
            stages: stages.into_iter().map(of_stage).collect(),
        }
    }

    /// The rows after each stage.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[S_i, C_i]` for i = 0 to 3
    ///
    /// # Errors
    /// [`ModelError::Channels`] when the images have other channels than the stem,
    /// [`ModelError::SiteGrid`] when the sites are those of other images,
    /// [`ModelError::DropPath`] when the factors do not fit blocks and images, [`ModelError::OneValue`] when a batch norm
    /// would learn from one site.
    pub fn forward(
        &self,
        images: Tensor<4>,
        sites: &SitePyramid,
        drop_path: &DropPath,
    ) -> Result<[Tensor<2>; STAGES], ModelError> {
        self.check_channels(&images)?;
        let (blocks, count) = (self.stages.iter().map(Vec::len).sum(), images.dims()[0]);
        if !drop_path.fits(blocks, count) {
            return Err(ModelError::DropPath { blocks, images: count });
        }
        self.check_statistics(sites, &images.device())?;
        let rows = self.stem.forward(images, sites.stage(0))?;
        Ok(self.forward_stages(rows, sites, drop_path))
    }

    /// Takes what batch norms in the place of GRN saw in the last training batch, block by block.
    pub fn take_statistics(&self) -> Vec<BatchStatistics> {
        self.stages.iter().flatten().filter_map(Block::take_statistics).collect()
    }

    /// Checks that a batch norm in the place of GRN has two sites to learn its statistics from.
    pub(crate) fn check_statistics(&self, sites: &SitePyramid, device: &Device) -> Result<(), ModelError> {
        let norm = self.stages[STAGES - 1].iter().find_map(|block| block.bn.as_ref());
        let is_alone = device.is_autodiff() && sites.stage(STAGES - 1).sites().rows() < 2;
        let alone = norm.filter(|_| is_alone).map(|norm| norm.name().to_owned());
        alone.map_or(Ok(()), |layer| Err(ModelError::OneValue { layer }))
    }

    /// The maps after each stage, of whole images.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[N H_i W_i, C_i]`, height and width over stride 2^i, floored, for i = 0 to 3
    ///
    /// # Errors
    /// [`ModelError::Config`] when the images are too small, and as [`Self::forward`].
    pub fn forward_maps(
        &self,
        config: &ModelConfig,
        images: Tensor<4>,
        drop_path: &DropPath,
    ) -> Result<[FeatureMaps; STAGES], ModelError> {
        let [count, _, height, width] = images.dims();
        let sites = SitePyramid::dense(config, count, height, width, &images.device())?;
        let mut stage = 0;
        Ok(self.forward(images, &sites, drop_path)?.map(|rows| {
            let place = sites.stage(stage).sites();
            stage += 1;
            FeatureMaps { rows, images: count, height: place.height(), width: place.width() }
        }))
    }

    /// The rows after each stage, from the stem's output.
    pub(crate) fn forward_stages(
        &self,
        stem_rows: Tensor<2>,
        sites: &SitePyramid,
        drop_path: &DropPath,
    ) -> [Tensor<2>; STAGES] {
        let mut rows = stem_rows;
        let mut block_index = 0;
        std::array::from_fn(|stage| {
            if stage > 0 {
                rows = self.downsampling[stage - 1].forward(rows.clone(), sites.children(stage));
            }
            for block in &self.stages[stage] {
                let scales = drop_path.of_block(block_index);
                rows = block.forward(rows.clone(), sites.stage(stage), scales);
                block_index += 1;
            }
            rows.clone()
        })
    }

    pub(crate) fn check_channels(&self, images: &Tensor<4>) -> Result<(), ModelError> {
        let expected = self.stem.conv.weight.lazy_shape()[1];
        let found = images.dims()[1];
        if expected == found { Ok(()) } else { Err(ModelError::Channels { expected, found }) }
    }
}
