//! What no gradient changes: how batches change it, how it travels through weight files, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

mod toy;

use burn::prelude::*;
use convnext_data::{Batch, open_unlabelled};
use convnext_io::{NamedArray, WeightFile, read_weights, write_weights};
use convnext_nn::{ModelState, tensor_values};
use convnext_train::{
    Learner, Length, NoopObserver, Observed, ParameterRules, ResumeMode, RunSettings, Task, TrainError,
    TrainingRecipe, run_training, start_from,
};
use toy::runs::{COUNTER, STEPS, images, recipe, run, setup};
use toy::{Agreement, AgreementJob, SEEN, Toy};

#[test]
fn a_counter_is_an_integer_in_weights_and_comes_back_from_them() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    run(images.path(), runs.path(), 2, ResumeMode::New, &mut NoopObserver).unwrap();
    let expected = SEEN + 2 * STEPS as i64;
    for file in ["weights.safetensors", "weights-ema.safetensors"] {
        let path = runs.path().join(file);
        let mut weights = read_weights(&path).unwrap();
        assert_eq!(weights.arrays[COUNTER], NamedArray::from_i64(COUNTER, expected), "{file}");
        // As it is, and with one axis, as other programs may write it.
        for shape in [vec![], vec![1]] {
            let array = weights.arrays.get_mut(COUNTER).unwrap();
            array.shape = shape;
            let again = runs.path().join("again.safetensors");
            let arrays: Vec<NamedArray> = weights.arrays.values().cloned().collect();
            write_weights(&again, &arrays, &weights.metadata).unwrap();
            let toy = Toy::new(&Device::flex().autodiff());
            let started = start_from(toy, &again, &|_| false).unwrap();
            assert_eq!(started.num_batches_tracked.get(), expected, "{file}");
        }
        let float = NamedArray::from_f32(COUNTER, [], &[1.0]);
        weights.arrays.insert(COUNTER.to_owned(), float);
        let arrays: Vec<NamedArray> = weights.arrays.into_values().collect();
        write_weights(&path, &arrays, &weights.metadata).unwrap();
        let toy = Toy::new(&Device::flex().autodiff());
        let message = start_from(toy, &path, &|_| false).unwrap_err().to_string();
        assert!(message.contains(file) && message.contains("num_batches_tracked: holds F32"), "{message}");
    }
}

#[test]
fn parts_that_a_job_names_may_start_fresh_and_no_others() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let path = runs.path().join("init.safetensors");
    let metadata = Agreement::new(Device::flex()).metadata;
    let array =
        |name: &str, shape: &[usize]| NamedArray::from_f32(name, shape, &vec![0.5; shape.iter().product()]);
    let train = |out: &str, left_out: &str, fresh: &[&'static str]| {
        let mut arrays = vec![
            array("weight", &[3, 4]),
            array("mean", &[4]),
            array("variance", &[4]),
            array("copy", &[3, 4]),
            NamedArray::from_i64(COUNTER, 7),
        ];
        arrays.retain(|array| array.name != left_out);
        write_weights(&path, &arrays, &metadata).unwrap();
        let settings = RunSettings {
            init: Some(path.clone()),
            length: Some(Length::Steps(1)),
            ..RunSettings::new(images.path(), runs.path().join(out))
        };
        let training = TrainingRecipe { batch_size: 4, accumulate: 2, ..recipe() };
        let images = open_unlabelled(images.path()).unwrap();
        let job = AgreementJob { settings, training, images, fresh: fresh.to_vec() };
        run_training(job, &Device::flex(), &mut NoopObserver)
            .map(|trained| read_weights(&trained.weights).unwrap())
    };
    // The copy moves by a tenth towards the layer before the one step.
    let copy = |found: WeightFile| found.arrays["copy"].to_f32().unwrap();
    let is_close = |found: &f32, expected: f32| (found - expected).abs() < 1e-6;
    let of_file = copy(train("whole", "", &["copy"]).unwrap());
    assert!(of_file.iter().all(|value| is_close(value, 0.5)), "{of_file:?}");
    let fresh = copy(train("fresh", "copy", &["copy"]).unwrap());
    for (place, value) in fresh.iter().enumerate() {
        assert!(is_close(value, 0.9 * (place as f32 * 0.7).sin() + 0.05), "{fresh:?}");
    }
    let counted = train("counted", COUNTER, &[COUNTER]).unwrap().arrays[COUNTER].to_i64().unwrap();
    assert_eq!(counted, SEEN + 2);
    for (out, left_out, fresh) in [
        ("a", "copy", &[][..]),
        ("b", "weight", &["copy"]),
        ("c", COUNTER, &["copy"]),
        ("d", "mean", &["copy"]),
    ] {
        let message = train(out, left_out, fresh).unwrap_err().to_string();
        assert!(message.contains(&format!("missing: {left_out} [")), "{message}");
    }
}

