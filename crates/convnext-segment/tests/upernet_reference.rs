//! UperNet on the reference implementations, which every backend without kernels runs: here in f64, where the CPU backend has no
//! kernels either, against transformers in f64.
//!
//! A test binary of its own, because the precision of a device is chosen once for a process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod network;

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::{FloatDType, IntDType};
use convnext_nn::{DropPath, for_each_parameter, tensor_values};
use convnext_segment::{HeadDropout, TrainingLogits};
use network::{LogitsGolden, TrainingGolden, read};

/// Weights of resizing are computed in f32 on every device; the rest agrees to 13 digits.
const TOLERANCE: f64 = 1e-6;

/// In f64 from here on: the precision of a device is chosen once for a process.
fn choose_f64() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| Device::flex().configure((FloatDType::F64, IntDType::I32)).unwrap());
}

#[test]
fn logits_are_those_of_transformers() {
    choose_f64();
    for name in ["65x131", "v1-197x33"] {
        let case: LogitsGolden = read(&format!("logits-{name}.json"));
        let device = Device::flex();
        let model = network::network(&case.config, &device);
        let images = network::images([case.batch, 3, case.height, case.width], &device);
        let logits = tensor_values(model.forward(images).unwrap().into_tensor());
        let error = case.logits.relative_error(&logits);
        assert!(error <= TOLERANCE, "{name}: {error:.1e}");
    }
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    choose_f64();
    let case: TrainingGolden = read("training-64x107.json");
    let device = Device::flex().autodiff();
    let model = network::network(&case.config, &device);
    let images = network::images([case.batch, 3, case.height, case.width], &device).require_grad();
    let found = network::train(&case, &model, images.clone());
    let labels = network::labels(case.batch * case.height * case.width, case.config.classes);
    let all = labels.len() as f64;
    let [decode, auxiliary] = [found.logits, found.auxiliary.unwrap()]
        .map(|logits| network::cross_entropy(logits, case.height, case.width, &labels) / all);
    for (loss, expected) in [&decode, &auxiliary].into_iter().zip(case.losses) {
        let error = (loss.clone().into_scalar::<f64>() - expected).abs() / expected;
        assert!(error <= TOLERANCE, "{error:.1e}");
    }
    let gradients = (decode + auxiliary * network::AUXILIARY_WEIGHT).backward();
    let mut checked = 0;
    for_each_parameter(&model, |parameter| {
        if let Some(gradient) = parameter.gradient(&gradients) {
            let error = case.gradients[&parameter.name()].relative_error(&tensor_values(gradient));
            assert!(error <= TOLERANCE, "{}: {error:.1e}", parameter.name());
            checked += 1;
        }
    });
    assert_eq!(checked, case.gradients.len());
}

#[test]
fn heads_learn_the_same_on_a_frozen_backbone() {
    choose_f64();
    let case: TrainingGolden = read("training-64x107.json");
    let device = Device::flex().autodiff();
    let model = network::network(&case.config, &device);
    let images = network::images([case.batch, 3, case.height, case.width], &device);
    let gradients = |logits: TrainingLogits| {
        let gradients =
            (logits.logits.rows.sin().sum() + logits.auxiliary.unwrap().rows.cos().sum()).backward();
        let mut found = BTreeMap::new();
        for_each_parameter(&model, |parameter| {
            let gradient = parameter.gradient(&gradients).map(tensor_values);
            found.insert(parameter.name(), gradient);
        });
        found
    };
    let dropout = HeadDropout::none();
    let all = gradients(model.forward_training(images.clone(), &DropPath::none(), &dropout).unwrap());
    let frozen = gradients(model.forward_training_frozen(images, &dropout).unwrap());
    for (name, gradient) in frozen {
        let of_backbone = ["downsample_layers.", "stages."].iter().any(|part| name.starts_with(part));
        assert_eq!(&gradient, if of_backbone { &None } else { &all[&name] }, "{name}");
    }
    assert!(all["stages.0.0.dwconv.weight"].is_some());
}
