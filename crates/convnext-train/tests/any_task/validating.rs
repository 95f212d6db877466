//! Validations at any step: where they are made, what is reported of them, and that no way to stop loses or repeats one.

use std::fs;
use std::path::Path;

use burn::prelude::*;
use convnext_core::Seed;
use convnext_data::open_unlabelled;
use convnext_io::read_weights;
use convnext_train::{
    EpochReport, Learner, Length, NoopObserver, Observer, Opened, ParameterRules, ResumeMode, RunFolder,
    RunSettings, Schedule, Summary, TrainError, TrainSetup, TrainingRecipe, run_training, train,
};
use serde_json::Value;

use super::jumping::{Breaks, Jumping, height};
use crate::toy::runs::{STEPS, StopAfter, images, loader, recipe, setup};
use crate::toy::{AgreementJob, Toy};

/// Steps of an epoch: 20 images in batches of five.
const EPOCH: usize = 4;

/// Steps of the whole training.
const TOTAL: usize = 3 * EPOCH;

/// What the best weights that were kept are worth.
fn best_height(out: &Path) -> f64 {
    let file = read_weights(&out.join("weights-best.safetensors")).unwrap();
    height(&file.arrays["weight"].clone().to_f32().unwrap())
}

/// How a run goes, or goes on.
pub(super) struct Plan<'a> {
    pub(super) task: &'a Jumping,
    pub(super) validate_every: Option<usize>,
    pub(super) total_steps: usize,
    pub(super) patience: Option<usize>,
    pub(super) how: ResumeMode,
}

impl<'a> Plan<'a> {
    pub(super) fn new(task: &'a Jumping, validate_every: Option<usize>) -> Self {
        Self { task, validate_every, total_steps: TOTAL, patience: None, how: ResumeMode::New }
    }
}

pub(super) fn run(
    images: &Path,
    out: &Path,
    plan: Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let Plan { task, validate_every, total_steps, patience, how } = plan;
    let config: toml::Table = toml::from_str(&format!("recipe.training.steps = {total_steps}")).unwrap();
    let Opened::Unfinished(mut folder) = RunFolder::open(out, &config, how)? else {
        panic!("the run is finished");
    };
    let whole = setup(images, 1);
    let schedule = Schedule { total_steps, ..whole.schedule };
    let loader = loader(images, 5, 2);
    let setup = TrainSetup { loader, schedule, accumulate: 1, validate_every, patience, ..whole };
    let toy = Toy::new(&Device::flex().autodiff());
    let learner = Learner::new(toy, &recipe(), ParameterRules::of_recipe(&recipe()));
    train(task, learner, &setup, Some(&mut folder), observer)
}

/// The lines of the metrics, without times.
fn lines(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| line.parse().unwrap()).collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("images_per_second");
    }
    lines
}

fn reports(out: &Path) -> Vec<EpochReport> {
    let reports = lines(out).into_iter().filter(|line| line.get("train_loss").is_some());
    reports.map(|line| serde_json::from_value(line).unwrap()).collect()
}

/// Everything that must not depend on how often a run was stopped.
pub(super) fn results(out: &Path) -> (Vec<Value>, Vec<Vec<u8>>, Value) {
    let read = |name: &str| fs::read(out.join(name)).unwrap();
    let weights = ["weights.safetensors", "weights-ema.safetensors", "weights-best.safetensors"];
    let mut bytes = weights.map(read).to_vec();
    bytes.push(read("evaluation.json"));
    // Of the events only the times may differ, which have a fixed length.
    bytes.push(read("events.out.tfevents.convnext").len().to_le_bytes().to_vec());
    let mut summary: Value = serde_json::from_slice(&read("summary.json")).unwrap();
    summary.as_object_mut().unwrap().remove("seconds");
    (lines(out), bytes, summary)
}

