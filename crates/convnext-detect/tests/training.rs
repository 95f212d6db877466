//! The training of Mask R-CNN against PyTorch: the losses of sampled anchors and regions with every gradient, and twenty steps.
//! `goldens/make_training.py` made the numbers.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod training_golden;

use std::collections::BTreeMap;

use burn::prelude::*;
use convnext_core::{BoundingBox, Seed};
use convnext_data::Instance;
use convnext_detect::{DetectRecipe, DetectionBatch, MaskRcnn, RegionChoice, RegionRecipe, detection_loss};
use convnext_nn::{for_each_parameter, tensor_values};
use convnext_train::{InitFrom, Learner, ParameterRules, SupervisedRecipe, TrainError, TrainingRecipe};
use serde::Deserialize;
use training_golden::common::golden::Sketch;
use training_golden::common::read_golden;
use training_golden::{CASES, gradients, number, pyramid, read};

/// The relative error of losses and gradients in f32; PyTorch's own is up to 3e-6.
const TOLERANCE: f64 = 1e-4;

/// The relative error of twenty steps in f32.
const STEPS_TOLERANCE: f64 = 1e-3;

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    for name in CASES {
        let golden = read(name);
        let device = Device::flex().autodiff();
        let model = golden.config.network(&device);
        let loss = golden.loss(&model, &golden.batch(name), &device);
        golden.check(name, &model, &loss, TOLERANCE);
    }
}

/// The file `goldens/steps.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    learning_rate: f64,
    weight_decay: f64,
    betas: [f64; 2],
    losses: Vec<f64>,
    /// After the last step, by name.
    parameters: BTreeMap<String, Sketch>,
}

#[test]
fn twenty_steps_follow_pytorch() {
    let curve: Curve = read_golden("steps");
    let golden = read("masks");
    let device = Device::flex().autodiff();
    let batch = golden.batch("masks");
    let plain = DetectRecipe::load("plain", &[], InitFrom::Scratch).unwrap().training;
    let recipe = TrainingRecipe {
        weight_decay: curve.weight_decay,
        betas: curve.betas,
        clip_norm: None,
        ema: None,
        ..plain
    };
    let rules = ParameterRules::of_recipe(&recipe);
    let mut learner = Learner::new(golden.config.network(&device), &recipe, rules);
    for (step, &expected) in curve.losses.iter().enumerate() {
        let rate = curve.learning_rate * (1.0 - step as f64 / curve.losses.len() as f64);
        let batches = [Ok(batch.clone())].into_iter();
        let output = learner.step(rate, batches, |model: &MaskRcnn, batch: DetectionBatch| {
            Ok::<_, TrainError>(golden.loss(model, &batch, &device))
        });
        let found = f64::from(output.unwrap().loss.total);
        let error = (found - expected).abs() / expected;
        assert!(error <= STEPS_TOLERANCE, "step {step}: {found}, PyTorch {expected}");
    }
    let mut checked = 0;
    for_each_parameter(learner.model(), |parameter| {
        let error = curve.parameters[&parameter.name()].relative_error(&tensor_values(parameter.values()));
        assert!(error <= STEPS_TOLERANCE, "{}: relative error {error:.1e}", parameter.name());
        checked += 1;
    });
    assert_eq!(checked, curve.parameters.len());
}

/// The rule of the recipe decides which objects the region proposal network learns.
#[test]
fn the_recipes_rule_of_anchors_reaches_the_loss() {
    let golden = read("v1-boxes");
    let mut batch = golden.batch("v1-boxes");
    let bounds = BoundingBox { left: 20.0, top: 24.0, right: 32.0, bottom: 36.0 };
    let small = Instance { class: 0, bounds, mask: None, area: 144.0, is_crowd: false };
    batch.instances.fill(vec![small]);
    let device = Device::flex().autodiff();
    let model = golden.config.network(&device);
    let of_boxes = |minimum_anchor_overlap| {
        let recipe = RegionRecipe { sampled: 64, proposals: 200, minimum_anchor_overlap };
        let choice = RegionChoice { recipe, seed: Seed(3) };
        let loss = detection_loss(&model, &pyramid(&model, &batch, &device), &batch, choice).unwrap();
        let part = loss.parts.iter().find(|(name, _)| *name == "rpn_box");
        part.map(|(_, part)| number(part)).unwrap()
    };
    assert_eq!(of_boxes(0.3), 0.0);
    assert!(of_boxes(0.0) > 0.0);
}

/// From proposals and their samples to the gradients.
#[test]
fn the_number_of_threads_does_not_matter() {
    let golden = read("masks");
    let batch = golden.batch("masks");
    let recipe = RegionRecipe { sampled: 64, proposals: 200, minimum_anchor_overlap: 0.3 };
    let choice = RegionChoice { recipe, seed: Seed(3) };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let model = golden.config.network(&device);
            let loss = detection_loss(&model, &pyramid(&model, &batch, &device), &batch, choice).unwrap();
            let parts: Vec<f64> = loss.parts.iter().map(|(_, part)| number(part)).collect();
            (parts, gradients(&model, &loss))
        })
    };
    let (parts, expected) = run(1);
    assert!(parts.iter().all(|part| *part > 0.0), "{parts:?}");
    for threads in [2, 3] {
        let (found, gradients) = run(threads);
        assert_eq!(found, parts, "{threads} threads");
        for (parameter, gradient) in &expected {
            assert!(gradients[parameter] == *gradient, "{threads} threads: {parameter}");
        }
    }
}
