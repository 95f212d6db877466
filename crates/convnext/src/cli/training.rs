//! Arguments that pre-training and fine-tuning share.

mod batch_size;
mod cache_place;
pub(super) mod recipe;
pub(super) mod recorded_recipe;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use convnext::core::{COLOURS, ImageSize, ModelConfig, ModelSize, find_model};
use convnext::train::TrainError;

use self::batch_size::{BatchSize, batch_size};
use self::cache_place::CachePlace;
use super::activations::ActivationsName;
use super::blocks::BlockArguments;
use super::length::{LengthArguments, minutes};
use super::range::{RangeName, range};
use super::shared::RankArguments;
use super::stages::StageArguments;
use super::values::{
    DecodeArguments, GradientSumName, MachineArguments, channels, count, image_size, model, positive,
    setting, stem_stride,
};

/// Arguments that pre-training and fine-tuning share.
#[derive(Debug, Args)]
pub(crate) struct TrainingArguments {
    /// Model: atto ... huge, v1-atto ... v1-xlarge, micro, v1-micro (see `convnext models`)
    #[arg(long, value_name = "NAME", value_parser = model)]
    pub(crate) model: Option<&'static ModelSize>,
    /// Repeat a run with all its settings, but for the flags given beside it: a run folder or its config.toml
    #[arg(long, value_name = "RUN")]
    pub(crate) config: Option<PathBuf>,
    /// New folder for configuration, metrics and weights
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on with the run in --out where it was stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Let a run that goes on have more --epochs or --steps than it began with, and more --patience, or some, or none
    #[arg(long, requires = "resume")]
    pub(crate) extend: bool,
    /// Fail at the first image that cannot be read, instead of replacing it
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write a checkpoint at least this often, besides one after each epoch
    #[arg(long, value_name = "MINUTES", value_parser = minutes, default_value = "5")]
    pub(crate) checkpoint_every: Duration,
    /// How to train: `auto` suits model and images, `paper` is the paper's row for them, or the name of a recipe
    /// (see `convnext recipes`) or a TOML file of your own
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    pub(crate) recipe: String,
    /// Shrink the recipe to a few steps on small images, to see that everything is in place
    #[arg(long)]
    pub(crate) quick: bool,
    /// Replace a key of the recipe, such as training.weight_decay=0.1; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) length: LengthArguments,
    /// Batch size, or auto for as many images as fit into memory [default: that of the recipe]
    #[arg(long, value_name = "N|auto", value_parser = batch_size)]
    pub(crate) batch_size: Option<BatchSize>,
    /// Gradient accumulation: batches of a step, many small ones act like one large one [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) accumulate: Option<usize>,
    /// Size of the images in pixels: a side, or height and width as in 224x320 [default: that of a recipe made for one,
    /// or of the weights, or 224]
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    pub(crate) image_size: Option<ImageSize>,
    #[command(flatten)]
    pub(crate) stages: StageArguments,
    /// Side of the stem's patches: 4, or 2 or 1 for small images [default: that of the weights, or 4]
    #[arg(long, value_name = "N", value_parser = stem_stride)]
    pub(crate) stem_stride: Option<usize>,
    #[command(flatten)]
    pub(crate) blocks: BlockArguments,
    /// Channels of the images: 1 for greyscale, 3 for colours, others for TIFF files of so many bands
    /// [default: that of the weights, or 3]
    #[arg(long, value_name = "N", value_parser = channels)]
    pub(crate) channels: Option<usize>,
    /// Which values of images with more than 8 bit are black and white: `data` takes what the training images use,
    /// `dtype` the whole range of their type (65535 of 16 bit, 1 of floats), MIN,MAX these values; repeated, one for
    /// each channel [default: that of the weights, or data, but for images of 8 bit their whole range]
    #[arg(long, value_name = "MIN,MAX|data|dtype", value_parser = range, allow_hyphen_values = true)]
    pub(crate) range: Vec<RangeName>,
    /// Highest learning rate, absolute [default: that of the recipe]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) lr: Option<f64>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Decode large JPEG files at a half or less where the crop needs no more: faster, and pixels differ a little
    #[arg(long, conflicts_with = "cache")]
    pub(crate) fast_decode: bool,
    /// Decode each image once and keep it: in memory, or in a folder for later runs as well
    #[arg(long, value_name = "ram|DIR")]
    pub(crate) cache: Option<CachePlace>,
    /// Activation checkpointing: what blocks save for the backward pass
    #[arg(long, value_name = "POLICY", default_value = "save")]
    pub(crate) activations: ActivationsName,
    /// Order in which the ranks of a job add up the gradients of a step (see the guide's page on many machines)
    #[arg(long, value_name = "ORDER", default_value = "ordered")]
    pub(crate) sum: GradientSumName,
    #[command(flatten)]
    pub(crate) machine: MachineArguments,
    #[command(flatten)]
    pub(crate) ranks: RankArguments,
    #[command(flatten)]
    pub(crate) decoding: DecodeArguments,
}

impl TrainingArguments {
    /// The backbone: that of the weights to start from, or the named one, for as many channels as were asked for.
    pub(crate) fn backbone(&self, init: Option<(&Path, &ModelConfig)>) -> Result<ModelConfig, TrainError> {
        let Some((path, found)) = init else {
            let mut config = self.stages.apply(self.model.ok_or(TrainError::NoModel)?.config());
            config.stem_stride = self.stem_stride.unwrap_or(config.stem_stride);
            config.input_channels = self.channels.unwrap_or(config.input_channels);
            return Ok(self.blocks.of_fresh(config));
        };
        let mut asked = self.stages.apply(self.model.map_or_else(|| found.clone(), ModelSize::config));
        asked.stem_stride = self.stem_stride.unwrap_or(found.stem_stride);
        // What is special about the blocks of weights is no reason to refuse the name of their size.
        let shape = |config: &ModelConfig| {
            let plain = find_model(&config.name).map_or_else(|_| config.clone(), ModelSize::config);
            (
                config.depths,
                config.widths,
                plain.response_norm,
                plain.layer_scale.is_some(),
                config.stem_stride,
            )
        };
        if shape(&asked) == shape(found) {
            let (found_channels, asked) =
                (found.input_channels, self.channels.unwrap_or(found.input_channels));
            if asked != found_channels && found_channels != COLOURS {
                let path = path.to_owned();
                return Err(TrainError::Channels { path, found: found_channels, asked });
            }
            let found = self.blocks.of_weights(path, found.clone())?;
            return Ok(ModelConfig { input_channels: asked, ..found });
        }
        let describe = |config: &ModelConfig| format!("{config}, stem stride {}", config.stem_stride);
        Err(TrainError::OtherModel { path: path.to_owned(), found: describe(found), asked: describe(&asked) })
    }
}
