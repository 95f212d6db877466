//! ConvNeXt V1 and V2 and the FCMAE masked autoencoder on Burn.
//!
//! An image is a set of tiles: activations are rows `[sites, channels]`, and [`SiteMap`] maps rows to sites.
//! A dense image is the case of one tile. One code path serves both, and the layers on rows never touch a
//! removed patch.
//!
//! - [`ConvNext`]: the classifier and its feature maps;
//! - [`Fcmae`]: the masked autoencoder; [`Decoder`], [`PatchDecoder`], [`EncodedStages`]: its decoders and what they see;
//! - [`FeatureMaps`], [`ConvNorm`], [`resize_bilinear`] and others: the layers of a decode head, on dense maps;
//! - [`Region`], [`RoiSampling`], [`roi_align`], [`TransposedConv2d`]: those of heads on regions of the maps;
//! - [`Scope`], [`ModelState`] and [`Counter`]: parameters and buffers of layers, for other crates as well;
//! - [`DeviceName`]: the devices;
//! - [`ops`]: the operations with kernels, an extension of Burn's backends;
//! - [`forward_masked_dense`]: the masked dense encoder, the reference of the sparse one.
//!
//! **Invariant:** no files, no data sets, no training.

pub mod ops;

mod backbone;
mod batch_norm;
mod batch_statistics;
mod bf16_warning;
mod block;
mod block_layer;
mod classifier;
mod conv2d;
mod conv_norm;
mod convolution_at;
mod counter;
mod decoder;
mod decoders;
mod device;
mod device_name;
mod drop_path;
mod encoded_stages;
mod encoding;
mod error;
mod fcmae;
mod feature_maps;
mod gates;
mod layer_activations;
mod layers;
mod masked_dense;
mod masked_response;
mod names;
mod parameters;
mod patches;
mod pyramid_convolution;
mod regions;
mod resize;
mod shared_batch;
mod site_map;
mod state;
mod stem;
mod transposed_conv2d;
mod values;
mod visits;

pub use backbone::{Backbone, Downsampling};
pub use batch_norm::{BatchNorm, BatchStatistics, NormStatistics};
pub use block::Block;
pub use block_layer::BlockLayer;
pub use classifier::{ConvNext, EmbeddingLayer};
pub use conv_norm::ConvNorm;
pub use conv2d::Conv2d;
pub use counter::{Counter, counters, with_counters};
pub use decoder::Decoder;
pub use decoders::convnext::ConvNextDecoder;
pub use decoders::patch_decoder::PatchDecoder;
pub use decoders::transformer::TransformerDecoder;
pub use decoders::transformer_block::{Attention, Mlp, TransformerBlock};
pub use decoders::unet::{UNetDecoder, UNetSkip, UNetStep};
pub use device::is_cpu;
pub use device_name::DeviceName;
pub use drop_path::DropPath;
pub use encoded_stages::EncodedStages;
pub use error::ModelError;
pub use fcmae::{Fcmae, FcmaeOutput};
pub use feature_maps::FeatureMaps;
pub use gates::{Cbam, Kernel, LinearWeight, SqueezeExcite};
pub use layer_activations::LayerPlace;
pub use layers::{Convolution, Grn, LayerNorm, Linear};
pub use masked_dense::forward_masked_dense;
pub use ops::block_flex::has_kernels;
pub use ops::block_plan::Activations;
pub use ops::reference::BATCH_NORM_EPSILON;
pub use ops::roi_align_plan::{Region, RoiSampling};
pub use ops::saved_bytes::peak_activation_bytes;
pub use parameters::Scope;
pub use patches::{images_to_patches, patches_to_images};
pub use regions::roi_align;
pub use resize::{
    adaptive_average_pool, add_resized, add_resized_nearest, resize_bilinear, resize_nearest, subsample,
};
pub use shared_batch::SharedBatch;
pub use site_map::{SiteMap, SitePyramid};
pub use state::ModelState;
pub use stem::Stem;
pub use transposed_conv2d::TransposedConv2d;
pub use values::tensor_values;
pub use visits::{ParameterView, for_each_parameter, replace_parameters, tensor_shapes};

pub use convnext_kernels as kernels;
pub use convnext_kernels::Precision;
