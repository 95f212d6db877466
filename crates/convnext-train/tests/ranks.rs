//! A training that ranks share has the bits of one process, goes on with any number of them, and ends together.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

mod toy;

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Param, ParamId};
use burn::prelude::*;
use convnext_core::Seed;
use convnext_data::{Batch, Image, open_unlabelled};
use convnext_distributed::run_threads;
use convnext_nn::tensor_values;
use convnext_train::{
    GradientSum, Learner, Length, Loss, NoopObserver, Observer, ParameterRules, Ranks, ResumeMode,
    RunSettings, TrainError, TrainingRecipe, plan_training, run_training,
};
use serde_json::Value;
use tempfile::TempDir;
use toy::AgreementJob;
use toy::runs::{STEPS, StopAfter, images, recipe};

/// A number that none of the numbers of ranks divides, but for 1 and itself.
const MICRO_BATCHES: usize = 7;

/// How a job of several ranks goes.
struct Plan<'a> {
    images: &'a Path,
    out: &'a Path,
    resume: ResumeMode,
    sum: GradientSum,
    /// The step after which the last rank is stopped.
    stop_after: usize,
    strict: bool,
}

impl<'a> Plan<'a> {
    fn new(images: &'a Path, out: &'a Path) -> Self {
        let (resume, sum) = (ResumeMode::New, GradientSum::Ordered);
        Self { images, out, resume, sum, stop_after: usize::MAX, strict: true }
    }
}

/// What each rank found. Only the first one sees the folder of the run.
fn train(ranks: usize, plan: &Plan<'_>) -> Vec<Result<usize, TrainError>> {
    let elsewhere = PathBuf::from("/no/such/folder");
    run_threads(ranks, |ranks| {
        let is_last = ranks.rank() + 1 == ranks.size();
        let out = if ranks.is_first() { plan.out.to_owned() } else { elsewhere.clone() };
        let settings = RunSettings {
            seed: Seed(5),
            threads: 2,
            length: Some(Length::Steps(STEPS)),
            resume: plan.resume,
            sum: plan.sum,
            strict: plan.strict,
            ranks,
            ..RunSettings::new(plan.images, out)
        };
        let training = TrainingRecipe { batch_size: 1, accumulate: MICRO_BATCHES, ..recipe() };
        let job =
            AgreementJob { settings, training, images: open_unlabelled(plan.images).unwrap(), fresh: vec![] };
        let mut stop = StopAfter(if is_last { plan.stop_after } else { usize::MAX }, 0);
        run_training(job, &Device::flex(), &mut stop as &mut dyn Observer).map(|found| found.summary.steps)
    })
}

/// The metrics of a run without times, and its weights.
fn traces(out: &Path) -> (Vec<Value>, Vec<Vec<u8>>) {
    let text = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| line.parse().unwrap()).collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("images_per_second");
    }
    let files = ["weights.safetensors", "weights-ema.safetensors"];
    (lines, files.map(|file| fs::read(out.join(file)).unwrap()).to_vec())
}

fn check_same(found: &Path, expected: &Path, case: &str) {
    assert!(traces(found) == traces(expected), "{case}");
    assert!(toy::runs::state(found) == toy::runs::state(expected), "{case}");
}

#[test]
fn any_number_of_ranks_has_the_bits_of_one_process() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let whole = runs.path().join("1");
    for ranks in [1, 2, 3, 4, MICRO_BATCHES] {
        let out = runs.path().join(ranks.to_string());
        let found = train(ranks, &Plan::new(images.path(), &out));
        assert!(found.into_iter().all(|steps| steps.unwrap() == STEPS));
        check_same(&out, &whole, &format!("{ranks} ranks"));
    }
    let config = |out: &str| fs::read_to_string(runs.path().join(out).join("config.toml")).unwrap();
    assert_eq!(config("3").replace("/3\"", "/1\""), config("1"), "the number of ranks is recorded");
}

