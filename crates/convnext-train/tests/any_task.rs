//! The loop trains what it has never heard of: several views, sizes drawn for a batch, running statistics and a copy of
//! the network, and resumes all of it with the same bits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

mod toy;

mod any_task {
    mod validating;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::Seed;
use convnext_data::{Batch, Cache, Loader, LoaderConfig, OnCorrupt, Picture, open_unlabelled};
use convnext_io::read_checkpoint;
use convnext_nn::{ModelState, for_each_parameter, tensor_values};
use convnext_train::{
    Continue, EpochReport, Learner, Length, Lesson, Observed, Observer, Opened, ParameterRules,
    PretrainRecipe, RateCurve, RunFolder, RunSettings, Schedule, Silent, StepReport, Task, TrainError,
    TrainingRecipe, run_training, train,
};
use tempfile::TempDir;
use toy::{Agreement, AgreementJob, Toy, TwoViews};

const STEPS: usize = 9;

/// Twenty small pictures, all different.
fn pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..20_usize {
        let rgb = (0..12 * 10 * 3).map(|place| (place * 7 + index * index * 13) as u8).collect();
        let path = folder.path().join(format!("{index:02}.png"));
        Picture::new(12, 10, 3, rgb).unwrap().save_png(&path).unwrap();
    }
    folder
}

