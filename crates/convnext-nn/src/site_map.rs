//! [`Sites`] on a device: the index tensors that gather and scatter rows.

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::DType;
use convnext_core::{ConfigError, Mask, ModelConfig, STAGES};
use convnext_kernels::Sites;

use crate::error::ModelError;
use crate::ops::gather::gather;

/// The sites of one stage, with their positions as an index tensor, uploaded once per forward pass.
#[derive(Debug, Clone)]
pub struct SiteMap {
    sites: Arc<Sites>,
    /// Flat index of every row in the stacked maps, `[rows]`; `None` for dense sites, whose rows are the map.
    positions: Option<Tensor<1, Int>>,
}

impl SiteMap {
    /// Uploads the positions of `sites` to `device`.
    pub fn new(sites: Sites, device: &Device) -> Self {
        let positions = (!sites.is_dense()).then(|| index_tensor(&sites.positions(), device));
        Self { sites: Arc::new(sites), positions }
    }

    /// The geometry.
    pub fn sites(&self) -> &Arc<Sites> {
        &self.sites
    }

    /// Flat index of every row in the stacked maps; `None` for dense sites, whose rows are the map.
    pub fn positions(&self) -> Option<&Tensor<1, Int>> {
        self.positions.as_ref()
    }

    /// Rows of a map in row order.
    ///
    /// # Shapes
    /// - map: `[images * height * width, channels]`
    /// - output: `[rows, channels]`
    pub fn gather(&self, map: Tensor<2>) -> Tensor<2> {
        match &self.positions {
            None => map,
            Some(positions) => gather(map, positions.clone()),
        }
    }
}

/// The sites of all four stages, and the rows that each downsampling gathers.
#[derive(Debug, Clone)]
pub struct SitePyramid {
    stages: Vec<SiteMap>,
    /// Before stages 1, 2 and 3: four rows of the stage before for every row, `[4 * rows]`.
    children: Vec<Tensor<1, Int>>,
}

impl SitePyramid {
    /// All sites of `images` images of `height` x `width` pixels.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the last stage would have no site, or the configuration itself is not sound;
    /// [`ModelError::Sites`] without an image.
    pub fn dense(
        config: &ModelConfig,
        images: usize,
        height: usize,
        width: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let [[rows, columns], ..] = config.stage_sizes(height, width)?;
        Self::from_sites(Sites::dense(images, rows, columns)?, device)
    }

    /// The sites of the kept patches of a batch, one mask for each image.
    ///
    /// # Errors
    /// [`ModelError::Sites`] when the masks keep different numbers of patches, and
    /// [`ModelError::Config`] when their grids differ.
    pub fn masked(masks: &[Mask], device: &Device) -> Result<Self, ModelError> {
        let grid = common_grid(masks)?;
        let kept = masks.iter().map(|mask| mask.kept().to_vec()).collect();
        Self::from_sites(Sites::tiled(grid, 1 << (STAGES - 1), kept)?, device)
    }

    /// The pyramid over the sites of stage 0.
    ///
    /// # Errors
    /// [`ModelError::Sites`] when a tile is too small to be halved three times.
    pub fn from_sites(first: Sites, device: &Device) -> Result<Self, ModelError> {
        let mut pyramid = Self { stages: Vec::with_capacity(STAGES), children: Vec::new() };
        let mut sites = first;
        for _ in 1..STAGES {
            let next = sites.downsample()?;
            pyramid.children.push(index_tensor(&sites.children(), device));
            pyramid.stages.push(SiteMap::new(sites, device));
            sites = next;
        }
        pyramid.stages.push(SiteMap::new(sites, device));
        Ok(pyramid)
    }

    /// The sites of stage `stage` (0 to 3).
    pub fn stage(&self, stage: usize) -> &SiteMap {
        &self.stages[stage]
    }

    /// For stage 1, 2 or 3: the rows of the stage before that each row gathers.
    pub(crate) fn children(&self, stage: usize) -> Tensor<1, Int> {
        self.children[stage - 1].clone()
    }
}

/// The patch grid that all masks share.
pub(crate) fn common_grid(masks: &[Mask]) -> Result<[usize; 2], ModelError> {
    let first = masks.first().map_or([0, 0], |mask| [mask.grid().rows, mask.grid().columns]);
    match masks.iter().find(|mask| [mask.grid().rows, mask.grid().columns] != first) {
        None => Ok(first),
        Some(other) => Err(ModelError::Config(ConfigError::BadMask {
            rows: first[0],
            columns: first[1],
            why: format!("another mask of the batch has {}x{}", other.grid().rows, other.grid().columns),
        })),
    }
}

/// Checks that there is one mask for each of so many images, with so many rows and columns of patches.
///
/// # Errors
/// [`ModelError::MaskCount`], [`ModelError::MaskGrid`], and [`ModelError::Config`] when the masks' grids differ.
pub(crate) fn check_masks(
    masks: &[Mask],
    images: usize,
    [rows, columns]: [usize; 2],
) -> Result<(), ModelError> {
    if masks.len() != images {
        return Err(ModelError::MaskCount { images, masks: masks.len() });
    }
    let [found_rows, found_columns] = common_grid(masks)?;
    if [rows, columns] == [found_rows, found_columns] {
        return Ok(());
    }
    Err(ModelError::MaskGrid { rows, columns, found_rows, found_columns })
}

/// Uploads indices to a device, as i64 where one is too large for i32, as in batches of billions of sites.
pub(crate) fn index_tensor(indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let count = indices.len();
    if indices.iter().all(|&index| index <= i32::MAX as usize) {
        let values: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        return Tensor::from_data(TensorData::new(values, [count]), device);
    }
    let values: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    Tensor::from_data(TensorData::new(values, [count]), (device, DType::I64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_above_two_billions_does_not_wrap() {
        for last in [5, i32::MAX as usize, 1 << 31, (1 << 40) + 3] {
            let data = index_tensor(&[0, last], &Device::flex()).into_data();
            let found: Vec<i64> = data.convert::<i64>().try_into_vec().unwrap();
            assert_eq!(found, [0, last as i64]);
        }
    }
}
