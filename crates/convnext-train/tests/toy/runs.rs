//! Short runs of the toy, and what they leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use burn::prelude::*;
use convnext_core::Seed;
use convnext_data::{Cache, Image, Loader, LoaderConfig, OnCorrupt, open_unlabelled};
use convnext_io::read_checkpoint;
use convnext_train::{
    EpochProgress, GradientSum, Interruption, Learner, Observer, Opened, ParameterRules, PretrainRecipe,
    Ranks, RateCurve, ResumeMode, RunFolder, Schedule, StepReport, TrainError, TrainSetup, TrainingRecipe,
    train,
};
use tempfile::TempDir;

use super::{Agreement, Toy, TwoViews};

pub(crate) const STEPS: usize = 9;

/// How many batches the toy has seen.
pub(crate) const COUNTER: &str = "num_batches_tracked";

/// Twenty small images, all different.
pub(crate) fn images() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..20_usize {
        let rgb = (0..12 * 10 * 3).map(|place| (place * 7 + index * index * 13) as u8).collect();
        let path = folder.path().join(format!("{index:02}.png"));
        Image::new(12, 10, 3, rgb).unwrap().save_png(&path).unwrap();
    }
    folder
}

pub(crate) fn loader(images: &Path, batch_size: usize, threads: usize) -> Loader<TwoViews> {
    let config = LoaderConfig {
        batch_size,
        threads,
        queue: 3,
        shuffle: true,
        drop_last: true,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Off,
        seed: Seed(5),
    };
    Loader::new(TwoViews::new(open_unlabelled(images).unwrap()), config).unwrap()
}

/// Two batches of four a step, two steps an epoch.
pub(crate) fn setup(images: &Path, threads: usize) -> TrainSetup<TwoViews> {
    let loader = loader(images, 4, threads);
    let schedule = Schedule {
        peak: 0.05,
        minimum: 0.0,
        warmup_steps: 2.0,
        warmup_start: 0.0,
        total_steps: STEPS,
        curve: RateCurve::Cosine,
    };
    let checkpoint_every = Duration::from_secs(3600);
    TrainSetup {
        loader,
        schedule,
        accumulate: 2,
        validate_every: None,
        patience: None,
        checkpoint_every,
        headers: None,
        ranks: Ranks::default(),
        sum: GradientSum::Ordered,
    }
}

pub(crate) fn recipe() -> TrainingRecipe {
    TrainingRecipe { ema: Some(0.5), ..PretrainRecipe::load("plain", &[]).unwrap().training }
}

/// Ends the run after a step.
pub(crate) struct StopAfter(pub(crate) usize, pub(crate) usize);

impl Observer for StopAfter {
    fn start(&mut self, _summary: &str) {}
    fn step(&mut self, report: &StepReport) {
        self.1 = report.step;
    }
    fn epoch(&mut self, _progress: &EpochProgress<'_>) {}
    fn interrupted(&self) -> Option<Interruption> {
        (self.1 >= self.0).then_some(Interruption::Stop)
    }
}

pub(crate) fn run(
    images: &Path,
    out: &Path,
    threads: usize,
    how: ResumeMode,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let task = Agreement::new(Device::flex().autodiff());
    run_task(&task, &setup(images, threads), out, how, observer)
}

pub(crate) fn run_task(
    task: &Agreement,
    setup: &TrainSetup<TwoViews>,
    out: &Path,
    how: ResumeMode,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let Opened::Unfinished(mut folder) = RunFolder::open(out, &BTreeMap::from([("seed", 5)]), how)? else {
        panic!("the run is finished");
    };
    let learner = Learner::new(Toy::new(&task.device), &recipe(), ParameterRules::of_recipe(&recipe()));
    train(task, learner, setup, Some(&mut folder), observer).map(drop)
}

/// The lines of a run's metrics that have this key, or that have not.
pub(crate) fn metrics(out: &Path, key: &str, has: bool) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| line.parse::<serde_json::Value>().unwrap());
    lines.filter(|line| line.get(key).is_some() == has).collect()
}

/// Every tensor of the last checkpoint.
pub(crate) fn state(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let path = out.join(format!("checkpoints/step-{STEPS:08}.safetensors"));
    read_checkpoint(&path).unwrap().arrays.into_iter().map(|(name, array)| (name, array.bytes)).collect()
}