#[test]
fn a_run_goes_on_with_any_number_of_ranks() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (whole, out) = (runs.path().join("whole"), runs.path().join("stopped"));
    train(1, &Plan::new(images.path(), &whole));
    let mut resume = ResumeMode::New;
    for (ranks, step) in [(3, 2), (1, 3), (4, 4), (2, 7), (5, usize::MAX)] {
        // The signal comes to the last rank, and all stop.
        let plan = Plan { resume, stop_after: step, ..Plan::new(images.path(), &out) };
        for found in train(ranks, &plan) {
            match found {
                Err(TrainError::Interrupted { step: at, .. }) => assert_eq!(at, step),
                found => assert_eq!((found.unwrap(), step), (STEPS, usize::MAX)),
            }
        }
        resume = ResumeMode::Resumed;
    }
    check_same(&out, &whole, "resumed");
    // Finished, on all ranks.
    let plan = Plan { resume, ..Plan::new(images.path(), &out) };
    assert!(train(3, &plan).into_iter().all(|steps| steps.unwrap() == STEPS));
}

#[test]
fn a_fast_sum_is_close_and_recorded() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (ordered, fast) = (runs.path().join("ordered"), runs.path().join("fast"));
    train(1, &Plan::new(images.path(), &ordered));
    let plan = Plan { sum: GradientSum::Fast, ..Plan::new(images.path(), &fast) };
    assert!(train(3, &plan).into_iter().all(|steps| steps.unwrap() == STEPS));
    let losses = |out: &Path| -> Vec<f64> {
        traces(out).0.iter().filter_map(|line| line.get("loss")?.as_f64()).collect()
    };
    let [ordered, found] = [&ordered, &fast].map(|out| losses(out));
    assert_eq!(ordered.len(), found.len());
    assert!(ordered.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs()), "{ordered:?} {found:?}");
    assert!(fs::read_to_string(fast.join("config.toml")).unwrap().contains("sum = \"fast\""));
    // Its bits depend on the number of ranks, so it cannot go on in the order of one process.
    let plan = Plan { resume: ResumeMode::Resumed, ..Plan::new(images.path(), &fast) };
    let error = train(2, &plan).swap_remove(1).unwrap_err().to_string();
    assert!(error.starts_with("rank 0 on thread 0: ") && error.contains("sum was \"fast\""), "{error}");
}

/// Images of which the last one, in the order of the data, is broken.
fn with_broken_image() -> TempDir {
    let images = images();
    fs::write(images.path().join("19.png"), "no image").unwrap();
    images
}

#[test]
fn an_error_of_one_rank_ends_all_with_its_message() {
    let (images, runs) = (with_broken_image(), tempfile::tempdir().unwrap());
    for found in train(3, &Plan::new(images.path(), &runs.path().join("run"))) {
        let error = found.unwrap_err().to_string();
        assert!(error.starts_with("rank ") && error.contains("19.png"), "{error}");
    }
}

#[test]
fn more_ranks_than_micro_batches_are_refused() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    for found in train(MICRO_BATCHES + 1, &Plan::new(images.path(), &runs.path().join("run"))) {
        let error = found.unwrap_err().to_string();
        assert!(error.contains("8 ranks share the 7 batches") && error.contains("--accumulate"), "{error}");
    }
}

#[test]
fn other_settings_of_one_rank_are_refused_by_name() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let out = runs.path().join("run");
    let found = run_threads(3, |ranks: Ranks| {
        let seed = Seed(5 + u64::from(ranks.rank() == 2));
        let settings = RunSettings {
            seed,
            length: Some(Length::Steps(STEPS)),
            ranks,
            ..RunSettings::new(images.path(), &out)
        };
        let training = TrainingRecipe { batch_size: 1, accumulate: MICRO_BATCHES, ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        let job = AgreementJob { settings, training, images, fresh: vec![] };
        run_training(job, &Device::flex(), &mut NoopObserver).unwrap_err().to_string()
    });
    for error in found {
        assert!(error.starts_with("rank 2 on thread 2: ") && error.contains("seed was 5, is 6"), "{error}");
    }
    assert!(!out.exists(), "a run was begun");
}

