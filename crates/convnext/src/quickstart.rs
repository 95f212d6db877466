//! The main job from beginning to end on the digits that travel with the program: does pre-training
//! without labels help when labels are few?
//!
//! For each seed a `micro` is pre-trained on the 1,437 training digits without their labels, then
//! fine-tuned with 10 labels a class, and another one is trained from scratch on the same labels with the
//! same number of steps. Both are measured on the 360 test digits, which nothing was chosen by: rates and
//! lengths come from a search on a part of the training digits (see the recipes `digits`).

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
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::samples::{SamplesError, write_samples};
use crate::{ReportError, write_report};

/// Labels of each class that fine-tuning may use.
pub const LABELS_PER_CLASS: usize = 10;

/// Name of the results in a quickstart's folder.
pub const COMPARISON_FILE: &str = "comparison.json";

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

/// Two ways to a classifier, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labels of each class that both sides used.
    pub labels_per_class: usize,
    /// Each seed's results.
    pub seeds: Vec<SeedResult>,
    /// Top-1 after pre-training and fine-tuning.
    pub from_fcmae: Spread,
    /// Top-1 after training from scratch.
    pub from_scratch: Spread,
    /// The first less the second, seed by seed.
    pub difference: Spread,
    /// Seconds of training in all.
    pub seconds: f64,
}

/// One seed's results on the test images, as shares in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// The seed of pre-training, choice of labels, and fine-tuning.
    pub seed: u64,
    /// Top-1 after pre-training and fine-tuning.
    pub from_fcmae: f64,
    /// Top-1 after training from scratch on the same labels.
    pub from_scratch: f64,
}

/// Mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of a sample (n - 1); of one value there is none.
    pub deviation: Option<f64>,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) }
    }
}

impl Comparison {
    fn new(seeds: Vec<SeedResult>, seconds: f64) -> Self {
        let spread = |value: fn(&SeedResult) -> f64| Spread::of(seeds.iter().map(value));
        Self {
            labels_per_class: LABELS_PER_CLASS,
            from_fcmae: spread(|result| result.from_fcmae),
            from_scratch: spread(|result| result.from_scratch),
            difference: spread(SeedResult::difference),
            seeds,
            seconds,
        }
    }
}

impl Comparison {
    /// The result in one sentence: which side is ahead, and whether by more than the standard deviation across
    /// seeds.
    pub fn verdict(&self) -> String {
        let Self { seeds, difference, .. } = self;
        let percent = |spread: &Spread| format!("{:.2} %", 100.0 * spread.mean);
        let ahead = seeds.iter().filter(|result| result.difference() > 0.0).count();
        let points = format!("{:+.2} points", 100.0 * difference.mean);
        let judgement = match difference.deviation {
            None => "one seed decides nothing".to_owned(),
            Some(deviation) => {
                let spread = format!("the standard deviation across seeds, {:.2} points", 100.0 * deviation);
                match difference.mean {
                    mean if mean > deviation => format!("more than {spread}: pre-training helps here"),
                    mean if mean < -deviation => format!("by more than {spread}: pre-training hurts here"),
                    _ => format!("not more than {spread}: no clear difference"),
                }
            }
        };
        format!(
            "with {} labels a class, {} from FCMAE against {} from scratch: {points}, ahead in {ahead} of {}; \
             {judgement}",
            self.labels_per_class,
            percent(&self.from_fcmae),
            percent(&self.from_scratch),
            seeds.len(),
        )
    }
}

impl SeedResult {
    /// Top-1 with FCMAE pre-training minus top-1 from scratch.
    pub fn difference(&self) -> f64 {
        self.from_fcmae - self.from_scratch
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
        let run = self.settings(seed, "digits/train", None, self.pretraining(seed), &recipe.training);
        let images = open_unlabelled(&run.data).map_err(TrainError::from)?;
        let made = pretrain(&PretrainJob { run, model, recipe }, images, &self.device, observer)?;
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
            run: self.settings(seed, "digits", init, out.clone(), &recipe.training),
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

    fn settings(
        &self,
        seed: u64,
        data: &str,
        init: Option<PathBuf>,
        out: PathBuf,
        recipe: &TrainingRecipe,
    ) -> RunSettings {
        RunSettings {
            init,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_seed_by_seed() {
        let result = |seed, from_fcmae, from_scratch| SeedResult { seed, from_fcmae, from_scratch };
        let comparison = Comparison::new(vec![result(0, 0.9, 0.8), result(1, 0.7, 0.65)], 1.0);
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(close(comparison.difference.mean, 0.075));
        assert!(close(comparison.difference.deviation.unwrap(), 0.05 / 2.0_f64.sqrt()));
        assert!(close(comparison.from_fcmae.mean, 0.8) && close(comparison.from_scratch.mean, 0.725));
        assert_eq!(Comparison::new(vec![result(0, 1.0, 0.0)], 1.0).difference.deviation, None);
    }

    #[test]
    fn the_verdict_is_honest() {
        let verdict = |pairs: &[(f64, f64)]| {
            let result = |(seed, &(from_fcmae, from_scratch))| SeedResult { seed, from_fcmae, from_scratch };
            Comparison::new((0..).zip(pairs).map(result).collect(), 1.0).verdict()
        };
        assert!(verdict(&[(0.9, 0.8), (0.9, 0.79)]).contains("+10.50 points, ahead in 2 of 2; more than"));
        assert!(verdict(&[(0.9, 0.8), (0.8, 0.9)]).contains("no clear difference"));
        assert!(verdict(&[(0.8, 0.9), (0.8, 0.91)]).contains("ahead in 0 of 2; by more than"));
        assert!(verdict(&[(0.8, 0.9), (0.8, 0.91)]).contains("hurts"));
        assert!(verdict(&[(0.9, 0.8)]).contains("one seed decides nothing"));
    }
}
