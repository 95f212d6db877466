//! From a weight file to embeddings of images.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use convnext_core::{ImageSize, ModelConfig, Preprocessing};
use convnext_data::{Dataset, Image, ImageBatch};
use convnext_nn::{ConvNext, EmbeddingLayer, ModelError, Precision, tensor_values};
use convnext_train::{EvalLoaderConfig, RankFailure, TrainError, batch_images, load_network};

use crate::classifier::{images_to_tensors, open_image};

/// A network of any kind, pre-trained or fine-tuned, that makes an embedding of each image.
///
/// ```no_run
/// use convnext::{Embedder, nn::EmbeddingLayer};
///
/// let embedder = Embedder::load("weights.safetensors", EmbeddingLayer::Pooled)?;
/// let image = embedder.open("photo.jpg")?;
/// let embedding = &embedder.embed(&[image])?[0];
/// assert_eq!(embedding.len(), embedder.width());
/// # Ok::<(), convnext::train::TrainError>(())
/// ```
#[derive(Debug)]
pub struct Embedder {
    model: ConvNext,
    preprocessing: Preprocessing,
    layer: EmbeddingLayer,
    device: Device,
}

impl Embedder {
    /// Reads the network of a weight file, to compute on the CPU.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read or does not fit itself.
    pub fn load(path: impl AsRef<Path>, layer: EmbeddingLayer) -> Result<Self, TrainError> {
        Self::load_on(path.as_ref(), layer, &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, layer: EmbeddingLayer, device: &Device) -> Result<Self, TrainError> {
        let (model, metadata) = load_network(path, device)?;
        Ok(Self { model, preprocessing: metadata.preprocessing, layer, device: device.clone() })
    }

    /// Sets the precision in which linear layers multiply on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// Sets the size of the images, in place of that of the weights.
    #[must_use]
    pub fn at_size(self, image_size: impl Into<ImageSize>) -> Self {
        Self { preprocessing: self.preprocessing.at_size(image_size), ..self }
    }

    /// Replaces the preprocessing, for images that are prepared as others were.
    ///
    /// # Errors
    /// [`TrainError::Config`] for values out of their range, [`TrainError::Model`] for other channels than the network
    /// takes.
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Result<Self, TrainError> {
        preprocessing.validate()?;
        let (expected, found) = (self.preprocessing.channels(), preprocessing.channels());
        if found != expected {
            return Err(ModelError::Channels { expected, found }.into());
        }
        Ok(Self { preprocessing, ..self })
    }

    /// The configuration of the network.
    pub fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// Preprocessing of the images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Values of an embedding.
    pub fn width(&self) -> usize {
        let [first, second, third, fourth] = self.config().widths;
        match self.layer {
            EmbeddingLayer::Stage1 => first,
            EmbeddingLayer::Stage2 => second,
            EmbeddingLayer::Stage3 => third,
            EmbeddingLayer::Stage4 | EmbeddingLayer::Pooled => fourth,
        }
    }

    /// Reads an image with the channels that the network takes, turned as its camera says.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the file cannot be read or decoded, and for a folder of several images.
    pub fn open(&self, path: impl Into<PathBuf>) -> Result<Image, TrainError> {
        open_image(path.into(), &self.preprocessing)
    }

    /// The embedding of each image, of [`Self::width`] values.
    ///
    /// # Errors
    /// [`TrainError::Model`] when an image has other channels than the network takes, [`TrainError::NotFinite`] when
    /// its weights are damaged.
    pub fn embed(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut vectors = Vec::with_capacity(images.len());
        for images in images_to_tensors(images, &self.preprocessing, &self.device)? {
            vectors.extend(self.vectors(images)?.chunks(self.width()).map(<[f32]>::to_vec));
        }
        Ok(vectors)
    }

    /// The embeddings of any number of images, made at the speed of the network while the next images are read. `each`
    /// is given the name of an image and its embedding, in the order of the images. Ranks share the images, and `each` is
    /// called for all of them on every rank, one of which may be the one that writes.
    ///
    /// # Errors
    /// As [`Self::embed`], what reading the images reports, and what `each` returns.
    pub fn embed_all<E: Display + From<TrainError> + From<RankFailure>>(
        &self,
        images: &Dataset,
        reading: &EvalLoaderConfig,
        mut each: impl FnMut(String, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let compute = |mut batch: ImageBatch| {
            let vectors = self.vectors(batch_images(&mut batch, &self.device))?;
            Ok((batch.samples, vectors))
        };
        reading.loader(images, &self.preprocessing)?.for_each(compute, |(samples, vectors)| {
            let mut named = samples.into_iter().zip(vectors.chunks(self.width()));
            named.try_for_each(|(sample, vector)| each(images.name(sample), vector))
        })
    }

    fn vectors(&self, images: Tensor<4>) -> Result<Vec<f32>, TrainError> {
        let vectors = tensor_values(self.model.embedding(images, self.layer)?);
        match vectors.iter().all(|value| value.is_finite()) {
            true => Ok(vectors),
            false => Err(TrainError::NotFinite { what: "an embedding".into() }),
        }
    }
}
