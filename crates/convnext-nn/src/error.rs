//! The errors of building and calling models.

use convnext_core::ConfigError;
use convnext_kernels::SitesError;
use thiserror::Error;

/// A model that cannot be built, or an input that does not fit it.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A setting or an image size does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The masks of a batch do not fit together.
    #[error(transparent)]
    Sites(#[from] SitesError),
    /// The images have other channels than the model was built for.
    #[error("the model takes images of {expected} channels, found {found}")]
    Channels {
        /// Input channels of the configuration.
        expected: usize,
        /// Channels of the images.
        found: usize,
    },
    /// Drop path needs one factor for each block and image.
    #[error("drop path does not have one factor for each of {blocks} blocks and {images} images")]
    DropPath {
        /// Blocks of the backbone.
        blocks: usize,
        /// Images of the batch.
        images: usize,
    },
    /// A batch needs one mask for each image.
    #[error("{images} images came with {masks} masks; each image needs one")]
    MaskCount {
        /// Images of the batch.
        images: usize,
        /// Masks of the batch.
        masks: usize,
    },
    /// The masks were made for images of another size.
    #[error("the masks have {found_rows}x{found_columns} patches, the images {rows}x{columns}")]
    MaskGrid {
        /// Patch rows of the images.
        rows: usize,
        /// Patch columns of the images.
        columns: usize,
        /// Patch rows of the masks.
        found_rows: usize,
        /// Patch columns of the masks.
        found_columns: usize,
    },
}
