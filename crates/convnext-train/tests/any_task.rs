//! The loop trains what it has never heard of: several views, sizes drawn for a batch, running statistics, a counter and a
//! copy of the network, and resumes all of it with the same bits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

mod toy;

mod any_task {
    mod diverging;
    mod jumping;
    mod stopping;
    mod unstable;
    mod validating;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::Seed;
use convnext_data::open_unlabelled;
use convnext_nn::{for_each_parameter, tensor_values};
use convnext_train::{
    Learner, Length, MonitoredMetric, NoopObserver, Observer, Opened, ParameterRules, ResumeMode, RunFolder,
    RunSettings, TrainError, TrainingRecipe, run_training, train,
};
use toy::runs::{COUNTER, STEPS, StopAfter, images, metrics, recipe, run, run_task, setup, state};
use toy::{Agreement, AgreementJob, SEEN, Toy};

#[test]
fn state_and_views_resume_with_the_same_bits() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (whole, stopped) = (runs.path().join("whole"), runs.path().join("stopped"));
    run(images.path(), &whole, 1, ResumeMode::New, &mut NoopObserver).unwrap();
    for (step, how) in [(3, ResumeMode::New), (4, ResumeMode::Resumed)] {
        let error = run(images.path(), &stopped, 3, how, &mut StopAfter(step, 0)).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { step: at, .. } if at == step), "{error}");
    }
    run(images.path(), &stopped, 2, ResumeMode::Resumed, &mut NoopObserver).unwrap();

    let found = state(&whole);
    assert_eq!(found, state(&stopped));
    for file in ["weights.safetensors", "weights-ema.safetensors"] {
        assert!(fs::read(whole.join(file)).unwrap() == fs::read(stopped.join(file)).unwrap(), "{file}");
    }
    let steps = |out: &Path| {
        let steps = metrics(out, "loss", true).into_iter();
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
        assert_ne!(found[&parameter.name()], bytes, "{} did not move", parameter.name());
        assert_eq!(parameter.is_state, parameter.name() != "weight");
    });
    let beside: Vec<&String> =
        found.keys().filter(|name| name.contains("weight") && *name != "weight").collect();
    assert_eq!(beside.len(), 3, "{beside:?}");
    assert_eq!(found.len(), 8, "{:?}", found.keys());
    // Two batches a step, one after the other.
    assert_eq!(found[COUNTER], (SEEN + 2 * STEPS as i64).to_le_bytes());
}

