//! Twenty steps against PyTorch, in f32 and in bf16: AdamW with layer decay, accumulation, clipping, schedule and
//! moving average. Masks, labels and dropped paths are injected; `goldens/` holds the script.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../convnext-nn/tests/common/device.rs"]
mod device;
#[path = "../../convnext-nn/tests/common/golden.rs"]
mod golden;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::{
    DecoderConfig, FcmaeConfig, FcmaeObjective, Mask, ModelConfig, PatchGrid, Seed, find_model,
};
use convnext_data::ImageBatch;
use convnext_nn::{
    ConvNext, DropPath, Fcmae, Precision, for_each_parameter, is_cpu, replace_parameters, tensor_values,
};
use convnext_train::{
    LayerCount, LayerDecay, Learner, Loss, ParameterRules, PretrainRecipe, RateCurve, Schedule, Targets,
    TrainError, TrainingRecipe, batch_images,
};
use device::test_device;
use golden::Sketch;
use serde::Deserialize;

const SIDE: usize = 32;

/// What both files hold.
#[derive(Deserialize)]
struct Curve {
    settings: Settings,
    learning_rates: Vec<f64>,
    losses: Vec<f64>,
    parameters: BTreeMap<String, Sketch>,
    averages: BTreeMap<String, Sketch>,
    /// Patches by step, batch and image.
    #[serde(default)]
    kept: Vec<Vec<Vec<Vec<usize>>>>,
    #[serde(default)]
    smoothing: f64,
    /// Labels by step, batch and image.
    #[serde(default)]
    labels: Vec<Vec<Vec<usize>>>,
    /// Factors by step, batch, block and image.
    #[serde(default)]
    drop_path: Vec<Vec<Vec<Vec<f32>>>>,
}

#[derive(Deserialize)]
struct Settings {
    learning_rate: f64,
    minimum_learning_rate: f64,
    warmup_steps: f64,
    weight_decay: f64,
    betas: [f64; 2],
    clip_norm: Option<f64>,
    ema: f64,
    layer_decay: f64,
}

impl Settings {
    fn recipe(&self) -> TrainingRecipe {
        TrainingRecipe {
            weight_decay: self.weight_decay,
            betas: self.betas,
            clip_norm: self.clip_norm,
            ema: Some(self.ema),
            ..PretrainRecipe::load("plain", &[]).unwrap().training
        }
    }

    fn schedule(&self, total_steps: usize) -> Schedule {
        let (peak, minimum) = (self.learning_rate, self.minimum_learning_rate);
        Schedule {
            peak,
            minimum,
            warmup_steps: self.warmup_steps,
            warmup_start: 0.0,
            total_steps,
            curve: RateCurve::Cosine,
        }
    }
}

/// The batch of a step, by the rule; it says in `epoch` and `samples` which one it is.
fn batch(step: usize, number: usize, count: usize) -> ImageBatch {
    let name = format!("images.{step}.{number}");
    let values = 0..(count * 3 * SIDE * SIDE) as u64;
    ImageBatch {
        images: values.map(|index| (1.5 * golden::uniform(&name, index)) as f32).collect(),
        channels: 3,
        height: SIDE,
        width: SIDE,
        labels: vec![None; count],
        samples: vec![number; count],
        epoch: step as u64,
        mix: None,
    }
}

/// How far losses may be from PyTorch's, as a share of them.
const BOUNDS: [(Precision, f64); 2] = [(Precision::F32, 1e-3), (Precision::Bf16, 1e-2)];

/// Other devices than the CPU know f32 alone.
fn bounds(device: &Device) -> &'static [(Precision, f64)] {
    if is_cpu(device) { &BOUNDS } else { &BOUNDS[..1] }
}