#[test]
fn files_that_any_rank_replaced_are_known_to_all() {
    let (images, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // One of a hundred may be broken.
    for index in 0..100_usize {
        let rgb = (0..12 * 10 * 3).map(|place| (place * 7 + index * index * 13) as u8).collect();
        Image::new(12, 10, 3, rgb).unwrap().save_png(&images.path().join(format!("{index:02}.png"))).unwrap();
    }
    fs::write(images.path().join("50.png"), "no image").unwrap();
    let [one, three] = [1, 3].map(|ranks| {
        let out = runs.path().join(ranks.to_string());
        let plan = Plan { strict: false, ..Plan::new(images.path(), &out) };
        assert!(train(ranks, &plan).into_iter().all(|steps| steps.unwrap() == STEPS));
        let text = fs::read_to_string(out.join("summary.json")).unwrap();
        let summary: Value = serde_json::from_str(&text).unwrap();
        (traces(&out), summary["corrupt"].clone())
    });
    assert!(one == three && one.1[0]["name"].as_str().unwrap().contains("50.png"), "{}", one.1);
}

/// Three parameters: one that every micro-batch learns from, one that only the second does, and one that none does.
#[derive(Module, Debug)]
struct Three {
    always: Param<Tensor<1>>,
    once: Param<Tensor<1>>,
    never: Param<Tensor<1>>,
}

struct Numbered(usize);

impl Batch for Numbered {
    fn len(&self) -> usize {
        1
    }
}

/// The parameters after a step of three micro-batches, on each rank; `wrong` is one whose loss is not finite.
fn step(ranks: usize, sum: GradientSum, wrong: Option<usize>) -> Vec<Result<[Vec<f32>; 3], TrainError>> {
    run_threads(ranks, |ranks| {
        let device = Device::flex().autodiff();
        let of = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let parameter = || Param::initialized(ParamId::new(), of(&[0.1, -0.7, 3.0]).require_grad());
        let model = Three { always: parameter(), once: parameter(), never: parameter() };
        let recipe = TrainingRecipe { weight_decay: 0.5, ..recipe() };
        let learner = Learner::new(model, &recipe, ParameterRules::of_recipe(&recipe));
        let mut learner = learner.shared_by(ranks.clone(), 3, sum)?;
        let own = (0..3).filter(|number| number % ranks.size() == ranks.rank());
        let loss = |model: &Three, Numbered(number): Numbered| {
            let factor = if wrong == Some(number) { f32::NAN } else { (number as f32 - 0.3) * 1e-3 };
            let loss = (model.always.val() * of(&[factor, 1e5 * factor, -0.0])).sum();
            Ok(Loss::from(if number == 1 { loss + model.once.val().sum() } else { loss }))
        };
        learner.step(0.01, own.map(|number| Ok(Numbered(number))), loss)?;
        let Three { always, once, never } = learner.model();
        Ok([always, once, never].map(|parameter| tensor_values(parameter.val().inner())))
    })
}

#[test]
fn gradients_that_some_ranks_miss_are_those_of_one_process() {
    let expected = step(1, GradientSum::Ordered, None).remove(0).unwrap();
    // Not even decayed.
    assert_eq!(expected[2], [0.1, -0.7, 3.0]);
    for ranks in [2, 3] {
        let found = step(ranks, GradientSum::Ordered, None);
        assert!(found.into_iter().all(|found| found.unwrap() == expected), "{ranks} ranks");
        assert!(
            step(ranks, GradientSum::Fast, None).into_iter().all(|found| found.unwrap()[2] == expected[2])
        );
    }
}

#[test]
fn a_loss_that_is_not_finite_is_a_divergence_on_all_ranks() {
    for sum in [GradientSum::Ordered, GradientSum::Fast] {
        for wrong in 0..3 {
            for found in step(2, sum, Some(wrong)) {
                let error = found.unwrap_err();
                assert!(matches!(&error, TrainError::NotFinite { what } if what.contains("NaN")), "{error}");
            }
        }
    }
}

#[test]
fn a_run_folder_that_is_used_is_refused_on_all_ranks() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    fs::write(runs.path().join("notes.txt"), "mine").unwrap();
    for found in train(3, &Plan::new(images.path(), runs.path())) {
        assert!(found.unwrap_err().to_string().starts_with("rank 0 on thread 0: "));
    }
}

#[test]
fn a_plan_of_several_ranks_is_refused() {
    let images = images();
    let found = run_threads(2, |ranks| {
        let settings = RunSettings { ranks, ..RunSettings::new(images.path(), "unused") };
        let training = TrainingRecipe { batch_size: 1, accumulate: 2, ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        plan_training(AgreementJob { settings, training, images, fresh: vec![] }, &Device::flex())
    });
    assert!(found.into_iter().all(|found| found.unwrap_err().to_string().contains("--dry-run")));
}
