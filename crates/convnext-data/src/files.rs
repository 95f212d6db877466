//! The files that the copies and subsets of a data set share.

use crate::{DataError, listing::Listing, shards::Shards, storage::Stamp};

/// Images by number.
#[derive(Debug)]
pub(crate) enum Files {
    /// Those of a folder or of one archive.
    Listed(Listing),
    /// Those of shards.
    Shards(Shards),
}

impl Files {
    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(listing) => listing.images.len(),
            Self::Shards(shards) => shards.len(),
        }
    }

    /// The name of an image in messages.
    pub(crate) fn name(&self, index: usize) -> String {
        match self {
            Self::Listed(listing) => listing.name(listing.images.get(index)),
            Self::Shards(shards) => shards.name(index),
        }
    }

    /// The bytes of an image.
    pub(crate) fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        match self {
            Self::Listed(listing) => {
                let bytes = listing.storage.read(&listing.images, index);
                bytes.map_err(|source| DataError::io("read", self.name(index), source))
            }
            Self::Shards(shards) => shards.read(index),
        }
    }

    /// The stamp of what holds an image.
    pub(crate) fn stamp(&self, index: usize) -> Result<Stamp, DataError> {
        match self {
            Self::Listed(listing) => {
                let stamp = listing.storage.stamp(&listing.images, index);
                stamp.map_err(|source| DataError::io("read", self.name(index), source))
            }
            Self::Shards(shards) => Ok(shards.stamp(index)),
        }
    }
}
