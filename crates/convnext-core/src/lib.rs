//! Plain data that every other crate of convnext agrees on.
//!
//! - [`ModelConfig`], [`FcmaeConfig`]: architectures, apart from how they are trained, and the one table of sizes, [`MODELS`];
//! - [`BLOCK_PARAMETERS`]: the one table of a block's parameters;
//! - [`Cost`]: exact parameters, multiply-adds and FLOPs of a configuration;
//! - [`PatchGrid`] and [`Mask`]: which patches FCMAE keeps;
//! - [`Seed`]: one random stream per (purpose, epoch, sample);
//! - [`ImageSize`], [`Geometry`]: height and width, and the resizing and cropping to them;
//! - [`WeightMetadata`]: the metadata of weights, backbone and task as [`Tagged`] values, to which the crate of a task adds
//!   its own by [`TaskMetadata`]; [`Preprocessing`], [`ValueRange`], [`ClassNames`];
//! - [`backbone_tensors`] and others: names and shapes of the tensors of a model;
//! - [`imagenet_1k_classes`]: the class names that released weights do not carry.
//!
//! **Invariant:** this crate knows neither Burn nor the file system, and nothing here can fail
//! except on values that its caller passed.

mod block_layout;
mod block_parameter_rules;
mod block_parameters;
mod bounding_box;
mod class_names;
mod classification_task;
mod config;
mod cost;
mod counted;
mod decoder_config;
mod decoder_cost;
mod decoder_tensors;
mod detection_cost;
mod detection_task;
mod detector_rules;
mod error;
mod fcmae_config;
mod fcmae_task;
mod geometry;
mod image_size;
mod imagenet;
mod interpolation;
mod large_counts;
mod limits;
mod mask;
mod mask_rcnn;
mod metadata;
mod mmcv_cost;
mod model_words;
mod nearest_name;
mod preprocessing;
mod resize_rule;
mod response_norm;
mod seed;
mod segmentation_cost;
mod segmentation_task;
mod sizes;
mod stored_metadata;
mod stored_model;
mod stored_preprocessing;
mod tagged;
mod task_metadata;
mod tensors;
mod unet_layout;
mod upernet;
mod value_range;

pub use block_layout::BlockLayout;
pub use block_parameter_rules::{
    BlockAxis, BlockParameterKind, DEPTHWISE_KERNEL_SIZE, GATE_RATIO, InitialValue, LAYER_SCALE_INIT,
    MLP_RATIO, Presence, SiteCost, WeightDecay,
};
pub use block_parameters::{BLOCK_PARAMETERS, BlockParameter, BlockParameterLayout};
pub use bounding_box::BoundingBox;
pub use class_names::ClassNames;
pub use classification_task::{ClassificationTask, classifier_tensors};
pub use config::{Family, ModelConfig};
pub use cost::{Cost, pretraining_macs};
pub use counted::counted;
pub use decoder_config::{DecoderConfig, DecoderKind};
pub use decoder_tensors::{decoder_parameters, decoder_tensors};
pub use detection_task::DetectionTask;
pub use detector_rules::DetectorRules;
pub use error::ConfigError;
pub use fcmae_config::{EncoderKind, FcmaeConfig, FcmaeObjective};
pub use fcmae_task::FcmaeTask;
pub use geometry::{Fit, Geometry};
pub use image_size::{ImageSize, MAX_IMAGE_SIDE, SIDE_RANGE};
pub use imagenet::{
    IMAGENET_1K_CLASSES, imagenet_1k_classes, imagenet_1k_index, imagenet_1k_name, is_imagenet_1k,
};
pub use interpolation::Interpolation;
pub use limits::{MAX_BLOCKS, MAX_CHANNELS, MAX_CLASSES, STAGES};
pub use mask::{Mask, PatchGrid, kept_count, usable_kept_count};
pub use mask_rcnn::{
    BOX_DELTAS, BOX_MAP_SIDE, MASK_CONVOLUTIONS, MASK_MAP_SIDE, MaskRcnnConfig, PLACE_ANCHORS,
    PYRAMID_LEVELS, PYRAMID_STRIDES,
};
pub use metadata::{CORE_TASKS, WeightMetadata};
pub use nearest_name::{did_you_mean, did_you_mean_of_serde};
pub use preprocessing::{COLOURS, IMAGENET_MEAN, IMAGENET_STD, Preprocessing, imagenet_mean, imagenet_std};
pub use resize_rule::ResizeRule;
pub use response_norm::ResponseNorm;
pub use seed::{Purpose, Seed};
pub use segmentation_task::SegmentationTask;
pub use sizes::{CUSTOM, MODELS, ModelSize, find_model};
pub use tagged::{Kind, Tagged};
pub use task_metadata::{OutputActivation, TaskKind, TaskMetadata};
pub use tensors::{
    BATCH_COUNTER, ENCODER_PREFIX, TensorShape, backbone_tensors, downsampling_weight, final_norm_tensors,
    head_tensors,
};
pub use unet_layout::UNetLayout;
pub use upernet::{POOL_SCALES, UperNetConfig};
pub use value_range::{Limits, ValueRange, are_sensible, format_limits};
