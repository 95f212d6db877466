//! Settings that every training run needs, whatever it learns.

use std::path::PathBuf;
use std::time::Duration;

use burn::tensor::Device;
use convnext_core::{ConfigError, Seed};
use convnext_data::{
    BackgroundCheck, Cache, Dataset, HeaderCheck, ImageSource, Mixing, OnCorrupt, Orientation, RangeChoice,
    TrainTransform, Transform, check_headers,
};
use convnext_distributed::Ranks;
use convnext_nn::{Activations, Precision, is_cpu};
use serde::{Serialize, Serializer};

use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::memory::{MemoryEstimate, available_memory};
use crate::recipe::length::Length;
use crate::run::recorded::RunBeginning;
use crate::run::run_changes::ResumeMode;
use crate::training::step_error::StepError;
use crate::training::step_share::{GradientSum, StepShare};

/// Default interval between checkpoints.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(5 * 60);

/// Settings of a run: inputs and outputs, random seed and machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSettings {
    /// Folder or archive of images.
    pub data: PathBuf,
    /// Output folder, new or empty.
    pub out: PathBuf,
    /// The command that the run is of, with its arguments, for its record; empty where there is none.
    #[serde(skip)]
    pub command: Vec<String>,
    /// Weights to start from; `None` starts from fresh ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Seed of every random choice.
    pub seed: Seed,
    /// Treatment of the EXIF orientation of images.
    pub orientation: Orientation,
    /// Threads that read images.
    #[serde(skip)]
    pub threads: usize,
    /// Decode JPEG files no larger than their crops need. Recorded when on: pixels differ a little.
    #[serde(skip_serializing_if = "is_off")]
    pub fast_decode: bool,
    /// Cache of decoded images.
    #[serde(skip)]
    pub cache: Cache,
    /// Length of the training, if not as the recipe says.
    #[serde(skip)]
    pub length: Option<Length>,
    /// Time that the training may take; its length is then found by timing steps. The length is recorded, and a resumed
    /// run has that.
    #[serde(skip)]
    pub budget: Option<Duration>,
    /// Early stopping: validations without a better monitored metric after which the training ends, or epochs where
    /// that is the mean train loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// New run, or resumed one.
    #[serde(skip)]
    pub resume: ResumeMode,
    /// Run that this one repeats, its folder or its `config.toml`: with the same images and start, the value range is taken from it.
    #[serde(skip)]
    pub repeats: Option<PathBuf>,
    /// Fail at the first image that cannot be read, instead of replacing it.
    #[serde(skip)]
    pub strict: bool,
    /// Activations that blocks save for their backward. Recorded only where it changes what is computed.
    #[serde(skip_serializing_if = "keeps_the_bits", serialize_with = "rounded_activations")]
    pub activations: Activations,
    /// `true` to take the largest batch that fits into memory, whatever the recipe says. A run that goes on
    /// has the batch that it began with.
    #[serde(skip)]
    pub automatic_batch: bool,
    /// Input precision of the linear layers' GEMMs. Recorded unless it is f32.
    #[serde(skip_serializing_if = "is_f32", serialize_with = "precision_name")]
    pub precision: Precision,
    /// The longest time between two checkpoints, such as [`crate::CHECKPOINT_EVERY`].
    #[serde(skip)]
    pub checkpoint_every: Duration,
    /// Requested black and white values of images with more than 8 bit, if any. What is really taken is
    /// recorded.
    #[serde(skip)]
    pub range: Option<RangeChoice>,
    /// The ranks that share the run. Not recorded: nothing depends on their number.
    #[serde(skip)]
    pub ranks: Ranks,
    /// Order in which the gradients of ranks are added up. Recorded unless it is that of one process.
    #[serde(skip_serializing_if = "GradientSum::is_ordered")]
    pub sum: GradientSum,
}

fn is_off(on: &bool) -> bool {
    !on
}

fn keeps_the_bits(activations: &Activations) -> bool {
    *activations != Activations::SaveBf16
}

