//! UperNet against transformers in float64, with random weights and running statistics (`tests/goldens/README.md`).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod network;

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::Gradients;
use convnext_core::{
    ModelConfig, Preprocessing, Seed, SegmentationTask, TaskMetadata, UperNetConfig, find_model,
};
use convnext_nn::{FeatureMaps, for_each_parameter, resize_bilinear, tensor_shapes, tensor_values};
use convnext_segment::UperNet;
use convnext_train::Observed;
use network::{LogitsGolden, TrainingGolden, read};

fn in_pytorchs_layout(maps: FeatureMaps) -> Vec<f32> {
    tensor_values(maps.into_tensor())
}

#[test]
fn logits_are_those_of_transformers() {
    for name in ["64x96", "65x131", "39x50", "v1-197x33"] {
        let case: LogitsGolden = read(&format!("logits-{name}.json"));
        let device = Device::flex();
        let model = network::network(&case.config, &device);
        let images = network::images([case.batch, 3, case.height, case.width], &device);
        let logits = model.forward(images).unwrap();
        case.logits.check(&format!("{name}: logits"), &in_pytorchs_layout(logits.clone()));
        let resized = resize_bilinear(logits, case.height, case.width);
        case.resized.check(&format!("{name}: resized logits"), &in_pytorchs_layout(resized));
    }
}

/// Every gradient by its name; a parameter without one fails the test.
fn gradients_by_name(model: &UperNet, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        if !parameter.is_state {
            found.insert(parameter.name(), tensor_values(parameter.gradient(gradients).unwrap()));
        }
    });
    found
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let case: TrainingGolden = read("training-64x107.json");
    let device = Device::flex().autodiff();
    let model = network::network(&case.config, &device);
    let images = network::images([case.batch, 3, case.height, case.width], &device).require_grad();
    let found = network::train(&case, &model, images.clone());
    let labels = network::labels(case.batch * case.height * case.width, case.config.classes);
    let labelled = labels.iter().flatten().count() as f64;
    let [decode, auxiliary] = [found.logits, found.auxiliary.unwrap()]
        .map(|logits| network::cross_entropy(logits, case.height, case.width, &labels));
    let sums = [&decode, &auxiliary].map(|sum| f64::from(sum.clone().into_scalar::<f32>()));
    let all = labels.len() as f64;
    let losses = [sums[0] / all, sums[1] / all, sums[0] / labelled, sums[1] / labelled];
    for (found, expected) in losses.into_iter().zip(case.losses) {
        assert!((found - expected).abs() <= 1e-5 * expected, "{losses:?} {:?}", case.losses);
    }
    let gradients = ((decode + auxiliary * network::AUXILIARY_WEIGHT) / all).backward();
    case.input_gradient.check("images", &tensor_values(images.grad(&gradients).unwrap()));
    let found = gradients_by_name(&model, &gradients);
    assert_eq!(found.keys().collect::<Vec<_>>(), case.gradients.keys().collect::<Vec<_>>());
    for (name, sketch) in &case.gradients {
        sketch.check(name, &found[name]);
    }
}

#[test]
fn observed_statistics_are_those_of_pytorch() {
    let case: TrainingGolden = read("training-64x107.json");
    let device = Device::flex().autodiff();
    let model = network::network(&case.config, &device);
    let images = network::images([case.batch, 3, case.height, case.width], &device);
    let mut old = BTreeMap::new();
    for_each_parameter(&model, |parameter| {
        if parameter.is_state {
            old.insert(parameter.name(), tensor_values(parameter.values()));
        }
    });
    let mut counted = 0;
    for observed in network::train(&case, &model, images).observed {
        match observed {
            Observed::Count { name, by } => {
                assert!(by == 1 && name.ends_with(".num_batches_tracked"), "{name}");
                counted += 1;
            }
            Observed::Statistic { name, values, momentum } => {
                let momentum = momentum as f32;
                let pairs = old.remove(&name).unwrap().into_iter().zip(tensor_values(values));
                let new: Vec<f32> =
                    pairs.map(|(old, value)| old * (1.0 - momentum) + value * momentum).collect();
                case.statistics[&name].check(&name, &new);
            }
        }
    }
    assert!(old.is_empty(), "{old:?}");
    assert_eq!(counted * 2, case.statistics.len());
}

#[test]
fn tensors_are_those_that_weights_of_the_task_have() {
    for name in ["atto", "tiny"] {
        let config = ModelConfig { classes: 150, ..find_model(name).unwrap().config() };
        let head = UperNetConfig::of_backbone(&config);
        let (classes, numbers, palette) = (Default::default(), Vec::new(), Vec::new());
        let task = SegmentationTask { classes, numbers, palette, head };
        task.validate(&config, &Preprocessing::for_size(64, 3)).unwrap();
        let expected: BTreeMap<_, _> = task.tensors(&config).into_iter().collect();
        let model = UperNet::new(&config, &head, Seed(0), &Device::flex()).unwrap();
        let found: BTreeMap<_, _> = tensor_shapes(&model).into_iter().collect();
        assert_eq!(found, expected, "{name}");
    }
}
