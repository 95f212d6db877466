//! The fully convolutional masked autoencoder (paper section 3.1; "C. FCMAE pre-training" in
//! `docs/facts.md`).
//!
//! Notation: N images, P patches of an image, K of them kept and R removed, V values of a patch,
//! C_3 channels of the encoder, D of the decoder.

use burn::module::Param;
use burn::prelude::*;
use convnext_core::{BlockLayout, EncoderKind, FcmaeConfig, FcmaeObjective, Mask, PatchGrid, STAGES, Seed};
use convnext_kernels::{PatchedImages, Precision, Sites};

use crate::backbone::Backbone;
use crate::batch_norm::BatchStatistics;
use crate::block::Block;
use crate::drop_path::DropPath;
use crate::error::ModelError;
use crate::feature_maps::map_to_rows;
use crate::layers::Convolution;
use crate::masked_dense::forward_masked_dense;
use crate::ops::block_plan::Activations;
use crate::ops::gather::gather;
use crate::ops::patch_loss::{PatchLossPlan, patch_loss};
use crate::parameters::Scope;
use crate::patches::{PatchStatistics, images_to_patches, patches_to_images};
use crate::site_map::{SiteMap, SitePyramid};
use crate::site_map::{common_grid, index_tensor};

/// An encoder of the kept patches and a decoder that predicts the removed ones.
#[derive(Module, Debug)]
pub struct Fcmae {
    /// The encoder.
    pub encoder: Backbone,
    /// From C_3 to D channels, weight `[D, C_3, 1, 1]`.
    pub proj: Convolution,
    /// The decoder's input at removed patches, `[1, D, 1, 1]`.
    pub mask_token: Param<Tensor<4>>,
    /// The decoder's blocks.
    pub decoder: Vec<Block>,
    /// From D channels to the values of a patch, weight `[V, D, 1, 1]`.
    pub pred: Convolution,
    #[module(skip)]
    config: FcmaeConfig,
}

/// The output for a batch.
#[derive(Debug, Clone)]
pub struct FcmaeOutput {
    /// Mean squared error over the values of all removed patches, `[1]`.
    pub loss: Tensor<1>,
    /// Predicted values of the removed patches in the order (image, patch), `[N * R, V]`; normalised
    /// within the patch if the objective says so.
    pub predictions: Tensor<2>,
}

impl Fcmae {
    /// Builds an autoencoder with freshly initialised parameters, each drawn at its first use.
    ///
    /// # Errors
    /// [`ModelError::Config`] when a setting is out of its range.
    pub fn new(config: &FcmaeConfig, seed: Seed, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let scope = Scope::root(seed, device);
        let width = config.decoder.width;
        let layout = BlockLayout::of_decoder(&config.decoder);
        let block = |index| Block::new(layout, &scope.at("decoder").at(index));
        Ok(Self {
            encoder: Backbone::new(&config.encoder, &scope.at("encoder")),
            proj: Convolution::new([width, config.encoder.last_width(), 1, 1], &scope.at("proj")),
            mask_token: scope.weight("mask_token", [1, width, 1, 1]),
            decoder: (0..config.decoder.depth).map(block).collect(),
            pred: Convolution::new([config.values_per_patch(), width, 1, 1], &scope.at("pred")),
            config: config.clone(),
        })
    }

    /// The configuration that this model was built from.
    pub fn config(&self) -> &FcmaeConfig {
        &self.config
    }