#[test]
fn the_weights_are_measured_where_it_is_due_and_after_the_last_step() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    for (name, validate_every, validation_images, expected) in [
        ("within", Some(3), 0, &[3, 6, 9, 12][..]),
        ("longer than an epoch", Some(5), 0, &[5, 10, 12]),
        ("whole epochs", Some(8), 0, &[8, 12]),
        ("longer than the training", Some(1000), 0, &[12]),
        ("not asked", None, 0, &[4, 8, 12]),
        ("not asked, many images", None, 40, &[8, 12]),
    ] {
        let task = Jumping::new(Breaks::Never).validated_on(validation_images);
        let out = runs.path().join(name);
        run(images.path(), &out, Plan::new(&task, validate_every), &mut NoopObserver).unwrap();
        let reports = reports(&out);
        let measured = reports.iter().filter(|report| report.value("validation_height").is_some());
        let measured: Vec<usize> = measured.map(|report| report.step).collect();
        assert_eq!(measured, expected, "{name}");
        // Of the weights and of their average.
        assert_eq!(task.validations.get(), 2 * expected.len(), "{name}");
        let is_measured = |report: &EpochReport, key| report.value(key).is_some();
        let [own, averaged] = ["validation_height", "ema_validation_height"]
            .map(|key| reports.iter().map(|report| is_measured(report, key)).collect::<Vec<_>>());
        assert_eq!(own, averaged, "{name}");
        let mut steps: Vec<usize> = expected.iter().copied().chain([4, 8, 12]).collect();
        steps.sort_unstable();
        steps.dedup();
        assert_eq!(reports.iter().map(|report| report.step).collect::<Vec<_>>(), steps, "{name}");
    }
}

#[test]
fn a_report_within_an_epoch_says_where_it_stands() {
    let (images, out) = (images(), tempfile::tempdir().unwrap());
    let task = Jumping::new(Breaks::Never);
    let summary = run(images.path(), out.path(), Plan::new(&task, Some(3)), &mut NoopObserver).unwrap();
    let losses: Vec<f64> = lines(out.path())
        .iter()
        .filter_map(|line| Some(f64::from(line.get("loss")?.to_string().parse::<f32>().unwrap())))
        .collect();
    let reports = reports(out.path());
    for (report, (epoch, epochs)) in
        reports.iter().zip([(0, 0.75), (0, 1.0), (1, 1.5), (1, 2.0), (2, 2.25), (2, 3.0)])
    {
        assert_eq!((report.epoch, report.epochs), (epoch, epochs), "{report:?}");
        // The mean since the epoch began.
        let so_far = &losses[epoch as usize * EPOCH..report.step];
        assert_eq!(report.train_loss, so_far.iter().sum::<f64>() / so_far.len() as f64, "{report:?}");
    }
    // The best of all that was measured, with its checkpoint.
    let heights = reports.iter().flat_map(|report| {
        ["validation_height", "ema_validation_height"].map(|key| (report.step, report.value(key)))
    });
    let (step, height) = heights.max_by(|a, b| a.1.partial_cmp(&b.1).unwrap()).unwrap();
    let best = summary.best.unwrap();
    assert_eq!((best.step, Some(best.value)), (step, height));
    assert_eq!(best.value, best_height(out.path()));
    assert!(out.path().join(&best.checkpoint).is_file(), "{}", best.checkpoint);
    assert_eq!(summary.last.step, TOTAL);
}

/// Stopped with a checkpoint after each step, killed in each step, and killed in each validation.
#[test]
fn a_run_that_was_stopped_anywhere_reports_like_a_whole_one() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let whole = runs.path().join("whole");
    let task = Jumping::new(Breaks::Never);
    run(images.path(), &whole, Plan::new(&task, Some(3)), &mut NoopObserver).unwrap();
    let expected = results(&whole);
    let stops = (1..=TOTAL).map(|step| (step, Breaks::Never));
    let kills = (1..=TOTAL).map(Breaks::InStep).chain((1..=8).map(Breaks::InValidation));
    for (step, breaks) in stops.chain(kills.map(|breaks| (usize::MAX, breaks))) {
        let out = runs.path().join(format!("{step} {breaks:?}"));
        let mut observer = StopAfter(step, 0);
        let broken = Jumping::new(breaks);
        let error = run(images.path(), &out, Plan::new(&broken, Some(3)), &mut observer).unwrap_err();
        let is_expected = matches!(error, TrainError::Interrupted { .. }) == (breaks == Breaks::Never);
        assert!(is_expected, "{step} {breaks:?}: {error}");
        if let Breaks::InValidation(_) = breaks {
            // A validation that fails costs no step.
            let checkpoint = format!("checkpoints/step-{:08}.safetensors", broken.step.get());
            assert!(out.join(&checkpoint).is_file(), "{breaks:?}: {checkpoint} is missing");
        }
        let task = Jumping::new(Breaks::Never);
        run(
            images.path(),
            &out,
            Plan { how: ResumeMode::Resumed, ..Plan::new(&task, Some(3)) },
            &mut NoopObserver,
        )
        .unwrap();
        assert!(results(&out) == expected, "{step} {breaks:?}: {:?}", results(&out).0);
    }
}

