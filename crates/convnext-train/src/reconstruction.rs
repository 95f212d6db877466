//! Pictures of what a masked autoencoder sees behind the mask.

use burn::prelude::*;
use convnext_core::{Mask, Preprocessing};
use convnext_data::{Picture, crop_for_evaluation, normalize};
use convnext_nn::{Fcmae, tensor_values};

use crate::TrainError;

/// Grey of removed patches, and white between the three pictures.
const REMOVED: u8 = 128;
const GAP: u8 = 255;

/// One picture, reconstructed.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    /// Mean squared error over the removed patches, as in training.
    pub loss: f32,
    /// Original, masked and reconstructed picture side by side.
    pub picture: Picture,
}

/// Removes patches of a picture and predicts them.
///
/// # Errors
/// [`TrainError::Model`] when the mask does not fit the picture's patches, [`TrainError::NotFinite`] when
/// the weights are damaged.
pub fn reconstruct(
    model: &Fcmae,
    preprocessing: &Preprocessing,
    picture: &Picture,
    mask: &Mask,
    device: &Device,
) -> Result<Reconstruction, TrainError> {
    let Preprocessing { image_size: size, mean, std, .. } = *preprocessing;
    let original = crop_for_evaluation(picture, preprocessing);
    let pixels = TensorData::new(normalize(&original, mean, std), [1, 3, size, size]);
    let images = Tensor::from_data(pixels, device);
    let masks = std::slice::from_ref(mask);
    let output = model.forward(images.clone(), masks)?;
    let loss = output.loss.into_scalar::<f32>();
    if !loss.is_finite() {
        return Err(TrainError::NotFinite { what: "the reconstruction".into() });
    }
    let restored = tensor_values(model.reconstruct(images, masks, output.predictions)?);

    let keeps = mask.upsample(size / mask.grid().rows);
    let masked = original.rgb().chunks(3).zip(&keeps);
    let masked: Vec<u8> =
        masked.flat_map(|(rgb, &kept)| if kept { [rgb[0], rgb[1], rgb[2]] } else { [REMOVED; 3] }).collect();
    let reconstructed = denormalize(&restored, size * size, mean, std);
    Ok(Reconstruction { loss, picture: side_by_side(&[original.rgb(), &masked, &reconstructed], size)? })
}

/// Normalised values `[3, sites]` as RGB bytes.
fn denormalize(values: &[f32], sites: usize, mean: [f32; 3], std: [f32; 3]) -> Vec<u8> {
    let level = |site: usize, colour: usize| {
        let value = values[colour * sites + site] * std[colour] + mean[colour];
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    };
    (0..sites).flat_map(|site| [0, 1, 2].map(|colour| level(site, colour))).collect()
}

/// Square RGB pictures in a row, with white gaps.
fn side_by_side(pictures: &[&[u8]], size: usize) -> Result<Picture, TrainError> {
    let gap = (size / 28).max(2);
    let width = pictures.len() * size + (pictures.len() - 1) * gap;
    let mut rgb = Vec::with_capacity(3 * width * size);
    for row in 0..size {
        for (index, picture) in pictures.iter().enumerate() {
            if index > 0 {
                rgb.extend(std::iter::repeat_n(GAP, 3 * gap));
            }
            rgb.extend_from_slice(&picture[3 * row * size..3 * (row + 1) * size]);
        }
    }
    Ok(Picture::new(width, size, rgb)?)
}
