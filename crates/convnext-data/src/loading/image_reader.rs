//! The images of a data set as a source sees them: decoded now, or kept from before.

use std::sync::Arc;

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::loading::cache::{Cache, ImageCache};
use crate::pixels::image::Image;
use crate::reading::decoding::Decoding;

/// The images of a data set, decoded one way and kept as the cache says.
#[derive(Debug)]
pub struct ImageReader {
    dataset: Dataset,
    decoding: Decoding,
    cache: ImageCache,
}

impl ImageReader {
    /// The images of a data set.
    ///
    /// # Errors
    /// [`DataError::Io`] when the folder of a cache cannot be used.
    pub(crate) fn open(dataset: &Dataset, decoding: &Decoding, cache: &Cache) -> Result<Self, DataError> {
        let cache = ImageCache::open(cache, dataset, decoding)?;
        Ok(Self { dataset: dataset.clone(), decoding: decoding.clone(), cache })
    }

    /// The image of a sample.
    ///
    /// # Errors
    /// Those of [`Dataset::image`].
    pub fn image(&self, sample: usize) -> Result<Arc<Image>, DataError> {
        self.cache.image(&self.dataset, sample, &self.decoding)
    }

    /// `true` if images are kept, so that each must be decoded whole.
    pub fn are_kept(&self) -> bool {
        !matches!(self.cache, ImageCache::Off)
    }
}