/// Where a run ended it was measured, and those weights may be the best that are kept.
#[test]
fn a_run_that_is_extended_within_an_epoch_stays_measured_where_it_ended() {
    let (images, out) = (images(), tempfile::tempdir().unwrap());
    let task = Jumping::new(Breaks::Never);
    for (total_steps, how, measured) in [
        (10, ResumeMode::New, &[9, 10][..]),
        (11, ResumeMode::Extended, &[9, 10, 11]),
        (TOTAL, ResumeMode::Extended, &[9, 10, 11, 12]),
    ] {
        let plan = Plan { total_steps, how, ..Plan::new(&task, Some(9)) };
        let summary = run(images.path(), out.path(), plan, &mut NoopObserver).unwrap();
        let reports = reports(out.path());
        let heights = reports.iter().filter(|report| report.value("validation_height").is_some());
        assert_eq!(heights.map(|report| report.step).collect::<Vec<_>>(), measured);
        assert_eq!(summary.best.unwrap().value, best_height(out.path()), "{total_steps} steps");
    }
}

/// Bug: a last epoch that was cut short was the best by the low loss of its few steps.
#[test]
fn the_loss_of_a_part_of_an_epoch_is_compared_only_where_there_is_no_whole_one() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let task = Jumping::new(Breaks::Never).compared_by_a_falling_loss();
    for (total_steps, expected) in [
        (EPOCH - 1, EPOCH - 1),
        (EPOCH, EPOCH),
        (EPOCH + 1, EPOCH),
        (TOTAL - 1, TOTAL - EPOCH),
        (TOTAL, TOTAL),
    ] {
        let out = runs.path().join(total_steps.to_string());
        let plan = Plan { total_steps, ..Plan::new(&task, None) };
        let best = run(images.path(), &out, plan, &mut NoopObserver).unwrap().best.unwrap();
        assert_eq!((best.step, best.measure.as_str()), (expected, "train_loss"), "{total_steps} steps");
    }
}

#[test]
fn the_recipe_says_in_steps_or_epochs_how_often() {
    let (images, out) = (images(), tempfile::tempdir().unwrap());
    // Two steps an epoch; an epoch is reported at its end in any case.
    for (number, (every, expected)) in [
        (Length::Steps(1), &[1, 2, 3, 4, 5, 6, 7, 8, 9][..]),
        (Length::Epochs(0.5), &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Length::Steps(3), &[2, 3, 4, 6, 8, 9]),
        (Length::Epochs(2.5), &[2, 4, 5, 6, 8, 9]),
        (Length::Epochs(2.0), &[2, 4, 6, 8, 9]),
        (Length::Steps(16_000), &[2, 4, 6, 8, 9]),
    ]
    .into_iter()
    .enumerate()
    {
        let run = out.path().join(number.to_string());
        let length = Some(Length::Steps(STEPS));
        let settings = RunSettings { length, seed: Seed(5), ..RunSettings::new(images.path(), &run) };
        let training =
            TrainingRecipe { batch_size: 4, accumulate: 2, validate_every: Some(every), ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        let job = AgreementJob { settings, training, images, fresh: vec![] };
        let summary = run_training(job, &Device::flex(), &mut NoopObserver).unwrap().summary;
        let reports = reports(&run);
        assert_eq!(reports.iter().map(|report| report.step).collect::<Vec<_>>(), expected, "{every:?}");
        // What has no metrics is compared by the loss of whole epochs.
        let whole = reports.iter().filter(|report| report.step % 2 == 0);
        let least = whole.min_by(|a, b| a.train_loss.total_cmp(&b.train_loss)).unwrap();
        assert_eq!(summary.best.unwrap().step, least.step, "{every:?}");
    }
}
