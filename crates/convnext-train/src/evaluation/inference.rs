//! Every image of a data set once through a network, while the next ones are read.

use burn::prelude::*;
use convnext_core::{Geometry, Preprocessing, Seed};
use convnext_data::{
    Batch, Cache, DataError, Dataset, ImageBatch, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation,
    Transform,
};

use convnext_distributed::Ranks;

use crate::error::TrainError;
use crate::training::task::batch_images;

/// Batches that are made ahead.
const QUEUE: usize = 4;

/// Whole images that are read ahead.
const FEW: usize = 2;

/// Configuration of a data loader for evaluation and inference.
#[derive(Debug, Clone)]
pub struct EvalLoaderConfig {
    /// Images that go through the model together, where preprocessing makes them of one size.
    pub batch_size: usize,
    /// Threads that read images.
    pub threads: usize,
    /// Use of the EXIF orientation of images.
    pub orientation: Orientation,
    /// Handling of an image that cannot be read: it is never replaced by another.
    pub on_corrupt: OnCorrupt,
    /// The ranks that share the batches.
    pub ranks: Ranks,
}

/// Calls `each` with the images of every batch, `[N, channels, height, width]`, and with what else is known of them, in
/// the order of the data set. Where each image has a size of its own, every batch is of one image.
///
/// # Errors
/// What reading the images reports, and what `each` returns.
pub fn for_each_batch<E: From<TrainError>>(
    dataset: &Dataset,
    preprocessing: &Preprocessing,
    reading: &EvalLoaderConfig,
    device: &Device,
    each: impl FnMut(Tensor<4>, &ImageBatch) -> Result<(), E>,
) -> Result<(), E> {
    for_each_batch_of(&reading.loader(dataset, preprocessing)?, device, each)
}

/// [`for_each_batch`] with a loader that [`EvalLoaderConfig::loader`] made, which may be used again.
///
/// # Errors
/// Those of [`for_each_batch`].
pub fn for_each_batch_of<E: From<TrainError>>(
    loader: &Loader,
    device: &Device,
    mut each: impl FnMut(Tensor<4>, &ImageBatch) -> Result<(), E>,
) -> Result<(), E> {
    for batch in loader.epoch(0) {
        let mut batch = batch.map_err(TrainError::from)?;
        // All images of a batch may have been left out.
        if !batch.is_empty() {
            let images = batch_images(&mut batch, device);
            each(images, &batch)?;
        }
    }
    Ok(())
}

impl EvalLoaderConfig {
    /// A loader of images as a model sees them in evaluation: one by one where each has a size of its own, whatever the
    /// batch size, because they cannot be stacked.
    ///
    /// # Errors
    /// [`TrainError::Data`] when there are no images.
    pub fn loader(&self, dataset: &Dataset, preprocessing: &Preprocessing) -> Result<Loader, TrainError> {
        self.seeded_loader(dataset, preprocessing, Seed::default())
    }

    /// [`Self::loader`] of a run with this seed, which draws the images that are shown and nothing else.
    ///
    /// # Errors
    /// Those of [`Self::loader`].
    pub(crate) fn seeded_loader(
        &self,
        dataset: &Dataset,
        preprocessing: &Preprocessing,
        seed: Seed,
    ) -> Result<Loader, TrainError> {
        let transform = Transform::Evaluation(preprocessing.clone());
        let images = ImageSource::new(dataset.clone(), transform, self.orientation)?;
        let one_size = preprocessing.image_size().is_some();
        let batch_size = if one_size { self.batch_size } else { 1 };
        Ok(Loader::new(images, LoaderConfig { batch_size, seed, ..self.config() })?)
    }

    /// Configuration of a loader of whole images one by one, in their order: decoded and not yet resized, each may be large,
    /// so few are read ahead.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for preprocessing that leaves parts of an image out, where labels are about all of it.
    pub fn of_whole_images(&self, preprocessing: &Preprocessing) -> Result<LoaderConfig, DataError> {
        preprocessing.validate()?;
        if let Geometry::CentreCrop { .. } = preprocessing.geometry {
            let (what, found) = ("geometry of the images", preprocessing.geometry.to_string());
            let expected = "one that keeps the whole image: fit, warp or none".to_owned();
            return Err(DataError::OutOfRange { what, found, expected });
        }
        Ok(LoaderConfig { batch_size: 1, queue: FEW, ..self.config() })
    }

    /// Loader configuration for one pass over all images, in their order.
    fn config(&self) -> LoaderConfig {
        LoaderConfig {
            batch_size: self.batch_size,
            threads: self.threads,
            queue: QUEUE,
            shuffle: false,
            drop_last: false,
            on_corrupt: self.on_corrupt,
            cache: Cache::Off,
            seed: Seed::default(),
        }
    }
}
