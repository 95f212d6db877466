//! Arguments that pre-training and fine-tuning share, and the settings made of them.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use convnext::core::{COLOURS, ImageSize, ModelConfig, ModelSize, Seed, WeightMetadata};
use convnext::data::Cache;
use convnext::train::{
    Given, InputRecipe, Length, ResumeMode, RunSettings, Setting, TrainError, TrainingRecipe,
    available_memory,
};

use super::length::{LengthArguments, minutes};
use super::range::{RangeName, range, range_choice};
use super::values::{
    ActivationsName, DecodeArguments, MachineArguments, channels, count, image_size, model, positive,
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
    /// Let a run that goes on have more --epochs or --steps than it began with
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
    /// Side of the stem's patches: 4, or 2 or 1 for small images [default: that of the weights, or 4]
    #[arg(long, value_name = "N", value_parser = stem_stride)]
    pub(crate) stem_stride: Option<usize>,
    /// Channels of the images: 1 for greyscale, 3 for colours, others for TIFF files of so many bands
    /// [default: that of the weights, or 3]
    #[arg(long, value_name = "N", value_parser = channels)]
    pub(crate) channels: Option<usize>,
    /// Which values of images with more than 8 bit are black and white: `data` takes what the training images use,
    /// `dtype` the whole range of their type (65535 of 16 bit, 1 of floats), MIN,MAX these values; repeated, one for
    /// each channel [default: that of the weights, or data; images of 8 bit always use their whole range]
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
    #[command(flatten)]
    pub(crate) machine: MachineArguments,
    #[command(flatten)]
    pub(crate) decoding: DecodeArguments,
}

/// Place of the cache of decoded images.
#[derive(Debug, Clone)]
pub(crate) enum CachePlace {
    Memory,
    Folder(PathBuf),
}

impl FromStr for CachePlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "ram" { Self::Memory } else { Self::Folder(text.into()) })
    }
}

impl CachePlace {
    /// In memory at most half of what is free: the training needs the other half.
    fn into_cache(self) -> Cache {
        match self {
            Self::Memory => Cache::Memory { bytes: available_memory().unwrap_or(0) / 2 },
            Self::Folder(folder) => Cache::Folder(folder),
        }
    }
}

/// Batch size of a training.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BatchSize {
    /// As many as fit into memory.
    Auto,
    /// So many.
    Count(usize),
}

fn batch_size(text: &str) -> Result<BatchSize, String> {
    match text {
        "auto" => Ok(BatchSize::Auto),
        _ => count(text).map(BatchSize::Count).map_err(|expected| format!("{expected}, or auto")),
    }
}

/// Source, in words, of a value that comes from the weights to start from.
pub(crate) const OF_WEIGHTS: &str = "the weights of --init";

/// Length of a training with `--quick`.
const QUICK_STEPS: Length = Length::Steps(4);

/// Patches along the side of its images.
const QUICK_PATCHES: usize = 2;

impl TrainingArguments {
    /// Values given for the recipe by flags, `--set` and weights.
    pub(crate) fn given(&self, weights: Option<&WeightMetadata>) -> Given {
        let batch = match self.batch_size {
            Some(BatchSize::Count(count)) => Some(Setting::new("training.batch_size", count, "--batch-size")),
            Some(BatchSize::Auto) | None => None,
        };
        let accumulate = |count| Setting::new("training.accumulate", count, "--accumulate");
        let rate = |rate: f64| Setting::new("training.learning_rate", format!("{rate:?}"), "--lr");
        let size = |size| Setting::of_size(size, "--image-size");
        // Where images have sizes of their own, a training needs another answer.
        let of_weights = |weights: &WeightMetadata| {
            Some(Setting::of_size(weights.preprocessing.image_size()?, OF_WEIGHTS))
        };
        let flags = [batch, self.accumulate.map(accumulate), self.lr.map(rate), self.image_size.map(size)];
        let given = Given {
            flags: flags.into_iter().flatten().collect(),
            settings: self.settings.clone(),
            weights: weights.and_then(of_weights).into_iter().collect(),
        };
        self.warn_of_overruled(&given);
        if let Some(weights) = weights
            && weights.preprocessing.image_size().is_none()
            && self.image_size.is_none()
        {
            let geometry = weights.preprocessing.geometry;
            log::warn!(
                "the weights take images {geometry}, and a training needs one size: give --image-size"
            );
        }
        given
    }

