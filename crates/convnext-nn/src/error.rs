//! The errors of building and calling models.

use convnext_core::ConfigError;
use convnext_kernels::SitesError;
use thiserror::Error;

use crate::device_name::DeviceName;

/// A model that cannot be built, an input of the wrong shape, or an unavailable device.
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
    /// The sites were made for other images.
    #[error(
        "the sites are those of {} images with {}x{} sites each, but the images are {} with {}x{} each; make the sites for \
         these images",
        found[0], found[1], found[2], expected[0], expected[1], expected[2]
    )]
    SiteGrid {
        /// Images of the batch, and rows and columns of sites that each has in stage 0.
        expected: [usize; 3],
        /// The same of the sites.
        found: [usize; 3],
    },
    /// Drop path needs one factor for each block and image.
    #[error("drop path does not have one factor for each of {blocks} blocks and {images} images")]
    DropPath {
        /// Blocks of the backbone.
        blocks: usize,
        /// Images of the batch.
        images: usize,
    },
    /// Batch norm in training needs two values of a channel.
    #[error(
        "batch norm {layer} cannot train on a single value of each channel; train on batches of at least 2 images"
    )]
    OneValue {
        /// Official name of the layer.
        layer: String,
    },
    /// An encoder that leaves removed patches open needs a decoder with a mask token for them.
    #[error(
        "the decoder has no mask token for the removed patches of stage {stage}; build it for an encoder that leaves them \
         open, not for one with tokens"
    )]
    NoMaskToken {
        /// Stage of the encoder, 0 to 3.
        stage: usize,
    },
    /// Dropout of channels needs one factor for each image and channel.
    #[error(
        "found {factors} factors of channels, not one for each of {images} images and {channels} channels"
    )]
    ChannelFactors {
        /// Factors found.
        factors: usize,
        /// Images of the batch.
        images: usize,
        /// Channels of the maps.
        channels: usize,
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
    /// The masks keep other patches than those that were encoded.
    #[error(
        "the masks keep other patches than those that were encoded; decode with the masks of the encoder"
    )]
    OtherMasks,
    /// An unknown device name.
    #[error("unknown device '{name}'; expected cpu, wgpu, wgpu:N, cuda or cuda:N, where N counts from 0")]
    UnknownDevice {
        /// The name.
        name: String,
    },
    /// A kind of device that was not compiled in.
    #[error(
        "this build has no device '{feature}'; build it with: cargo build --release --features {feature}"
    )]
    DeviceNotBuilt {
        /// The cargo feature, named like the device.
        feature: &'static str,
    },
    /// A device that this machine or its drivers do not have.
    #[error(
        "no device {device}: {found} of this kind found, counted from 0; check its driver, or use --device cpu"
    )]
    NoDevice {
        /// The requested device.
        device: DeviceName,
        /// Number of devices of its kind.
        found: usize,
    },
}
