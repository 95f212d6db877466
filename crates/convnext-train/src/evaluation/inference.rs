//! Loaders for every image of a data set once through a network, while the next ones are read.

use convnext_core::{Geometry, Preprocessing, Seed};
use convnext_data::{
    Cache, DataError, Dataset, ImageSource, LoaderConfig, OnCorrupt, Orientation, Transform,
};
use convnext_distributed::Ranks;

use crate::error::TrainError;
use crate::evaluation::shared_loader::SharedLoader;

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

impl EvalLoaderConfig {
    /// A loader of images as a model sees them in evaluation: one by one where each has a size of its own, whatever the
    /// batch size, because they cannot be stacked.
    ///
    /// # Errors
    /// [`TrainError::Data`] when there are no images.
    pub fn loader(
        &self,
        dataset: &Dataset,
        preprocessing: &Preprocessing,
    ) -> Result<SharedLoader, TrainError> {
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
    ) -> Result<SharedLoader, TrainError> {
        let transform = Transform::Evaluation(preprocessing.clone());
        let images = ImageSource::new(dataset.clone(), transform, self.orientation)?;
        let one_size = preprocessing.image_size().is_some();
        let batch_size = if one_size { self.batch_size } else { 1 };
        let config = LoaderConfig { batch_size, seed, ..self.config() };
        Ok(SharedLoader::new(images, config, self.ranks.clone())?)
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
