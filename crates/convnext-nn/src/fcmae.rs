//! The fully convolutional masked autoencoder (paper section 3.1; "C. FCMAE pre-training" in
//! `docs/facts.md`).
//!
//! Notation: N images, P patches of an image, K of them kept and R removed, V values of a patch,
//! C_3 channels of the encoder, D of the decoder.

use burn::module::Param;
use burn::prelude::*;
use convnext_core::{FcmaeConfig, FcmaeObjective, Mask, PatchGrid, STAGES, Seed, UNetLayout};
use convnext_kernels::{PatchedImages, Precision};

use crate::backbone::Backbone;
use crate::batch_norm::BatchStatistics;
use crate::bf16_warning::warn_of_f32_encoder;
use crate::decoder::Decoder;
use crate::encoded_stages::EncodedStages;
use crate::encoding::encode_stages;
use crate::error::ModelError;
use crate::layers::Convolution;
use crate::ops::block_plan::Activations;
use crate::ops::gather::gather;
use crate::ops::patch_loss::{PatchLossPlan, patch_loss};
use crate::parameters::Scope;
use crate::patches::{PatchStatistics, images_to_patches, patches_to_images};
use crate::site_map::{SitePyramid, check_masks, common_grid, index_tensor};

/// An encoder of the kept patches and a decoder that predicts the removed ones.
#[derive(Module, Debug)]
pub struct Fcmae {
    /// The encoder.
    pub encoder: Backbone,
    /// The encoder's input at removed patches after the stem, `[1, C_0, 1, 1]`, of an encoder with tokens.
    pub encoder_token: Option<Param<Tensor<4>>>,
    /// From C_3 to D channels, weight `[D, C_3, 1, 1]`.
    pub proj: Convolution,
    /// The decoder's input at removed patches, `[1, D, 1, 1]`; none behind an encoder with tokens, which fills them itself.
    pub mask_token: Option<Param<Tensor<4>>>,
    /// The decoder's layers.
    pub decoder: Decoder,
    /// From the channels of the decoder's map to the values of a patch or of a pixel, weight `[V, D, 1, 1]` or
    /// `[channels, D / patch, 1, 1]`.
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
        let fills = config.encoder_kind.fills_removed_patches();
        let [outputs, inputs] = match config.decoder.kind.is_unet() {
            true => [config.encoder.input_channels, UNetLayout::of(config).last_width()],
            false => [config.values_per_patch(), width],
        };
        Ok(Self {
            encoder: Backbone::new(&config.encoder, &scope.at("encoder")),
            encoder_token: fills.then(|| scope.weight("encoder_token", [1, config.encoder.widths[0], 1, 1])),
            proj: Convolution::new([width, config.encoder.last_width(), 1, 1], &scope.at("proj")),
            mask_token: (!fills).then(|| scope.weight("mask_token", [1, width, 1, 1])),
            decoder: Decoder::new(config, &scope.at("decoder")),
            pred: Convolution::new([outputs, inputs, 1, 1], &scope.at("pred")),
            config: config.clone(),
        })
    }

    /// The configuration that this model was built from.
    pub fn config(&self) -> &FcmaeConfig {
        &self.config
    }

    /// The same model with this setting of the blocks' saved activations; a masked dense encoder saves every value.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        let (encoder, decoder) = (self.encoder, self.decoder);
        Self {
            encoder: encoder.with_activations(activations),
            decoder: decoder.with_activations(activations),
            ..self
        }
    }

    /// The same model with this precision of all linear layers and convolutions on the CPU, but for those of a masked dense
    /// encoder.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        warn_of_f32_encoder(self.config.encoder_kind, precision);
        let decoder = self.decoder.with_precision(precision);
        let encoder = self.encoder.with_precision(precision);
        let [proj, pred] = [self.proj, self.pred].map(|layer| layer.with_precision(precision));
        Self { encoder, proj, decoder, pred, ..self }
    }

    /// Takes what batch norms, in the place of GRN or of a UNet, saw in the last training batch, in the order of the layers.
    pub fn take_statistics(&self) -> Vec<BatchStatistics> {
        [self.encoder.take_statistics(), self.decoder.layers().take_statistics()].concat()
    }

    /// Encodes the kept patches, predicts the removed ones and compares them with the pixels.
    ///
    /// # Shapes
    /// - images: `[N, channels, height, width]`, normalised pixels
    /// - masks: one for each image, all keeping the same number of patches
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit the images or each other, or a batch norm would learn from one site.
    pub fn forward(
        &self,
        images: Tensor<4>,
        masks: &[Mask],
        objective: FcmaeObjective,
    ) -> Result<FcmaeOutput, ModelError> {
        let predictions = self.decode(&self.encode_stages(images.clone(), masks)?, masks)?;
        let removed = index_tensor(&removed_positions(masks), &images.device());
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
        let device = images.device();
        let rows = self.encode_stages(images, masks)?.rows(STAGES - 1);
        if !self.config.encoder_kind.fills_removed_patches() {
            return Ok(rows);
        }
        Ok(SitePyramid::masked(masks, &device)?.stage(STAGES - 1).gather(rows))
    }

    /// The encoder's features of all four stages, as [`Self::decode`] takes them.
    ///
    /// # Shapes
    /// - images: `[N, channels, height, width]`
    ///
    /// # Errors
    /// [`ModelError`] when the masks do not fit the images or each other.
    pub fn encode_stages(&self, images: Tensor<4>, masks: &[Mask]) -> Result<EncodedStages, ModelError> {
        self.check_masks(&images, masks)?;
        let token = self.encoder_token.as_ref().map(Param::val);
        encode_stages(&self.encoder, token, &self.config, images, masks)
    }

    /// Predicts the removed patches: the prediction layer runs only there.
    ///
    /// # Shapes
    /// - output: `[N * R, V]`
    ///
    /// # Errors
    /// [`ModelError`] when the masks are not those of the encoded images, a batch norm would learn from one site, or there is
    /// no mask token for patches that the encoder leaves open.
    pub fn decode(&self, encoded: &EncodedStages, masks: &[Mask]) -> Result<Tensor<2>, ModelError> {
        let [rows, columns] = encoded.patch_grid(masks)?;
        let last = STAGES - 1;
        let projected = self.proj.forward_patches(encoded.rows(last));
        let patches = encoded.fill(last, projected, self.mask_token.as_ref().map(Param::val))?;
        let maps = self.decoder.layers().forward(patches, encoded)?;
        let device = maps.rows.device();
        // Sites of the decoder's map along a side of a patch: 1, or as many as it has pixels.
        let side = maps.height / rows;
        let patches = removed_positions(masks);
        let places = removed_sites(&patches, columns, side);
        let predicted = self.pred.forward_patches(gather(maps.rows, index_tensor(&places, &device)));
        Ok(predicted.reshape([patches.len(), self.config.values_per_patch()]))
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
        check_masks(masks, count, [rows, columns])
    }
}

/// Indices of the removed patches among all patches of the batch.
fn removed_positions(masks: &[Mask]) -> Vec<usize> {
    let keeps = masks.iter().flat_map(Mask::keeps);
    keeps.enumerate().filter(|(_, kept)| !kept).map(|(position, _)| position).collect()
}

/// For these patches among all of the batch, the rows of their sites on maps of `side` x `side` sites for each patch, in
/// the order (patch, y, x).
fn removed_sites(patches: &[usize], columns: usize, side: usize) -> Vec<usize> {
    let of_patch = |&patch: &usize| {
        let (row, column) = (patch / columns, patch % columns);
        let line = move |y: usize| ((row * side + y) * columns + column) * side;
        (0..side).flat_map(move |y| line(y)..line(y) + side)
    };
    patches.iter().flat_map(of_patch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_patches_are_found_line_by_line() {
        assert_eq!(removed_sites(&[1, 5, 8], 3, 1), [1, 5, 8]);
        // Two images of 1 x 2 patches, each of 2 x 2 sites: maps of 2 x 4.
        assert_eq!(removed_sites(&[1, 2], 2, 2), [2, 3, 6, 7, 8, 9, 12, 13]);
    }
}