fn rounded_activations<S: Serializer>(_: &Activations, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("save-bf16")
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

fn precision_name<S: Serializer>(precision: &Precision, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(precision.name())
}

/// A remark as a list: none where there is nothing to say.
pub(crate) fn said(remark: String) -> Vec<String> {
    Some(remark).filter(|remark| !remark.is_empty()).into_iter().collect()
}

impl RunSettings {
    /// Reading of the images of a validation, so many at once: broken ones are left out, as long as they are few.
    pub fn validation_reading(&self, batch_size: usize) -> EvalLoaderConfig {
        EvalLoaderConfig {
            batch_size,
            threads: self.threads,
            orientation: self.orientation,
            on_corrupt: if self.strict { OnCorrupt::Fail } else { OnCorrupt::SkipFew },
            ranks: self.ranks.clone(),
        }
    }

    /// A new run from fresh weights on all cores, with seed 0 and checkpoints every
    /// [`CHECKPOINT_EVERY`]; its length is that of the recipe.
    pub fn new(data: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            out: out.into(),
            command: Vec::new(),
            init: None,
            seed: Seed::default(),
            orientation: Orientation::Honour,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            fast_decode: false,
            cache: Cache::Off,
            length: None,
            budget: None,
            patience: None,
            resume: ResumeMode::New,
            repeats: None,
            strict: false,
            activations: Activations::Save,
            automatic_batch: false,
            precision: Precision::F32,
            checkpoint_every: CHECKPOINT_EVERY,
            range: None,
            ranks: Ranks::default(),
            sum: GradientSum::default(),
        }
    }

    /// Refuses what several ranks cannot share, such as fewer micro-batches of a step than there are ranks.
    ///
    /// # Errors
    /// [`StepError::BudgetOfRanks`], [`StepError::Ranks`].
    pub(crate) fn check_ranks(&self, micro_batches: usize) -> Result<(), TrainError> {
        StepShare::new(self.ranks.clone(), micro_batches, self.sum)?;
        match self.budget.is_some() && !self.ranks.is_alone() {
            true => Err(StepError::BudgetOfRanks { ranks: self.ranks.size() }.into()),
            false => Ok(()),
        }
    }

    /// Has these ranks share the run. Those of one machine share its memory, too, which bounds a cache in it.
    pub fn shared_by(self, ranks: Ranks) -> Self {
        let cache = match self.cache {
            Cache::Memory { bytes } => Cache::Memory { bytes: bytes / ranks.local_size() as u64 },
            other => other,
        };
        Self { cache, ranks, ..self }
    }

    /// `true` if training starts from weights.
    pub fn is_from_weights(&self) -> bool {
        self.init.is_some()
    }

    /// Bytes of memory that the training may take: its part of what is free on its machine, without what the cache of decoded
    /// images will take. `None` where the system does not tell, and on other devices than the CPU, which have memory of their own.
    pub(crate) fn free_memory(&self, device: &Device) -> Option<u64> {
        let available = available_memory().filter(|_| is_cpu(device))?;
        let cached = match self.cache {
            Cache::Memory { bytes } => bytes,
            Cache::Off | Cache::Folder(_) => 0,
        };
        Some((available / self.ranks.local_size() as u64).saturating_sub(cached))
    }

    /// Sets the recipe's batch if it is to be found; `need` tells the memory of a batch.
    ///
    /// # Errors
    /// As [`MemoryEstimate::largest_batch`].
    pub(crate) fn find_batch(
        &self,
        device: &Device,
        images: usize,
        begun: Option<&RunBeginning>,
        need: impl Fn(usize) -> Result<MemoryEstimate, ConfigError>,
    ) -> Result<Option<usize>, TrainError> {
        if !self.automatic_batch {
            return Ok(None);
        }
        begun
            .and_then(|begun| begun.batch_size)
            .map_or_else(
                || {
                    MemoryEstimate::largest_batch(self.free_memory(device), need)
                        .map(|found| found.min(images))
                },
                Ok,
            )
            .map(Some)
    }

    /// The images of a training as a source, read as the settings say.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a setting that makes no sense.
    pub fn images(
        &self,
        dataset: &Dataset,
        transform: TrainTransform,
        mixing: Option<Mixing>,
    ) -> Result<ImageSource, TrainError> {
        let images = ImageSource::new(dataset.clone(), Transform::Train(transform), self.orientation)?;
        Ok(images.with_mixing(mixing)?.with_fast_decode(self.fast_decode))
    }

    /// Looks at the headers of all images, so that no unreadable file ends the run later.
    ///
    /// # Errors
    /// [`TrainError::Data`] as [`check_headers`] says.
    pub(crate) fn check_headers(
        &self,
        parts: &[(&str, &Dataset)],
        channels: usize,
    ) -> Result<Option<BackgroundCheck>, TrainError> {
        let how = HeaderCheck { channels, strict: self.strict, threads: self.threads, seed: self.seed };
        Ok(check_headers(parts, how)?)
    }
}