    /// Flags that decide something without being a value of its key go before `--set` as well.
    fn warn_of_overruled(&self, given: &Given) {
        let is_automatic = matches!(self.batch_size, Some(BatchSize::Auto));
        for (flag, is_given, key) in [
            ("--epochs", self.length.epochs.is_some(), "training.epochs"),
            ("--steps", self.length.steps.is_some(), "training.epochs"),
            ("--budget", self.length.budget.is_some(), "training.epochs"),
            ("--batch-size auto", is_automatic, "training.batch_size"),
            ("--quick", self.quick, "training.batch_size"),
            ("--quick", self.quick, InputRecipe::IMAGE_SIZE),
        ] {
            if is_given && given.is_set(key) {
                log::warn!("--set {key} may not be used as it stands: {flag} goes before it");
            }
        }
    }

    /// With `--quick`, makes everything small that no flag of its own decides, but for the images; `patch` is the
    /// model's, in pixels. And leaves out the reasons for what was decided otherwise.
    pub(crate) fn shrink(
        &self,
        recipe: &mut TrainingRecipe,
        image_size: &mut ImageSize,
        patch: usize,
        reasons: &mut Vec<String>,
    ) {
        let (batch_size, accumulate) = (recipe.batch_size, recipe.accumulate);
        if self.quick {
            recipe.shrink();
            let [height, width] =
                [image_size.height, image_size.width].map(|side| side.min(QUICK_PATCHES * patch));
            *image_size = ImageSize { height, width };
            reasons.push(format!(
                "images of {size} and batches of at most a few: from --quick",
                size = image_size.with_unit()
            ));
        }
        if matches!(self.batch_size, Some(BatchSize::Count(_))) {
            recipe.batch_size = batch_size;
        }
        if self.accumulate.is_some() {
            recipe.accumulate = accumulate;
        }
        let has_length = self.length.is_given() || self.quick;
        let decided =
            [(has_length, "epochs"), (self.quick, "batch_size"), (self.batch_size.is_some(), "batch_size")];
        let is_decided = |key: &str| decided.iter().any(|&(decided, end)| decided && key.ends_with(end));
        reasons.retain(|reason| {
            let mut words = reason.split(' ');
            !(words.next().is_some_and(is_decided) && words.next() == Some("="))
        });
    }

    /// Settings that every run needs.
    ///
    /// # Errors
    /// When values of `--range` contradict each other.
    pub(crate) fn settings(
        self,
        data: PathBuf,
        init: Option<PathBuf>,
        threads: usize,
    ) -> anyhow::Result<RunSettings> {
        Ok(RunSettings {
            data,
            out: self.out,
            command: super::command_line(),
            init,
            seed: Seed(self.seed),
            orientation: self.decoding.orientation(),
            threads,
            fast_decode: self.fast_decode,
            cache: self.cache.map_or(Cache::Off, CachePlace::into_cache),
            length: self.length.length().or(self.quick.then_some(QUICK_STEPS)),
            budget: self.length.budget,
            patience: self.length.patience,
            resume: match (self.resume, self.extend) {
                (_, true) => ResumeMode::Extended,
                (true, false) => ResumeMode::Resumed,
                (false, false) => ResumeMode::New,
            },
            repeats: self.config,
            strict: self.strict,
            activations: self.activations.into(),
            automatic_batch: matches!(self.batch_size, Some(BatchSize::Auto)),
            precision: self.machine.precision.into(),
            checkpoint_every: self.checkpoint_every,
            range: range_choice(&self.range)?,
        })
    }

    /// The backbone: that of the weights to start from, or the named one, for as many channels as were asked for.
    pub(crate) fn backbone(&self, init: Option<(&Path, &ModelConfig)>) -> Result<ModelConfig, TrainError> {
        let Some((path, found)) = init else {
            let mut config = self.model.ok_or(TrainError::NoModel)?.config();
            config.stem_stride = self.stem_stride.unwrap_or(config.stem_stride);
            config.input_channels = self.channels.unwrap_or(config.input_channels);
            return Ok(config);
        };
        let mut asked = self.model.map_or_else(|| found.clone(), ModelSize::config);
        asked.stem_stride = self.stem_stride.unwrap_or(found.stem_stride);
        let shape = |config: &ModelConfig| {
            (config.depths, config.widths, config.grn, config.layer_scale, config.stem_stride)
        };
        if shape(&asked) == shape(found) {
            let (found_channels, asked) =
                (found.input_channels, self.channels.unwrap_or(found.input_channels));
            if asked != found_channels && found_channels != COLOURS {
                let path = path.to_owned();
                return Err(TrainError::Channels { path, found: found_channels, asked });
            }
            return Ok(ModelConfig { input_channels: asked, ..found.clone() });
        }
        let describe = |config: &ModelConfig| format!("{}, stem stride {}", config.name, config.stem_stride);
        Err(TrainError::OtherModel { path: path.to_owned(), found: describe(found), asked: describe(&asked) })
    }
}
