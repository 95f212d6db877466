//! Settings that every training run needs, whatever it learns.

use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;
use convnext_core::{ConfigError, ImageSize, Preprocessing, Seed, ValueRange};
use convnext_data::{
    BackgroundCheck, Cache, Dataset, FoundRange, HeaderCheck, ImageSource, Mixing, OnCorrupt, Orientation,
    RangeChoice, TrainTransform, Transform, check_headers, find_range,
};
use convnext_distributed::Ranks;
use convnext_nn::{Activations, Precision};
use serde::{Serialize, Serializer};

use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::memory::MemoryEstimate;
use crate::recipe::length::Length;
use crate::run::recorded::{RunBeginning, recorded_config, recorded_range};
use crate::run::run_changes::ResumeMode;
use crate::training::step_share::GradientSum;
use crate::weights::read_metadata;

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

    /// What the run that goes on began with; `None` for a new one, and where there is no run yet.
    ///
    /// # Errors
    /// [`TrainError::BadRun`] when its configuration is damaged.
    pub(crate) fn begun_with(&self) -> Result<Option<RunBeginning>, TrainError> {
        if self.resume == ResumeMode::New { Ok(None) } else { RunBeginning::read(&self.out) }
    }

    /// Refuses what several ranks cannot share.
    ///
    /// # Errors
    /// [`TrainError::BudgetOfRanks`].
    pub(crate) fn check_ranks(&self) -> Result<(), TrainError> {
        match self.budget.is_some() && !self.ranks.is_alone() {
            true => Err(TrainError::BudgetOfRanks { ranks: self.ranks.size() }),
            false => Ok(()),
        }
    }

    /// `true` if training starts from weights.
    pub fn is_from_weights(&self) -> bool {
        self.init.is_some()
    }

    /// Preprocessing for images of this size and so many channels, with the reason: as the weights to start
    /// from say, where there are any. Which of the images' values are black and white was perhaps asked for,
    /// or is found in them; a run that goes on has the range that it began with, unless it is asked for
    /// another.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the weights cannot be read, [`TrainError::BadRun`] when the folder of a run that goes on is
    /// damaged, and those of [`find_range`].
    pub(crate) fn preprocessing(
        &self,
        image_size: ImageSize,
        channels: usize,
        images: &Dataset,
        begun: Option<&RunBeginning>,
    ) -> Result<(Preprocessing, String), TrainError> {
        let start = self.init.as_deref().map(read_metadata).transpose()?;
        let of_weights = start.map(|metadata| metadata.preprocessing);
        let preprocessing = Preprocessing::of_training(of_weights.as_ref(), image_size, channels);
        let stated = of_weights.map_or(ValueRange::Unstated, |preprocessing| preprocessing.range);
        let FoundRange { range, why } = self.find_range(&stated, images, channels, begun)?;
        // Nobody asked for it, and much depends on it.
        if self.range.is_none() && !why.is_empty() {
            log::warn!("{why}");
        }
        Ok((Preprocessing { range, ..preprocessing }, why))
    }

    /// The range of [`Self::preprocessing`].
    fn find_range(
        &self,
        of_weights: &ValueRange,
        images: &Dataset,
        channels: usize,
        begun: Option<&RunBeginning>,
    ) -> Result<FoundRange, TrainError> {
        let repeated = self.repeated_with_these_inputs()?.map(recorded_range).transpose()?.flatten();
        if self.range.is_none()
            && let Some(range) = begun.map(|begun| begun.range.clone()).or(repeated)
        {
            let why = match &range {
                ValueRange::Unstated => String::new(),
                range => format!("range {range}, as the run began"),
            };
            return Ok(FoundRange { range, why });
        }
        Ok(find_range(self.range.as_ref(), of_weights, images, channels, self.seed, self.threads)?)
    }

    /// The repeated run, if its images and its start are those of this one: the value range of others says nothing here.
    fn repeated_with_these_inputs(&self) -> Result<Option<&Path>, TrainError> {
        let Some(run) = self.repeats.as_deref() else { return Ok(None) };
        let config = recorded_config(run)?;
        let path = |key| config.as_ref()?.get(key)?.as_str().map(Path::new);
        let has_these = path("data") == Some(&self.data) && path("init") == self.init.as_deref();
        Ok(Some(run).filter(|_| has_these))
    }

    /// Warns when the training images are not those of the run that is repeated.
    ///
    /// # Errors
    /// [`TrainError::BadRun`] when its configuration is damaged.
    pub(crate) fn compare_with_repeated(&self, images: &Dataset) -> Result<(), TrainError> {
        let Some(run) = &self.repeats else { return Ok(()) };
        let recorded = recorded_config(run)?.and_then(|config| config.get("data_checksum")?.as_integer());
        if recorded.is_some_and(|recorded| recorded != i64::from(images.fingerprint())) {
            log::warn!(
                "the training images or their labels are not those of {}, so that the result will differ",
                run.display()
            );
        }
        Ok(())
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
            .map_or_else(|| MemoryEstimate::largest_batch(device, need).map(|found| found.min(images)), Ok)
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