#[test]
fn validation_waits_for_as_many_images_as_it_measures_and_resumes_so() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (whole, stopped) = (runs.path().join("whole"), runs.path().join("stopped"));
    // Epochs of 16 images: the third is the first with 40 before it, and the last is measured whatever was before.
    let monitored = MonitoredMetric::Named("distance");
    let task =
        Agreement { validation_images: 40, goal: monitored, ..Agreement::new(Device::flex().autodiff()) };
    let setup = setup(images.path(), 2);
    run_task(&task, &setup, &whole, ResumeMode::New, &mut NoopObserver).unwrap();
    let measured = metrics(&whole, "validation_distance", true);
    let epochs: Vec<_> = measured.iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [2, 4]);
    assert!(measured.iter().all(|line| line["ema_validation_distance"].is_number()), "{measured:?}");

    // Within the second epoch, at its end, and after the first validation.
    for (step, how) in [(3, ResumeMode::New), (4, ResumeMode::Resumed), (7, ResumeMode::Resumed)] {
        let error = run_task(&task, &setup, &stopped, how, &mut StopAfter(step, 0)).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { step: at, .. } if at == step), "{error}");
    }
    run_task(&task, &setup, &stopped, ResumeMode::Resumed, &mut NoopObserver).unwrap();
    assert_eq!(metrics(&stopped, "loss", false), metrics(&whole, "loss", false));
    assert_eq!(state(&stopped), state(&whole));
    for file in ["weights.safetensors", "weights-ema.safetensors", "weights-best.safetensors"] {
        assert!(fs::read(whole.join(file)).unwrap() == fs::read(stopped.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn a_goal_that_is_not_measured_ends_the_run_at_the_first_validation() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (goal, device) = (MonitoredMetric::Named("miou"), Device::flex().autodiff());
    let task = Agreement { validation_images: 40, goal, ..Agreement::new(device.clone()) };
    let setup = setup(images.path(), 1);
    let out = runs.path().join("measured");
    let error = run_task(&task, &setup, &out, ResumeMode::New, &mut NoopObserver).unwrap_err();
    assert!(
        matches!(&error, TrainError::UnknownMetric { name, known } if name == "miou" && known == &["distance"])
    );
    assert_eq!(metrics(&out, "loss", true).len(), 6);
    assert!(out.join("checkpoints/step-00000006.safetensors").is_file());
    // Without anything to measure on there is nothing to choose among.
    let task = Agreement { goal, ..Agreement::new(device) };
    run_task(&task, &setup, &runs.path().join("unmeasured"), ResumeMode::New, &mut NoopObserver).unwrap();
}

#[test]
fn a_job_of_another_crate_runs_resumes_and_ends() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let train = |out: &str, resume, observer: &mut dyn Observer| {
        let settings = RunSettings {
            seed: Seed(5),
            threads: 2,
            length: Some(Length::Steps(STEPS)),
            resume,
            ..RunSettings::new(images.path(), runs.path().join(out))
        };
        let training = TrainingRecipe { batch_size: 4, accumulate: 2, ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        run_training(AgreementJob { settings, training, images, fresh: vec![] }, &Device::flex(), observer)
    };
    let whole = train("whole", ResumeMode::New, &mut NoopObserver).unwrap();
    let error = train("stopped", ResumeMode::New, &mut StopAfter(5, 0)).unwrap_err();
    assert!(matches!(error, TrainError::Interrupted { step: 5, .. }), "{error}");
    let stopped = train("stopped", ResumeMode::Resumed, &mut NoopObserver).unwrap();
    assert_eq!(stopped.summary.steps, STEPS);
    assert_eq!(state(&runs.path().join("whole")), state(&runs.path().join("stopped")));
    assert!(fs::read(&whole.weights).unwrap() == fs::read(&stopped.weights).unwrap());
    // A finished run is left alone.
    assert_eq!(train("whole", ResumeMode::Resumed, &mut StopAfter(0, 1)).unwrap(), whole);
    let config = fs::read_to_string(runs.path().join("whole/config.toml")).unwrap();
    assert!(config.contains("data_checksum") && config.contains("[training]"), "{config}");
}

#[test]
fn a_size_is_drawn_for_a_batch_before_its_samples() {
    let images = images();
    let sizes = |threads| -> Vec<usize> {
        let loader = setup(images.path(), threads).loader;
        (0..4).flat_map(|epoch| loader.epoch(epoch).map(|batch| batch.unwrap().size)).collect()
    };
    let found = sizes(1);
    assert_eq!(found, sizes(3));
    assert!(found.iter().any(|size| *size != found[0]), "{found:?}");
}

#[test]
fn processes_share_the_batches_of_an_epoch() {
    let images = images();
    let loader = setup(images.path(), 2).loader;
    let all: Vec<_> = loader.epoch(1).map(|batch| batch.unwrap().values).collect();
    for first in 0..3 {
        let numbers = (first..all.len()).step_by(3);
        let mine: Vec<_> = loader.batches(1, numbers).map(|batch| batch.unwrap().values).collect();
        assert_eq!(mine, all.iter().skip(first).step_by(3).cloned().collect::<Vec<_>>());
    }
    // In any order, several times, and none that the epoch has not.
    let numbers = [all.len() - 1, 0, 0, all.len()];
    let mine: Vec<_> = loader.batches(1, numbers).map(|batch| batch.unwrap().values).collect();
    assert_eq!(mine, numbers[..3].iter().map(|&number| all[number].clone()).collect::<Vec<_>>());
}

#[test]
fn a_part_of_a_loss_that_is_not_finite_is_named() {
    let (images, out) = (images(), tempfile::tempdir().unwrap());
    let device = Device::flex().autodiff();
    let how = RunFolder::open(&out.path().join("run"), &BTreeMap::from([("seed", 5)]), ResumeMode::New);
    let Opened::Unfinished(mut folder) = how.unwrap() else { panic!("the run is finished") };
    let task = Agreement { broken: true, ..Agreement::new(device.clone()) };
    let learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
    let error =
        train(&task, learner, &setup(images.path(), 1), Some(&mut folder), &mut NoopObserver).unwrap_err();
    assert!(error.to_string().contains("the part size of the loss (NaN)"), "{error}");
}