    /// The same model with this setting of the blocks' saved activations.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        let decoder = self.decoder.into_iter().map(|block| block.with_activations(activations)).collect();
        Self { encoder: self.encoder.with_activations(activations), decoder, ..self }
    }

    /// The same model with this precision of all linear layers on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let decoder = self.decoder.into_iter().map(|block| block.with_precision(precision)).collect();
        let encoder = self.encoder.with_precision(precision);
        let [proj, pred] = [self.proj, self.pred].map(|layer| layer.with_precision(precision));
        Self { encoder, proj, decoder, pred, ..self }
    }

    /// Takes what batch norms in the place of GRN saw in the last training batch, block by block.
    pub fn take_statistics(&self) -> Vec<BatchStatistics> {
        let decoder = self.decoder.iter().filter_map(Block::take_statistics);
        self.encoder.take_statistics().into_iter().chain(decoder).collect()
    }

    /// Encodes the kept patches, predicts the removed ones and compares them with the pixels.
    ///
    /// # Shapes
    /// - images: `[N, channels, height, width]`, normalised pixels
    /// - masks: one for each image, all keeping the same number of patches
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit the images or each other.
    pub fn forward(
        &self,
        images: Tensor<4>,
        masks: &[Mask],
        objective: FcmaeObjective,
    ) -> Result<FcmaeOutput, ModelError> {
        self.check_masks(&images, masks)?;
        let encoded = self.encode_checked(images.clone(), masks)?;
        let removed = index_tensor(&removed_positions(masks), &images.device());
        let predictions = self.predict(encoded, masks, removed.clone())?;
        let [_, channels, height, width] = images.dims();
        let patch = self.config.encoder.patch_size();
        let plan = PatchLossPlan {
            images: PatchedImages { channels, height, width, patch },
            normalize: objective.normalize_target,
        };
        let loss = patch_loss(predictions.clone(), images, removed, plan);
        Ok(FcmaeOutput { loss, predictions })
    }

    /// The encoder's features of the kept patches, in the order (image, patch).
    ///
    /// # Shapes
    /// - images: `[N, channels, height, width]`
    /// - output: `[N * K, C_3]`
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit the images or each other.
    pub fn encode(&self, images: Tensor<4>, masks: &[Mask]) -> Result<Tensor<2>, ModelError> {
        self.check_masks(&images, masks)?;
        self.encode_checked(images, masks)
    }

    /// [`Self::encode`] for masks that were checked.
    fn encode_checked(&self, images: Tensor<4>, masks: &[Mask]) -> Result<Tensor<2>, ModelError> {
        let device = images.device();
        let kept = SitePyramid::masked(masks, &device)?;
        match self.config.encoder_kind {
            EncoderKind::Sparse => {
                let [.., rows] = self.encoder.forward(images, &kept, &DropPath::none())?;
                Ok(rows)
            }
            EncoderKind::MaskedDense => {
                self.encoder.check_statistics(&kept, &device)?;
                let [.., map] = forward_masked_dense(&self.encoder, images, masks)?;
                Ok(kept.stage(STAGES - 1).gather(map_to_rows(map)))
            }
            EncoderKind::Leaky => {
                // A dense encoder on zeroed input: information leaks into removed sites and back.
                let [count, _, height, width] = images.dims();
                let all = SitePyramid::dense(&self.config.encoder, count, height, width, &device)?;
                self.encoder.check_channels(&images)?;
                let stem = self.encoder.forward_stem(images, all.stage(0));
                let zeroed = stem * keep_column(masks, 1 << (STAGES - 1), &device);
                let [.., rows] = self.encoder.forward_stages(zeroed, &all, &DropPath::none());
                Ok(kept.stage(STAGES - 1).gather(rows))
            }
        }
    }

    /// Predicts the removed patches: the prediction layer runs only there.
    ///
    /// # Shapes
    /// - encoded: `[N * K, C_3]`
    /// - output: `[N * R, V]`
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit each other.
    pub fn decode(&self, encoded: Tensor<2>, masks: &[Mask]) -> Result<Tensor<2>, ModelError> {
        let removed = index_tensor(&removed_positions(masks), &encoded.device());
        self.predict(encoded, masks, removed)
    }

    /// [`Self::decode`] for the indices of the removed patches, `[N * R]`.
    fn predict(
        &self,
        encoded: Tensor<2>,
        masks: &[Mask],
        removed: Tensor<1, Int>,
    ) -> Result<Tensor<2>, ModelError> {
        let device = encoded.device();
        let [rows, columns] = common_grid(masks)?;
        let map = SiteMap::new(Sites::dense(masks.len(), rows, columns)?, &device);
        let projected = self.proj.forward_patches(encoded);
        let [kept, width] = projected.dims();
        let token = self.mask_token.val().reshape([1, width]);
        let sources = index_tensor(&token_sources(masks, kept), &device);
        let mut features = gather(Tensor::cat(vec![projected, token], 0), sources);
        for block in &self.decoder {
            features = block.forward(features, &map, None);
        }
        Ok(self.pred.forward_patches(gather(features, removed)))
    }

    /// The images with every removed patch replaced by its prediction. Normalised predictions are
    /// restored with the true patch's mean and standard deviation, as in the paper's figures.
    ///
    /// # Shapes
    /// - images: `[N, channels, height, width]`
    /// - predictions: `[N * R, V]`
    /// - output: as images
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit the images or each other.
    pub fn reconstruct(
        &self,
        images: Tensor<4>,
        masks: &[Mask],
        predictions: Tensor<2>,
        objective: FcmaeObjective,
    ) -> Result<Tensor<4>, ModelError> {
        self.check_masks(&images, masks)?;
        let device = images.device();
        let patch = self.config.encoder.patch_size();
        let patches = images_to_patches(images, patch);
        let removed = removed_positions(masks);
        let pixels = if objective.normalize_target {
            let truth = gather(patches.clone(), index_tensor(&removed, &device));
            PatchStatistics::of(truth).restore(predictions)
        } else {
            predictions
        };
        let [count, _] = patches.dims();
        let mut sources: Vec<usize> = (0..count).collect();
        for (prediction, &position) in removed.iter().enumerate() {
            sources[position] = count + prediction;
        }
        let merged = gather(Tensor::cat(vec![patches, pixels], 0), index_tensor(&sources, &device));
        Ok(patches_to_images(merged, common_grid(masks)?, patch))
    }

    fn check_masks(&self, images: &Tensor<4>, masks: &[Mask]) -> Result<(), ModelError> {
        let [count, _, height, width] = images.dims();
        let PatchGrid { rows, columns } = PatchGrid::of_image(&self.config.encoder, height, width)?;
        if masks.len() != count {
            return Err(ModelError::MaskCount { images: count, masks: masks.len() });
        }
        let [found_rows, found_columns] = common_grid(masks)?;
        if [rows, columns] != [found_rows, found_columns] {
            return Err(ModelError::MaskGrid { rows, columns, found_rows, found_columns });
        }
        Ok(())
    }
}

/// For every patch of every image, the decoder's input as an index into (kept rows, then the mask token).
fn token_sources(masks: &[Mask], token_row: usize) -> Vec<usize> {
    let mut next = 0;
    let mut source = |kept: bool| {
        next += usize::from(kept);
        if kept { next - 1 } else { token_row }
    };
    masks.iter().flat_map(Mask::keeps).map(&mut source).collect()
}

/// Indices of the removed patches among all patches of the batch.
fn removed_positions(masks: &[Mask]) -> Vec<usize> {
    let keeps = masks.iter().flat_map(Mask::keeps);
    keeps.enumerate().filter(|(_, kept)| !kept).map(|(position, _)| position).collect()
}

/// 1 at rows of kept patches and 0 elsewhere, `[N * H * W, 1]`.
fn keep_column(masks: &[Mask], scale: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> =
        masks.iter().flat_map(|mask| mask.upsample(scale)).map(|kept| f32::from(u8::from(kept))).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count, 1]), device)
}
