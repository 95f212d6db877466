//! Pictures of what a masked autoencoder sees behind the mask.

use burn::prelude::*;
use convnext_core::{FcmaeObjective, Mask, Preprocessing};
use convnext_data::{Picture, crop_for_evaluation, normalize};
use convnext_nn::{Fcmae, ModelError, tensor_values};

use crate::error::TrainError;

/// Grey of removed patches, and white between the three pictures.
const REMOVED: u8 = 128;
const GAP: u8 = 255;

/// One picture, reconstructed.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    /// Mean squared error over the removed patches, as in training.
    pub loss: f32,
    /// Original, masked and reconstructed picture side by side, of as many channels as the original.
    pub picture: Picture,
}

impl Reconstruction {
    /// What `evaluation.json` calls a training for reconstructions.
    pub const KIND: &'static str = "fcmae";
}

/// Removes patches of a picture and predicts them, as the model was trained for.
///
/// # Errors
/// [`TrainError::Model`] when the picture has other channels or the mask does not fit its patches,
/// [`TrainError::NotFinite`] when the weights are damaged.
pub fn reconstruct(
    model: &Fcmae,
    objective: FcmaeObjective,
    preprocessing: &Preprocessing,
    picture: &Picture,
    mask: &Mask,
    device: &Device,
) -> Result<Reconstruction, TrainError> {
    let Preprocessing { image_size: size, mean, std, .. } = preprocessing;
    let (size, channels) = (*size, preprocessing.channels());
    if picture.channels() != channels {
        return Err(ModelError::Channels { expected: channels, found: picture.channels() }.into());
    }
    let original = crop_for_evaluation(picture, preprocessing);
    let pixels = TensorData::new(normalize(&original, mean, std), [1, channels, size, size]);
    let images = Tensor::from_data(pixels, device);
    let masks = std::slice::from_ref(mask);
    let output = model.forward(images.clone(), masks, objective)?;
    let loss = output.loss.into_scalar::<f32>();
    if !loss.is_finite() {
        return Err(TrainError::NotFinite { what: "the reconstruction".into() });
    }
    let restored = tensor_values(model.reconstruct(images, masks, output.predictions, objective)?);

    let keeps = mask.upsample(size / mask.grid().rows);
    let mut masked = original.bytes().to_vec();
    for (pixel, &kept) in masked.chunks_exact_mut(channels).zip(&keeps) {
        if !kept {
            pixel.fill(REMOVED);
        }
    }
    let reconstructed = denormalize(&restored, size * size, mean, std);
    Ok(Reconstruction {
        loss,
        picture: side_by_side(&[original.bytes(), &masked, &reconstructed], size, channels)?,
    })
}

/// Normalised values `[channels, sites]` as bytes of a picture.
fn denormalize(values: &[f32], sites: usize, mean: &[f32], std: &[f32]) -> Vec<u8> {
    let level = |site: usize, channel: usize| {
        let value = values[channel * sites + site] * std[channel] + mean[channel];
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    };
    (0..sites).flat_map(|site| (0..mean.len()).map(move |channel| level(site, channel))).collect()
}

/// Square pictures in a row, with white gaps.
fn side_by_side(pictures: &[&[u8]], size: usize, channels: usize) -> Result<Picture, TrainError> {
    let gap = (size / 28).max(2);
    let width = pictures.len() * size + (pictures.len() - 1) * gap;
    let mut bytes = Vec::with_capacity(channels * width * size);
    for row in 0..size {
        for (index, picture) in pictures.iter().enumerate() {
            if index > 0 {
                bytes.extend(std::iter::repeat_n(GAP, channels * gap));
            }
            bytes.extend_from_slice(&picture[channels * row * size..][..channels * size]);
        }
    }
    Ok(Picture::new(width, size, channels, bytes)?)
}
