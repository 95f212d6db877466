//! Where the masks of a data set come from.

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::segmentation::decode::decode_mask;
use crate::segmentation::mask::Mask;

/// The masks of a data set, each with its image.
#[derive(Debug)]
pub(crate) enum Masks {
    /// Image files.
    Files {
        /// Folder or archive of the data.
        root: String,
        /// One mask each.
        files: Dataset,
        /// The position of the image of each among all files.
        images: Vec<usize>,
    },
}

impl Masks {
    /// Number of masks.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Files { images, .. } => images.len(),
        }
    }

    /// Position of the image of a mask among all files.
    pub(crate) fn image(&self, at: usize) -> usize {
        match self {
            Self::Files { images, .. } => images[at],
        }
    }

    /// Folder or archive of the data.
    pub(crate) fn root(&self) -> String {
        match self {
            Self::Files { root, .. } => root.clone(),
        }
    }

    /// The name of a mask in messages.
    pub(crate) fn name(&self, at: usize) -> String {
        match self {
            Self::Files { files, .. } => files.name(at),
        }
    }

    /// Reads a mask.
    pub(crate) fn read(&self, at: usize) -> Result<Mask, DataError> {
        match self {
            Self::Files { files, .. } => {
                decode_mask(&files.read(at)?, "").map_err(|error| error.named(files.name(at)))
            }
        }
    }
}
