//! Features (embeddings) that a backbone computes from images.

use convnext_core::Preprocessing;
use convnext_data::{Dataset, ImageBatch};
use convnext_nn::{ConvNext, DropPath, tensor_values};

use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::training::task::batch_images;

/// Pooled features of the last stage, of every image of a data set, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `[images, width]`, each row of length 1 (or 0 where all features are 0).
    pub values: Vec<f32>,
    /// Values of an image.
    pub width: usize,
    /// The class of each image.
    pub labels: Vec<Option<usize>>,
}

impl Features {
    /// Looks at every image; ranks share them, and all get the features of all. Any that cannot be read is an error.
    /// `progress` is told how many are done.
    ///
    /// # Errors
    /// What reading the images reports, and [`TrainError::NotFinite`] with the image whose features are not.
    pub fn of(
        model: &ConvNext,
        dataset: &Dataset,
        preprocessing: &Preprocessing,
        reading: &EvalLoaderConfig,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, TrainError> {
        let device = model.backbone.stem.conv.weight.lazy_device();
        let width = model.config().last_width();
        let mut features = Self { values: Vec::new(), width, labels: Vec::new() };
        let compute = |mut batch: ImageBatch| {
            let images = batch_images(&mut batch, &device);
            let mut values = tensor_values(model.pooled(images, &DropPath::none())?);
            for (row, &sample) in values.chunks_exact_mut(width).zip(&batch.samples) {
                let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
                if !length.is_finite() {
                    let what = format!("what the model sees in {}", dataset.name(sample));
                    return Err(TrainError::NotFinite { what });
                }
                let scale = if length > 0.0 { length.recip() } else { 0.0 };
                row.iter_mut().for_each(|value| *value *= scale);
            }
            Ok((values, batch.labels))
        };
        reading.loader(dataset, preprocessing)?.for_each(compute, |(values, labels)| {
            features.values.extend(values);
            features.labels.extend(labels);
            progress(features.labels.len());
            Ok::<(), TrainError>(())
        })?;
        Ok(features)
    }
}
