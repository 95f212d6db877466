//! Stem, downsampling and the four stages, on rows of sites (paper section 3; "A1. Macro structure" in
//! `docs/facts.md`).
//!
//! Notation: N images, S rows, C_i channels of stage i, H_i x W_i its map.

use std::sync::{Arc, Mutex, PoisonError};

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
use crate::site_map::{SiteMap, SitePyramid, index_tensor};

/// A patchify convolution (stride = kernel size), then LayerNorm.
#[derive(Module, Debug)]
pub struct Stem {
    /// Weight `[C_0, input channels, stride, stride]`.
    pub conv: Convolution,
    /// Over C_0 channels.
    pub norm: LayerNorm,
    #[module(skip)]
    indices: IndexCache,
}

impl Stem {
    /// The rows of stage 0.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[S, C_0]`
    fn forward(&self, images: Tensor<4>, sites: &SiteMap) -> Tensor<2> {
        let stride = self.conv.weight.lazy_shape()[2];
        let patches = stem_patches(images, stride, sites, &self.indices);
        self.norm.forward(self.conv.forward_patches(patches))
    }
}

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
        let [count] = children.dims();
        let gathered = gather(self.norm.forward(rows), children).reshape([count as i32 / 4, -1]);
        self.conv.forward_gathered(gathered)
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
            stem: Stem {
                conv: Convolution::new(stem_shape, &layers.at(0).at(0)),
                norm: LayerNorm::new(widths[0], &layers.at(0).at(1)),
                indices: IndexCache::default(),
            },
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
            stem: Stem { conv: stem.conv.with_precision(precision), ..stem },
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
        let rows = self.stem.forward(images, sites.stage(0));
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

    /// The stem alone, on all sites.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[S_0, C_0]`
    pub(crate) fn forward_stem(&self, images: Tensor<4>, sites: &SiteMap) -> Tensor<2> {
        self.stem.forward(images, sites)
    }

    pub(crate) fn check_channels(&self, images: &Tensor<4>) -> Result<(), ModelError> {
        let expected = self.stem.conv.weight.lazy_shape()[1];
        let found = images.dims()[1];
        if expected == found { Ok(()) } else { Err(ModelError::Channels { expected, found }) }
    }
}

/// Cache of the stem's index tensor for the last batch of unmasked images, with its shape. Clones share it.
#[derive(Debug, Clone, Default)]
struct IndexCache(Arc<Mutex<Option<CachedIndices>>>);

/// The shape `[images, channels, height, columns, stride]`, and the index tensor.
type CachedIndices = ([usize; 5], Tensor<1, Int>);

impl IndexCache {
    /// The index tensor for this shape on this device, computed unless it is cached.
    fn get(
        &self,
        shape: [usize; 5],
        device: &Device,
        make: impl FnOnce() -> Tensor<1, Int>,
    ) -> Tensor<1, Int> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, indices)) = last.as_ref()
            && *known == shape
            && indices.device() == *device
            // Equality of devices does not compare gradient tracking.
            && indices.device().is_autodiff() == device.is_autodiff()
        {
            return indices.clone();
        }
        last.insert((shape, make())).1.clone()
    }
}

/// im2col of the stem: the pixels of each site of stage 0, in the order (channel, y, x). Pixels beyond the
/// last whole stride are dropped, as by a convolution without padding.
///
/// # Shapes
/// - images: `[N, channels, height, width]`
/// - output: `[S, channels * stride * stride]`
fn stem_patches(images: Tensor<4>, stride: usize, sites: &SiteMap, last: &IndexCache) -> Tensor<2> {
    let [count, channels, height, width] = images.dims();
    let (rows, columns) = (height / stride, width / stride);
    // A site's pixels are short contiguous rows, which a gather selects.
    let pixel_rows = match width == columns * stride {
        true => images,
        false => images.slice([0..count, 0..channels, 0..height, 0..columns * stride]),
    };
    let device = pixel_rows.device();
    let pixel_rows = pixel_rows.reshape([count * channels * height * columns, stride]);
    let indices = || {
        let places = sites.sites().positions();
        let mut indices = Vec::with_capacity(places.len() * channels * stride);
        for place in places {
            let (image, y, x) = (place / (rows * columns), place / columns % rows, place % columns);
            for channel in 0..channels {
                let start = (image * channels + channel) * height + y * stride;
                indices.extend((start..start + stride).map(|row| row * columns + x));
            }
        }
        index_tensor(&indices, &device)
    };
    // Without a mask the indices are the same for every batch of a shape; kept patches differ each time.
    let indices = match sites.positions() {
        None => last.get([count, channels, height, columns, stride], &device, indices),
        Some(_) => indices(),
    };
    let found = gather(pixel_rows, indices);
    found.reshape([-1, (channels * stride * stride) as i32])
}