/// Trains by the library and compares every step, and in f32 the parameters in the end.
fn check<M: Module>(
    name: &str,
    curve: &Curve,
    (precision, bound): (Precision, f64),
    mut learner: Learner<M>,
    images: usize,
    loss: impl Fn(&M, ImageBatch) -> Result<Loss, TrainError>,
) {
    let schedule = curve.settings.schedule(curve.losses.len());
    for (step, (&expected, &rate)) in curve.losses.iter().zip(&curve.learning_rates).enumerate() {
        assert!((schedule.learning_rate(step) - rate).abs() < 1e-12, "{name}: rate of step {step}");
        let batches = (0..2).map(|number| Ok(batch(step, number, images)));
        let found = f64::from(learner.step(rate, batches, &loss).unwrap().loss.total);
        let error = (found - expected).abs() / expected;
        assert!(error <= bound, "{name}, {precision:?}: step {step}: loss {found}, PyTorch {expected}");
    }
    if precision == Precision::Bf16 {
        return;
    }
    check_parameters(&format!("{name}: last"), learner.model(), &curve.parameters);
    check_parameters(&format!("{name}: average of"), &learner.averaged().unwrap(), &curve.averages);
}

fn check_parameters<M: Module>(what: &str, model: &M, expected: &BTreeMap<String, Sketch>) {
    let mut checked = 0;
    for_each_parameter(model, |parameter| {
        if let Some(sketch) = expected.get(&parameter.name()) {
            let error = sketch.relative_error(&tensor_values(parameter.values()));
            assert!(error <= 1e-3, "{what} {}: relative error {error:.1e}", parameter.name());
            checked += 1;
        }
    });
    assert_eq!(checked, expected.len(), "{what}");
}

/// Gives every parameter the values that the rule has for its name.
fn ruled<M: Module>(model: M) -> M {
    replace_parameters(model, |parameter| {
        let values = golden::parameter(&parameter.name(), &parameter.shape);
        let count = values.len();
        Some(Tensor::from_data(TensorData::new(values, [count]), &parameter.device.inner()))
    })
}

fn micro(classes: usize) -> ModelConfig {
    ModelConfig { classes, stem_stride: 1, ..find_model("micro").unwrap().config() }
}

#[test]
fn twenty_steps_of_pretraining_follow_pytorch() {
    let curve: Curve = golden::load("pretraining.json");
    let device = test_device();
    let base = FcmaeConfig::new(micro(0));
    let config = FcmaeConfig { decoder: DecoderConfig { depth: 1, width: 128, ..base.decoder }, ..base };
    let grid = PatchGrid::of_image(&config.encoder, SIDE, SIDE).unwrap();
    for bound in bounds(&device) {
        let model = ruled(Fcmae::new(&config, Seed(0), &device.clone().autodiff()).unwrap());
        let recipe = curve.settings.recipe();
        let rules = ParameterRules::of_recipe(&recipe);
        let learner = Learner::new(model.with_precision(bound.0), &recipe, rules);
        check("pre-training", &curve, *bound, learner, 4, |model, mut batch| {
            let kept = &curve.kept[batch.epoch as usize][batch.samples[0]];
            let masks: Vec<Mask> =
                kept.iter().map(|kept| Mask::from_kept(grid, kept.clone()).unwrap()).collect();
            Ok(model
                .forward(batch_images(&mut batch, &device), &masks, FcmaeObjective::default())?
                .loss
                .into())
        });
    }
}

#[test]
fn twenty_steps_of_finetuning_follow_pytorch() {
    let curve: Curve = golden::load("finetuning.json");
    let device = test_device();
    let config = micro(5);
    for bound in bounds(&device) {
        let model = ruled(ConvNext::new(&config, Seed(0), &device.clone().autodiff()).unwrap());
        let layers = LayerDecay::new(LayerCount::Single, curve.settings.layer_decay, &config);
        let recipe = curve.settings.recipe();
        let rules = ParameterRules::of_recipe(&recipe).with_layer_decay(Some(layers));
        let learner = Learner::new(model.with_precision(bound.0), &recipe, rules);
        check("fine-tuning", &curve, *bound, learner, 6, |model, mut batch| {
            let (step, number) = (batch.epoch as usize, batch.samples[0]);
            let drop_path = DropPath::from_scales(curve.drop_path[step][number].clone());
            let logits = model.forward(batch_images(&mut batch, &device), &drop_path)?;
            let labels = &curve.labels[step][number];
            Ok(Targets::new(labels, &[1.0; 5], curve.smoothing).cross_entropy(logits).into())
        });
    }
}