#[test]
fn running_statistics_take_every_batch_in_its_order() {
    let (images, device) = (images(), Device::flex().autodiff());
    let setup = setup(images.path(), 2);
    let task = Agreement::new(device.clone());
    let mut learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
    let batches: Vec<_> = setup.loader.epoch(0).take(2).map(Result::unwrap).collect();
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
    let (images, device) = (images(), Device::flex().autodiff());
    let task = Agreement::new(device.clone());
    for (name, count) in [("mean", 3), ("means", 4), ("weight", 12), (COUNTER, 1)] {
        let mut learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
        let batches =
            setup(images.path(), 1).loader.epoch(0).take(1).map(|batch| batch.map_err(TrainError::from));
        let result = learner.step(0.1, batches, |model, batch| {
            let mut loss = task.loss(model, batch)?;
            let values = Tensor::zeros([count], &device.clone().inner());
            loss.observed = vec![Observed::Statistic { name: name.to_owned(), values, momentum: 0.1 }];
            Ok(loss)
        });
        let error = result.unwrap_err();
        assert!(matches!(&error, TrainError::Observed { name: found, .. } if found == name), "{error}");
    }
}

#[test]
fn only_counters_count() {
    let (images, device) = (images(), Device::flex().autodiff());
    let task = Agreement::new(device.clone());
    for name in ["mean", "weight", "seen"] {
        let mut learner = Learner::new(Toy::new(&device), &recipe(), ParameterRules::of_recipe(&recipe()));
        let batches =
            setup(images.path(), 1).loader.epoch(0).take(1).map(|batch| batch.map_err(TrainError::from));
        let result = learner.step(0.1, batches, |model, batch| {
            let mut loss = task.loss(model, batch)?;
            loss.observed = vec![Observed::Count { name: name.to_owned(), by: 1 }];
            Ok(loss)
        });
        let error = result.unwrap_err();
        assert!(matches!(&error, TrainError::Counted { known, .. } if known == &[COUNTER]), "{error}");
        assert!(error.to_string().contains(&format!("'{name}'")), "{error}");
    }
}

#[test]
fn a_state_learns_nothing_whatever_it_holds() {
    let (images, device) = (images(), Device::flex().autodiff());
    let task = Agreement::new(device.clone());
    let mut toy = Toy::new(&device);
    // A copy that shares the tensor that is learned.
    toy.copy = ModelState::new(toy.weight.clone());
    let mut learner = Learner::new(toy, &recipe(), ParameterRules::of_recipe(&recipe()));
    let before = tensor_values(learner.model().copy.get().val().inner());
    let batches =
        setup(images.path(), 1).loader.epoch(0).take(2).map(|batch| batch.map_err(TrainError::from));
    learner.step(0.1, batches, |model, batch| task.loss(model, batch)).unwrap();
    assert_eq!(tensor_values(learner.model().copy.get().val().inner()), before);
    assert_ne!(tensor_values(learner.model().weight.val().inner()), before);
}
