//! Images of what a masked autoencoder sees behind the mask.

use burn::prelude::*;
use convnext_core::{FcmaeObjective, ImageSize, Mask, Preprocessing};
use convnext_data::{Image, normalize, resize_for_evaluation};
use convnext_nn::{Fcmae, ModelError, tensor_values};

use crate::error::TrainError;
use crate::tasks::denormalized::denormalized;

/// Grey of removed patches, and white between the three images.
const REMOVED: u8 = 128;
const GAP: u8 = 255;

/// One image, reconstructed.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    /// Mean squared error over the removed patches, as in training but for batch norms, which go by their running statistics.
    pub loss: f32,
    /// Original, masked and reconstructed image side by side, of as many channels as the original.
    pub panels: Image,
}

impl Reconstruction {
    /// Name of a training for reconstructions in `evaluation.json`.
    pub const KIND: &'static str = "fcmae";
}

/// Removes patches of an image and predicts them, as the model was trained for.
///
/// # Errors
/// [`TrainError::Model`] when the image has other channels or the mask does not fit its patches,
/// [`TrainError::NotFinite`] when the weights are damaged.
pub fn reconstruct(
    model: &Fcmae,
    objective: FcmaeObjective,
    preprocessing: &Preprocessing,
    image: &Image,
    mask: &Mask,
    device: &Device,
) -> Result<Reconstruction, TrainError> {
    let Preprocessing { mean, std, .. } = preprocessing;
    let channels = preprocessing.channels();
    if image.channels() != channels {
        return Err(ModelError::Channels { expected: channels, found: image.channels() }.into());
    }
    // An autoencoder's images are never padded.
    let original = resize_for_evaluation(image, preprocessing);
    let size @ ImageSize { height, width } = original.size();
    let pixels = TensorData::new(normalize(&original, mean, std), [1, channels, height, width]);
    let images = Tensor::from_data(pixels, device);
    let masks = std::slice::from_ref(mask);
    let output = model.forward(images.clone(), masks, objective)?;
    let loss = output.loss.into_scalar::<f32>();
    if !loss.is_finite() {
        return Err(TrainError::NotFinite { what: "the reconstruction".into() });
    }
    let restored = tensor_values(model.reconstruct(images, masks, output.predictions, objective)?);

    let keeps = mask.upsample(height / mask.grid().rows);
    let mut masked = original.bytes().to_vec();
    for (pixel, &kept) in masked.chunks_exact_mut(channels).zip(&keeps) {
        if !kept {
            pixel.fill(REMOVED);
        }
    }
    let reconstructed = denormalized(&restored, size.pixels(), mean, std);
    Ok(Reconstruction {
        loss,
        panels: side_by_side(&[original.bytes(), &masked, &reconstructed], size, channels)?,
    })
}

/// Images of one size in a row, with white gaps.
fn side_by_side(images: &[&[u8]], size: ImageSize, channels: usize) -> Result<Image, TrainError> {
    let gap = (size.width / 28).max(2);
    let width = images.len() * size.width + (images.len() - 1) * gap;
    let mut bytes = Vec::with_capacity(channels * width * size.height);
    for row in 0..size.height {
        for (index, image) in images.iter().enumerate() {
            if index > 0 {
                bytes.extend(std::iter::repeat_n(GAP, channels * gap));
            }
            bytes.extend_from_slice(&image[channels * row * size.width..][..channels * size.width]);
        }
    }
    Ok(Image::new(width, size.height, channels, bytes)?)
}
