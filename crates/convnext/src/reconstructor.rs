//! From a pre-trained autoencoder to images of what it sees behind the mask.

use std::path::Path;

use burn::prelude::*;
use convnext_core::{FcmaeConfig, FcmaeObjective, ImageSize, Mask, PatchGrid, Preprocessing};
use convnext_data::Image;
use convnext_nn::{Fcmae, Precision};
use convnext_train::{Reconstruction, TrainError, load_fcmae, reconstruct};

/// A masked autoencoder, ready for images.
#[derive(Debug)]
pub struct Reconstructor {
    model: Fcmae,
    objective: FcmaeObjective,
    preprocessing: Preprocessing,
    device: Device,
}

impl Reconstructor {
    /// Reads an autoencoder that `convnext pretrain` wrote, to compute on the CPU.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read, holds no autoencoder, or does not fit itself.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::load_on(path, &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (model, objective, metadata) = load_fcmae(path, device)?;
        Ok(Self { model, objective, preprocessing: metadata.preprocessing, device: device.clone() })
    }

    /// Sets the precision in which linear layers multiply on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// The configuration of the autoencoder.
    pub fn config(&self) -> &FcmaeConfig {
        self.model.config()
    }

    /// Training objective of the autoencoder: its mask ratio, and whether it predicts normalised patches.
    pub fn objective(&self) -> FcmaeObjective {
        self.objective
    }

    /// Preprocessing of the images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The patches of the images that the autoencoder was trained on.
    ///
    /// # Errors
    /// [`TrainError::Config`] when the file's image size is no multiple of its patch.
    pub fn grid(&self) -> Result<PatchGrid, TrainError> {
        let ImageSize { height, width } = self.preprocessing.fixed_size()?;
        Ok(PatchGrid::of_image(&self.model.config().encoder, height, width)?)
    }

    /// Removes patches and predicts them.
    ///
    /// # Errors
    /// As [`convnext_train::reconstruct`].
    pub fn reconstruct(&self, image: &Image, mask: &Mask) -> Result<Reconstruction, TrainError> {
        reconstruct(&self.model, self.objective, &self.preprocessing, image, mask, &self.device)
    }
}