fn loader(images: &Path, batch_size: usize, threads: usize) -> Loader<TwoViews> {
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
fn lesson(images: &Path, threads: usize) -> Lesson<TwoViews> {
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
    Lesson { loader, schedule, accumulate: 2, validate_every: None, checkpoint_every, headers: None }
}

fn recipe() -> TrainingRecipe {
    TrainingRecipe { ema: Some(0.5), ..PretrainRecipe::load("plain", &[]).unwrap().training }
}

/// Ends the run after a step.
struct StopAfter(usize, usize);

impl Observer for StopAfter {
    fn start(&mut self, _summary: &str) {}
    fn step(&mut self, report: &StepReport) {
        self.1 = report.step;
    }
    fn epoch(&mut self, _report: &EpochReport) {}
    fn interrupted(&self) -> bool {
        self.1 >= self.0
    }
}

fn run(
    images: &Path,
    out: &Path,
    threads: usize,
    how: Continue,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let device = Device::flex();
    let Opened::Unfinished(mut folder) = RunFolder::open(out, &BTreeMap::from([("seed", 5)]), how)? else {
        panic!("the run is finished");
    };
    let learner =
        Learner::new(Toy::new(&device.clone().autodiff()), &recipe(), ParameterRules::of_recipe(&recipe()));
    let task = Agreement::new(device.clone().autodiff());
    train(&task, learner, &lesson(images, threads), &mut folder, observer).map(drop)
}

/// Every tensor of the last checkpoint.
fn state(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let path = out.join(format!("checkpoints/step-{STEPS:08}.safetensors"));
    read_checkpoint(&path).unwrap().arrays.into_iter().map(|(name, array)| (name, array.bytes)).collect()
}

#[test]
fn state_and_views_resume_with_the_same_bits() {
    let (images, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (whole, stopped) = (runs.path().join("whole"), runs.path().join("stopped"));
    run(images.path(), &whole, 1, Continue::New, &mut Silent).unwrap();
    for (step, how) in [(3, Continue::New), (4, Continue::Resumed)] {
        let error = run(images.path(), &stopped, 3, how, &mut StopAfter(step, 0)).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { step: at, .. } if at == step), "{error}");
    }
    run(images.path(), &stopped, 2, Continue::Resumed, &mut Silent).unwrap();

    let found = state(&whole);
    assert_eq!(found, state(&stopped));
    for file in ["weights.safetensors", "weights-ema.safetensors"] {
        assert!(fs::read(whole.join(file)).unwrap() == fs::read(stopped.join(file)).unwrap(), "{file}");
    }
    let steps = |out: &Path| {
        let text = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| line.parse().unwrap()).collect();
        let steps = lines.into_iter().filter(|line| line.get("loss").is_some());
        steps.map(|line| (line["loss"].clone(), line["loss_parts"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(steps(&whole).len(), STEPS);
    assert_eq!(steps(&whole), steps(&stopped));
    let parts = &steps(&whole)[0].1;
    assert!(parts["agreement"].is_number() && parts["size"].is_number(), "{parts}");

    // What no gradient changes has moved, and has neither moments nor an average.
    let start = Toy::new(&Device::flex().autodiff()).valid();
    for_each_parameter(&start, |parameter| {
        let bytes: Vec<u8> =
            tensor_values(parameter.values()).into_iter().flat_map(f32::to_le_bytes).collect();
        assert_ne!(found[&parameter.name], bytes, "{} did not move", parameter.name);
        assert_eq!(parameter.is_state, parameter.name != "weight");
    });
    let beside: Vec<&String> =
        found.keys().filter(|name| name.contains("weight") && *name != "weight").collect();
    assert_eq!(beside.len(), 3, "{beside:?}");
    assert_eq!(found.len(), 7, "{:?}", found.keys());
}

#[test]
fn a_job_of_another_crate_runs_resumes_and_ends() {
    let (images, runs) = (pictures(), tempfile::tempdir().unwrap());
    let train = |out: &str, go_on, observer: &mut dyn Observer| {
        let settings = RunSettings {
            seed: Seed(5),
            threads: 2,
            length: Some(Length::Steps(STEPS)),
            go_on,
            ..RunSettings::new(images.path(), runs.path().join(out))
        };
        let training = TrainingRecipe { batch_size: 4, accumulate: 2, ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        run_training(AgreementJob { settings, training, images }, &Device::flex(), observer)
    };
    let whole = train("whole", Continue::New, &mut Silent).unwrap();
    let error = train("stopped", Continue::New, &mut StopAfter(5, 0)).unwrap_err();
    assert!(matches!(error, TrainError::Interrupted { step: 5, .. }), "{error}");
    let stopped = train("stopped", Continue::Resumed, &mut Silent).unwrap();
    assert_eq!(stopped.summary.steps, STEPS);
    assert_eq!(state(&runs.path().join("whole")), state(&runs.path().join("stopped")));
    assert!(fs::read(&whole.weights).unwrap() == fs::read(&stopped.weights).unwrap());
    // A finished run is left alone.
    assert_eq!(train("whole", Continue::Resumed, &mut StopAfter(0, 1)).unwrap(), whole);
    let config = fs::read_to_string(runs.path().join("whole/config.toml")).unwrap();
    assert!(config.contains("data_checksum") && config.contains("[training]"), "{config}");
}

#[test]
fn running_statistics_take_every_batch_in_its_order() {
    let (images, device) = (pictures(), Device::flex().autodiff());
    let lesson = lesson(images.path(), 2);
    let task = Agreement::new(device.clone());
    let mut learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
    let batches: Vec<_> = lesson.loader.epoch(0).take(2).map(Result::unwrap).collect();
    // In f64, by the rule of PyTorch's batch norm, from the weights before the step.
    let weight: Vec<f64> = (0..12).map(|place| f64::from((place as f32 * 0.7).sin())).collect();
    let mut expected = [0.0; 4];
    for batch in &batches {
        for (output, running) in expected.iter_mut().enumerate() {
            let images = batch.values[0].chunks(3);
            let one =
                |image: &[f32]| (0..3).map(|c| f64::from(image[c]) * weight[c * 4 + output]).sum::<f64>();
            *running = 0.9 * *running + 0.1 * images.map(one).sum::<f64>() / batch.len() as f64;
        }
    }
    learner.step(0.1, batches.into_iter().map(Ok), |model, batch| task.loss(model, batch)).unwrap();
    let found = tensor_values(learner.model().mean.get().val().inner());
    assert!(
        found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5),
        "{found:?} {expected:?}"
    );
}

#[test]
fn what_is_no_state_cannot_be_observed() {
    let (images, device) = (pictures(), Device::flex().autodiff());
    let task = Agreement::new(device.clone());
    for (name, count) in [("mean", 3), ("means", 4), ("weight", 12)] {
        let mut learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
        let batches = lesson(images.path(), 1).loader.epoch(0).take(1);
        let result = learner.step(0.1, batches, |model, batch| {
            let mut loss = task.loss(model, batch)?;
            let values = Tensor::zeros([count], &device.clone().inner());
            loss.observed = vec![Observed { name: name.to_owned(), values, momentum: 0.1 }];
            Ok(loss)
        });
        let error = result.unwrap_err();
        assert!(matches!(&error, TrainError::Observed { name: found, .. } if found == name), "{error}");
    }
}

#[test]
fn a_state_learns_nothing_whatever_it_holds() {
    let (images, device) = (pictures(), Device::flex().autodiff());
    let task = Agreement::new(device.clone());
    let mut toy = Toy::new(&device);
    // A copy that shares the tensor that is learned.
    toy.copy = ModelState::new(toy.weight.clone());
    let mut learner = Learner::new(toy, &recipe(), ParameterRules::of_recipe(&recipe()));
    let before = tensor_values(learner.model().copy.get().val().inner());
    let batches = lesson(images.path(), 1).loader.epoch(0).take(2);
    learner.step(0.1, batches, |model, batch| task.loss(model, batch)).unwrap();
    assert_eq!(tensor_values(learner.model().copy.get().val().inner()), before);
    assert_ne!(tensor_values(learner.model().weight.val().inner()), before);
}

#[test]
fn a_size_is_drawn_for_a_batch_before_its_samples() {
    let images = pictures();
    let sizes = |threads| -> Vec<usize> {
        let loader = lesson(images.path(), threads).loader;
        (0..4).flat_map(|epoch| loader.epoch(epoch).map(|batch| batch.unwrap().size)).collect()
    };
    let found = sizes(1);
    assert_eq!(found, sizes(3));
    assert!(found.iter().any(|size| *size != found[0]), "{found:?}");
}

#[test]
fn processes_share_the_batches_of_an_epoch() {
    let images = pictures();
    let loader = lesson(images.path(), 2).loader;
    let all: Vec<_> = loader.epoch(1).map(|batch| batch.unwrap().values).collect();
    for first in 0..3 {
        let mine: Vec<_> = loader.every(1, first, 3).map(|batch| batch.unwrap().values).collect();
        assert_eq!(mine, all.iter().skip(first).step_by(3).cloned().collect::<Vec<_>>());
    }
}

#[test]
fn a_part_of_a_loss_that_is_not_finite_is_named() {
    let (images, out) = (pictures(), tempfile::tempdir().unwrap());
    let device = Device::flex().autodiff();
    let how = RunFolder::open(&out.path().join("run"), &BTreeMap::from([("seed", 5)]), Continue::New);
    let Opened::Unfinished(mut folder) = how.unwrap() else { panic!("the run is finished") };
    let task = Agreement { broken: true, ..Agreement::new(device.clone()) };
    let learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
    let error = train(&task, learner, &lesson(images.path(), 1), &mut folder, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("the part size of the loss (NaN)"), "{error}");
}
