//! The files that the copies and subsets of a data set share.

use std::{fs, io, path::PathBuf, sync::Arc};

use crate::datasets::listing::Listing;
use crate::datasets::relative::last;
use crate::datasets::shards::Shards;
use crate::datasets::storage::Stamp;
use crate::error::DataError;
use crate::reading::headers::ReadSeek;

/// Images by number.
#[derive(Debug)]
pub(crate) enum Files {
    /// Of a folder or of one archive.
    Listed(Arc<Listing>),
    /// Of shards.
    Shards(Shards),
    /// Named one by one.
    Single(Vec<PathBuf>),
    /// Several of these, one after the other.
    Joined(Vec<Arc<Files>>),
}

impl Files {
    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(listing) => listing.images.len(),
            Self::Shards(shards) => shards.len(),
            Self::Single(paths) => paths.len(),
            Self::Joined(parts) => parts.iter().map(|part| part.len()).sum(),
        }
    }

    /// Name of an image in messages.
    pub(crate) fn name(&self, index: usize) -> String {
        match self {
            Self::Listed(listing) => listing.name(listing.images.get(index)),
            Self::Shards(shards) => shards.name(index),
            Self::Single(paths) => {
                paths.get(index).map(|path| path.display().to_string()).unwrap_or_default()
            }
            Self::Joined(parts) => {
                part(parts, index).map(|(part, index)| part.name(index)).unwrap_or_default()
            }
        }
    }

    /// File name of an image without its folders.
    pub(crate) fn file_name(&self, index: usize) -> String {
        match self {
            Self::Listed(listing) => last(listing.images.get(index)).to_owned(),
            Self::Shards(shards) => shards.file_name(index),
            Self::Single(paths) => {
                let name = paths.get(index).and_then(|path| path.file_name());
                name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Self::Joined(parts) => {
                part(parts, index).map(|(part, index)| part.file_name(index)).unwrap_or_default()
            }
        }
    }

    /// Path of an image that is a file of its own.
    pub(crate) fn path(&self, index: usize) -> Option<PathBuf> {
        match self {
            Self::Listed(listing) => listing.storage.path(&listing.images, index),
            Self::Shards(_) => None,
            Self::Single(paths) => paths.get(index).cloned(),
            Self::Joined(parts) => part(parts, index).and_then(|(part, index)| part.path(index)),
        }
    }

    /// `true` for an image that was named itself, and not what it lies in.
    pub(crate) fn is_named(&self, index: usize) -> bool {
        match self {
            Self::Listed(_) | Self::Shards(_) => false,
            Self::Single(_) => true,
            Self::Joined(parts) => part(parts, index).is_some_and(|(part, index)| part.is_named(index)),
        }
    }

    /// The bytes of an image.
    pub(crate) fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let failed = |source| DataError::io("read", self.name(index), source);
        match self {
            Self::Listed(listing) => listing.storage.read(&listing.images, index).map_err(failed),
            Self::Shards(shards) => shards.read(index),
            Self::Single(paths) => {
                fs::read(paths.get(index).ok_or_else(|| failed(absent()))?).map_err(failed)
            }
            Self::Joined(parts) => {
                let (part, index) = part(parts, index).ok_or_else(|| failed(absent()))?;
                part.read(index)
            }
        }
    }

    /// An image from its first byte on, for a look at parts of it.
    pub(crate) fn open(&self, index: usize) -> io::Result<Box<dyn ReadSeek + '_>> {
        match self {
            Self::Listed(listing) => listing.storage.open(&listing.images, index),
            Self::Shards(shards) => Ok(Box::new(shards.open(index)?)),
            Self::Single(paths) => Ok(Box::new(fs::File::open(paths.get(index).ok_or_else(absent)?)?)),
            Self::Joined(parts) => {
                let (part, index) = part(parts, index).ok_or_else(absent)?;
                part.open(index)
            }
        }
    }

    /// Fingerprint that tells if an image is still the one that it was.
    pub(crate) fn stamp(&self, index: usize) -> Result<Stamp, DataError> {
        let failed = |source| DataError::io("read", self.name(index), source);
        match self {
            Self::Listed(listing) => listing.storage.stamp(&listing.images, index).map_err(failed),
            Self::Shards(shards) => Ok(shards.stamp(index)),
            Self::Single(paths) => {
                let path = paths.get(index).ok_or_else(|| failed(absent()))?;
                fs::metadata(path).map(|found| Stamp::of(&found)).map_err(failed)
            }
            Self::Joined(parts) => {
                let (part, index) = part(parts, index).ok_or_else(|| failed(absent()))?;
                part.stamp(index)
            }
        }
    }
}

/// The part that an image is in, and its number there.
fn part(parts: &[Arc<Files>], index: usize) -> Option<(&Files, usize)> {
    let mut left = index;
    for part in parts {
        match left.checked_sub(part.len()) {
            None => return Some((part, left)),
            Some(beyond) => left = beyond,
        }
    }
    None
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}
