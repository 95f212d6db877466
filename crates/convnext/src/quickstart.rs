//! An end-to-end demo on a bundled digits data set: does pre-training without labels help when labels are
//! few?
//!
//! For each seed a `micro` is pre-trained on the 1,437 training digits without their labels, then
//! fine-tuned with 10 labels a class, and another one is trained from scratch on the same labels with the
//! same number of steps. Both are measured on the 360 test digits, which nothing was chosen by: rates and
//! lengths come from a search on a part of the training digits (see the recipes `digits`).

pub(crate) mod comparison;

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{ConfigError, FcmaeConfig, ModelConfig, Seed, find_model};
use convnext_data::open_unlabelled;
use convnext_io::replace_file;
use convnext_nn::Precision;
use convnext_train::{
    Classification, FinetuneJob, FinetuneRecipe, Freeze, InitFrom, LabelSubset, Length, Observer,
    PretrainJob, PretrainRecipe, Pretrained, ResumeMode, RunSettings, Summary, TrainError, TrainingRecipe,
    finetune, pretrain,
};
use thiserror::Error;

use self::comparison::{COMPARISON_FILE, Comparison, LABELS_PER_CLASS, SeedResult};
use crate::report::error::ReportError;
use crate::report::write_report;
use crate::samples::{SamplesError, write_samples};

/// The built-in recipes that fit the digits.
const RECIPE: &str = "digits";
/// Factor by which the trainings of a short quickstart are shorter.
const SHORTER: f64 = 3.0;

const MODEL: &str = "micro";
const STEM_STRIDE: usize = 1;

/// Settings of a quickstart.
#[derive(Debug, Clone)]
pub struct Quickstart {
    /// Output folder, new or empty unless the quickstart goes on.
    pub out: PathBuf,
    /// Number of seeds, at least 1; they are 0, 1, 2 and so on.
    pub seeds: u64,
    /// `true` if every training gets only a third of its recipe's epochs.
    pub short: bool,
    /// Start a new quickstart or resume one.
    pub resume: ResumeMode,
    /// Threads that read images.
    pub threads: usize,
    /// Device to train on.
    pub device: Device,
    /// Precision in which linear layers multiply.
    pub precision: Precision,
}

/// Why a quickstart ended early.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuickstartError {
    /// The samples cannot be written.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// A training failed or was interrupted.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A report cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The results cannot be written.
    #[error("cannot write {path}: {source}; check that the folder is writable and has space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: std::io::Error,
    },
}

impl From<ConfigError> for QuickstartError {
    fn from(error: ConfigError) -> Self {
        Self::Train(error.into())
    }
}

impl Quickstart {
    /// The folder of a seed's pre-training.
    pub fn pretraining(&self, seed: u64) -> PathBuf {
        self.run_folder(seed, "pretrained")
    }

    /// The folder of a seed's fine-tuning.
    pub fn finetuning(&self, seed: u64) -> PathBuf {
        self.run_folder(seed, "from-fcmae")
    }

    fn run_folder(&self, seed: u64, name: &str) -> PathBuf {
        self.out.join(format!("seed-{seed}")).join(name)
    }

    /// Writes the samples, runs every training with its report, and writes the results and the report
    /// that compares them.
    ///
    /// # Errors
    /// Any [`QuickstartError`]. What was finished is not done again when the quickstart goes on.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Comparison, QuickstartError> {
        self.check_folder()?;
        write_samples(&self.out)?;
        let (mut results, mut seconds) = (Vec::new(), 0.0);
        for seed in 0..self.seeds {
            let pretrained = self.pretrain(seed, observer)?;
            let from_fcmae = self.finetune(seed, "from-fcmae", Some(pretrained.weights), observer)?;
            let from_scratch = self.finetune(seed, "from-scratch", None, observer)?;
            seconds +=
                [&pretrained.summary, &from_fcmae, &from_scratch].map(|run| run.seconds).iter().sum::<f64>();
            // The digits have labels, so that there is always a value.
            let result = |run: &Summary| run.monitored().and_then(|metric| metric.value).unwrap_or_default();
            results.push(SeedResult {
                seed,
                from_fcmae: result(&from_fcmae),
                from_scratch: result(&from_scratch),
            });
        }
        let comparison = Comparison::new(results, seconds);
        let path = self.out.join(COMPARISON_FILE);
        let text = serde_json::to_string_pretty(&comparison).unwrap_or_default();
        replace_file(&path, |mut file| file.write_all(text.as_bytes()))
            .map_err(|source| QuickstartError::Write { path, source })?;
        write_report(&self.out)?;
        Ok(comparison)
    }

    /// A used folder is left alone unless the quickstart goes on.
    fn check_folder(&self) -> Result<(), TrainError> {
        let used = std::fs::read_dir(&self.out).is_ok_and(|mut entries| entries.next().is_some());
        if used && self.resume == ResumeMode::New {
            return Err(TrainError::OutputUsed(self.out.clone()));
        }
        Ok(())
    }

    fn pretrain(&self, seed: u64, observer: &mut dyn Observer) -> Result<Pretrained, QuickstartError> {
        let recipe = PretrainRecipe::load(RECIPE, &[])?;
        let model = FcmaeConfig::new(backbone()?);
        let run = self.settings(seed, "digits/train", self.pretraining(seed), &recipe.training);
        let images = open_unlabelled(&run.data).map_err(TrainError::from)?;
        let made = pretrain(
            &PretrainJob { run, model, recipe, watch_features: false },
            images,
            &self.device,
            observer,
        )?;
        write_report(&self.pretraining(seed))?;
        Ok(made)
    }

    fn finetune(
        &self,
        seed: u64,
        name: &str,
        init: Option<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Summary, QuickstartError> {
        let init_from = if init.is_some() { InitFrom::Pretrained } else { InitFrom::Scratch };
        let out = self.run_folder(seed, name);
        let recipe = FinetuneRecipe::load(RECIPE, &[], init_from)?;
        let job = FinetuneJob {
            run: RunSettings { init, ..self.settings(seed, "digits", out.clone(), &recipe.training) },
            // The digits have a test part, so that nothing is held out.
            labels: LabelSubset { per_class: Some(LABELS_PER_CLASS), ..LabelSubset::default() },
            freeze: Freeze::Nothing,
            model: backbone()?,
            recipe,
        };
        let data = job.labels.open(&job.run.data, job.run.seed)?;
        let summary = finetune::<Classification>(&job, data, &self.device, observer)?.summary;
        write_report(&out)?;
        Ok(summary)
    }

    fn settings(&self, seed: u64, data: &str, out: PathBuf, recipe: &TrainingRecipe) -> RunSettings {
        RunSettings {
            seed: Seed(seed),
            threads: self.threads,
            length: recipe
                .epochs
                .filter(|_| self.short)
                .map(|epochs| Length::Epochs((epochs / SHORTER).ceil())),
            resume: self.resume,
            strict: true,
            precision: self.precision,
            ..RunSettings::new(self.out.join(Path::new(data)), out)
        }
    }
}

fn backbone() -> Result<ModelConfig, ConfigError> {
    Ok(ModelConfig { stem_stride: STEM_STRIDE, ..find_model(MODEL)?.config() })
}
