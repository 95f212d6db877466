//! Features of FCMAE's encoder, as its decoder sees them: the rows of all four stages, and where they lie.
//!
//! Notation: N images, S_i rows and C_i channels of stage i, H_i x W_i its map.

use burn::prelude::*;
use convnext_core::{Mask, STAGES};

use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::gather::gather;
use crate::site_map::{SitePyramid, check_masks, index_tensor};

/// The output of all four stages of an encoder, with the sites whose features a decoder sees: those of kept patches, or all.
#[derive(Debug, Clone)]
pub struct EncodedStages {
    rows: [Tensor<2>; STAGES],
    /// `true` if the rows are those of whole maps, of which the decoder sees the sites alone.
    are_maps: bool,
    sites: SitePyramid,
}

impl EncodedStages {
    /// Of an encoder that computed at these sites alone.
    ///
    /// # Shapes
    /// - rows: `[S_i, C_i]`
    pub(crate) fn at_sites(rows: [Tensor<2>; STAGES], sites: SitePyramid) -> Self {
        Self { rows, are_maps: false, sites }
    }

    /// Of an encoder that computed everywhere, but whose features are seen at these sites alone.
    ///
    /// # Shapes
    /// - maps: `[N H_i W_i, C_i]`
    pub(crate) fn of_maps(maps: [Tensor<2>; STAGES], sites: SitePyramid) -> Self {
        Self { rows: maps, are_maps: true, sites }
    }

    /// Rows and columns of the patches of an image, if these are the masks that it was encoded with.
    ///
    /// # Errors
    /// [`ModelError::MaskCount`], [`ModelError::MaskGrid`] or [`ModelError::OtherMasks`] when they are others, as far as the
    /// features tell: those of an encoder that fills removed patches do not tell which were kept.
    pub(crate) fn patch_grid(&self, masks: &[Mask]) -> Result<[usize; 2], ModelError> {
        let sites = self.sites.stage(STAGES - 1).sites();
        let [rows, columns] = [sites.height(), sites.width()];
        check_masks(masks, sites.images(), [rows, columns])?;
        let of_image = |(image, mask): (usize, &Mask)| {
            let first = image * rows * columns;
            mask.kept().iter().map(|patch| first + patch).collect::<Vec<usize>>()
        };
        let kept = masks.iter().enumerate().flat_map(of_image);
        if !sites.is_dense() && !kept.eq(sites.positions()) {
            return Err(ModelError::OtherMasks);
        }
        Ok([rows, columns])
    }

    /// The features of a stage (0 to 3) that a decoder sees, in the order of their sites: image, kept patch, y, x.
    ///
    /// # Shapes
    /// - output: `[S_i, C_i]`
    pub fn rows(&self, stage: usize) -> Tensor<2> {
        let rows = self.rows[stage].clone();
        if self.are_maps { self.sites.stage(stage).gather(rows) } else { rows }
    }

    /// Whole maps of a stage: these rows at its sites, and a mask token elsewhere, which is not needed where the rows are
    /// those of whole maps.
    ///
    /// # Shapes
    /// - rows: `[S_i, C]`, of any number of channels
    /// - mask_token: `[1, C, 1, 1]`
    /// - output: rows `[N H_i W_i, C]`
    ///
    /// # Errors
    /// [`ModelError::NoMaskToken`] when one is needed.
    pub fn fill(
        &self,
        stage: usize,
        rows: Tensor<2>,
        mask_token: Option<Tensor<4>>,
    ) -> Result<FeatureMaps, ModelError> {
        let sites = self.sites.stage(stage).sites();
        let (images, height, width) = (sites.images(), sites.height(), sites.width());
        if sites.is_dense() {
            return Ok(FeatureMaps { rows, images, height, width });
        }
        let ([count, channels], device) = (rows.dims(), rows.device());
        let token = mask_token.ok_or(ModelError::NoMaskToken { stage })?.reshape([1, channels]);
        let mut sources = vec![count; images * height * width];
        for (row, place) in sites.positions().into_iter().enumerate() {
            sources[place] = row;
        }
        let rows = gather(Tensor::cat(vec![rows, token], 0), index_tensor(&sources, &device));
        Ok(FeatureMaps { rows, images, height, width })
    }
}
