//! The settings of a run, made of the arguments.

use std::path::PathBuf;

use convnext::core::Seed;
use convnext::data::Cache;
use convnext::distributed::Ranks;
use convnext::train::{Length, ResumeMode, RunSettings};

use super::TrainingArguments;
use super::batch_size::BatchSize;
use super::cache_place::CachePlace;
use crate::cli::range::range_choice;

/// Length of a training with `--quick`.
const QUICK_STEPS: Length = Length::Steps(4);

impl TrainingArguments {
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
            command: command_line(),
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
            ranks: Ranks::default(),
            sum: self.sum.into(),
        })
    }
}

/// This command with its arguments, for the record of the run.
fn command_line() -> Vec<String> {
    let arguments = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    ["convnext".to_owned()].into_iter().chain(arguments).collect()
}
