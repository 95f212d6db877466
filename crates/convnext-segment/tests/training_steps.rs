//! Twenty steps against PyTorch: both heads' loss over all pixels, AdamW, batch norm and its running statistics.
//! `goldens/make_steps.py` made the numbers.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod network;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::prelude::*;
use convnext_data::{Batch, LabelMap};
use convnext_distributed::run_threads;
use convnext_nn::{DropPath, for_each_parameter, tensor_values};
use convnext_segment::{
    BatchLabels, HeadDropout, LossRecipe, MeanOver, SegmentRecipe, SegmentationLoss, UperNet, batch_of_ranks,
};
use convnext_train::{
    ClassWeights, GradientSum, InitFrom, Learner, ParameterRules, Ranks, SupervisedRecipe, TrainError,
    TrainingRecipe,
};
use network::golden::{Sketch, uniform};
use network::{TrainingGolden, read};
use serde::Deserialize;

const IMAGES: usize = 4;
const HEIGHT: usize = 64;
const WIDTH: usize = 107;

/// The file `goldens/steps.json`.
#[derive(Deserialize)]
struct Curve {
    losses: Vec<f64>,
    learning_rate: f64,
    weight_decay: f64,
    betas: [f64; 2],
    parameters: BTreeMap<String, Sketch>,
}

/// The batch of a step, by the rule, or one of several equal parts of it.
struct StepBatch {
    step: usize,
    part: usize,
    parts: usize,
}

impl Batch for StepBatch {
    fn len(&self) -> usize {
        IMAGES / self.parts
    }
}

impl StepBatch {
    /// The values of this part, of so many for each image.
    fn part(&self, values: usize) -> Range<usize> {
        let length = self.len() * values;
        self.part * length..(self.part + 1) * length
    }

    fn images(&self) -> Tensor<4> {
        let (name, pixels) = (format!("images.{}", self.step), 3 * HEIGHT * WIDTH);
        let value = |index: usize| {
            let contrast = 0.5 + (index / pixels) as f64 / (IMAGES - 1) as f64;
            (1.5 * uniform(&name, index as u64) * contrast) as f32
        };
        let values: Vec<f32> = self.part(pixels).map(value).collect();
        Tensor::from_data(TensorData::new(values, [self.len(), 3, HEIGHT, WIDTH]), &Device::flex())
    }

    fn labels(&self, classes: usize) -> BatchLabels {
        let name = format!("labels.{}", self.step);
        let label = |index| match ((uniform(&name, index) + 1.0) / 2.0 * (classes + 1) as f64) as usize {
            label if label == classes => LabelMap::IGNORED,
            label => label as u16,
        };
        let labels = self.part(HEIGHT * WIDTH).map(|index| label(index as u64)).collect();
        BatchLabels { labels, height: HEIGHT, width: WIDTH }
    }
}

fn recipe(curve: &Curve) -> TrainingRecipe {
    let plain = SegmentRecipe::load("plain", &[], InitFrom::Scratch).unwrap().training;
    TrainingRecipe { weight_decay: curve.weight_decay, betas: curve.betas, ..plain }
}

/// Checks twenty steps, of which each rank computes a part of the batch.
fn check_steps(ranks: &Ranks) {
    let curve: Curve = read("steps.json");
    let config = read::<TrainingGolden>("training-64x107.json").config;
    let mut model = network::network(&config, &Device::flex().autodiff());
    if !ranks.is_alone() {
        model = model.with_shared_batch(batch_of_ranks(ranks));
    }
    let recipe = recipe(&curve);
    let learner = Learner::new(model, &recipe, ParameterRules::of_recipe(&recipe));
    let learner = learner.shared_by(ranks.clone(), ranks.size(), GradientSum::Ordered).unwrap();
    let mut learner = if ranks.is_alone() { learner } else { learner.synchronised() };
    let of = LossRecipe {
        mean_over: MeanOver::All,
        auxiliary: 0.4,
        class_weights: ClassWeights::Equal,
        dice: 0.0,
    };
    let loss = SegmentationLoss::new(of, &vec![1; config.classes]);
    for (step, &expected) in curve.losses.iter().enumerate() {
        let rate = curve.learning_rate * (1.0 - step as f64 / curve.losses.len() as f64);
        let batches = [Ok(StepBatch { step, part: ranks.rank(), parts: ranks.size() })].into_iter();
        let output = learner.step(rate, batches, |model: &UperNet, batch: StepBatch| {
            let logits = model.forward_training(batch.images(), &DropPath::none(), &HeadDropout::none())?;
            Ok::<_, TrainError>(loss.of(logits, &batch.labels(config.classes)))
        });
        let found = f64::from(output.unwrap().loss.total);
        assert!((found - expected).abs() <= 1e-3 * expected, "step {step}: {found}, PyTorch {expected}");
    }
    let mut checked = 0;
    for_each_parameter(learner.model(), |parameter| {
        if let Some(sketch) = curve.parameters.get(&parameter.name()) {
            let error = sketch.relative_error(&tensor_values(parameter.values()));
            // PyTorch's own f32 run is up to 6e-4 off.
            assert!(error <= 5e-3, "{}: relative error {error:.1e}", parameter.name());
            checked += 1;
        }
    });
    assert_eq!(checked, curve.parameters.len());
}

#[test]
fn twenty_steps_follow_pytorch() {
    check_steps(&Ranks::default());
}

/// PyTorch's batch norm of the whole batch is what its `SyncBatchNorm` computes on parts of it.
#[test]
fn synchronised_batch_norms_of_parts_are_those_of_the_whole_batch() {
    for size in [2, 4] {
        run_threads(size, |ranks| check_steps(&ranks));
    }
}
