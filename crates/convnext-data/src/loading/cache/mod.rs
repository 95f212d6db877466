//! Decoded images kept for the next epoch.

mod folder;
mod memory;

use std::{path::PathBuf, sync::Arc};

use self::{folder::FolderCache, memory::MemoryCache};
use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::pixels::image::Image;
use crate::reading::decoding::Decoding;

/// Cache of the decoded images of a [`crate::Loader`]: 8 or 16 bit for each channel, as large as in the file.
/// They are the same with and without a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cache {
    /// Every image is read and decoded each time.
    #[default]
    Off,
    /// Images are kept in memory, as long as the loader lives: the first ones that fit. A file that
    /// changes meanwhile is not read again.
    Memory {
        /// The most bytes of pixels that are kept.
        bytes: u64,
    },
    /// Images are kept in two files of a folder, which is made if needed: a byte for each channel of a pixel, two for deep ones. They
    /// serve the same data set later again, and an interrupted run leaves nothing wrong. An image is decoded again
    /// when its file, or the archive around it, has another size or time of change. Loaders of other processes may
    /// read the same files at the same time, but only one adds to them.
    Folder(PathBuf),
}

/// The images of one data set.
#[derive(Debug)]
pub(crate) enum ImageCache {
    Off,
    Memory(MemoryCache),
    Folder(FolderCache),
}

impl ImageCache {
    /// The cache for a data set whose images are decoded like this.
    ///
    /// # Errors
    /// [`DataError::Io`] when the folder cannot be made or its files cannot be opened.
    pub(crate) fn open(cache: &Cache, dataset: &Dataset, decoding: &Decoding) -> Result<Self, DataError> {
        Ok(match cache {
            Cache::Off => Self::Off,
            Cache::Memory { bytes } => Self::Memory(MemoryCache::new(*bytes)),
            Cache::Folder(folder) => Self::Folder(FolderCache::open(folder, dataset, decoding)?),
        })
    }

    /// An image of the data set, kept or decoded as the cache was opened for.
    ///
    /// # Errors
    /// Those of [`Dataset::image`].
    pub(crate) fn image(
        &self,
        dataset: &Dataset,
        sample: usize,
        decoding: &Decoding,
    ) -> Result<Arc<Image>, DataError> {
        let decode = || dataset.image(sample, decoding);
        match self {
            Self::Off => decode().map(Arc::new),
            Self::Memory(cache) => cache.image(sample, decode),
            Self::Folder(cache) => {
                // Before the file is read: should it change in between, the stamp will not fit.
                let stamp = dataset.stamp(sample)?;
                if let Some(image) = cache.load(sample, stamp) {
                    return Ok(Arc::new(image));
                }
                let image = decode()?;
                // A damaged file is told of in each run, and so decoded in each.
                if !decoding.has_told_of(|| dataset.name(sample)) {
                    cache.store(sample, stamp, &image);
                }
                Ok(Arc::new(image))
            }
        }
    }
}
