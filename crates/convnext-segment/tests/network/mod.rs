//! UperNet with the weights, images, labels and loss of `tests/goldens/make_upernet.py`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers: each test binary uses its own part"
)]

#[path = "../../../convnext-nn/tests/common/golden.rs"]
pub mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use convnext_core::{ModelConfig, Seed, UperNetConfig, find_model};
use convnext_nn::{DropPath, FeatureMaps, replace_parameters, resize_bilinear};
use convnext_segment::{HeadDropout, TrainingLogits, UperNet};
use golden::Sketch;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Weight of the auxiliary head's loss.
pub const AUXILIARY_WEIGHT: f64 = 0.4;
const DROPOUT: f64 = 0.1;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkGolden {
    depths: [usize; 4],
    widths: [usize; 4],
    grn: bool,
    pub classes: usize,
    head_width: usize,
    auxiliary_width: Option<usize>,
}

/// A file `goldens/logits-*.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitsGolden {
    pub config: NetworkGolden,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    /// At the size of the first stage, [N, K, H_0, W_0].
    pub logits: Sketch,
    /// At the size of the images, [N, K, H, W].
    pub resized: Sketch,
}

/// A file `goldens/training-*.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingGolden {
    pub config: NetworkGolden,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    /// Of decode head and auxiliary head over all pixels, and over the labelled ones.
    pub losses: [f64; 4],
    pub input_gradient: Sketch,
    pub gradients: BTreeMap<String, Sketch>,
    /// Running statistics after the batch.
    pub statistics: BTreeMap<String, Sketch>,
}

pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The network of a golden with its weights by rule.
pub fn network(golden: &NetworkGolden, device: &Device) -> UperNet {
    let size = find_model(if golden.grn { "micro" } else { "v1-micro" }).unwrap();
    let config = ModelConfig {
        depths: golden.depths,
        widths: golden.widths,
        classes: golden.classes,
        ..size.config()
    };
    let head = UperNetConfig { head_width: golden.head_width, auxiliary_width: golden.auxiliary_width };
    let model = UperNet::new(&config, &head, Seed(0), device).unwrap();
    replace_parameters(model, |parameter| {
        let name = parameter.name();
        let values = if name.ends_with(".running_mean") {
            (0..parameter.shape[0]).map(|i| (0.3 * golden::uniform(&name, i as u64)) as f32).collect()
        } else {
            golden::parameter(&name, &parameter.shape)
        };
        let count = values.len();
        Some(Tensor::from_data(TensorData::new(values, [count]), &parameter.device.inner()))
    })
}

/// Images whose contrast grows from the first to the last.
pub fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let mut values = golden::images(shape);
    let contrast = |image: usize| match shape[0] {
        1 => 0.5,
        count => 0.5 + image as f32 / (count - 1) as f32,
    };
    for (image, pixels) in values.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        pixels.iter_mut().for_each(|pixel| *pixel *= contrast(image));
    }
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The label of each pixel, [N, H, W]; `None` where it is ignored.
pub fn labels(count: usize, classes: usize) -> Vec<Option<usize>> {
    let label = |index| ((golden::uniform("labels", index) + 1.0) / 2.0 * (classes + 1) as f64) as usize;
    (0..count as u64).map(|index| Some(label(index)).filter(|&label| label < classes)).collect()
}

fn factors(name: &str, count: usize) -> Vec<f32> {
    let keep = |index| golden::uniform(name, index) >= 2.0 * DROPOUT - 1.0;
    let scale = (1.0 / (1.0 - DROPOUT)) as f32;
    (0..count as u64).map(|index| if keep(index) { scale } else { 0.0 }).collect()
}

/// The golden's forward pass in training, from images.
pub fn train(case: &TrainingGolden, model: &UperNet, images: Tensor<4>) -> TrainingLogits {
    let widths = [case.config.head_width, case.config.auxiliary_width.unwrap()];
    let [decode, auxiliary] = widths.map(|width| width * case.batch);
    let dropout =
        HeadDropout::from_factors(factors("dropout.decode", decode), factors("dropout.auxiliary", auxiliary));
    model.forward_training(images, &DropPath::none(), &dropout).unwrap()
}

/// Cross entropy of logits resized to the labels: the sum over labelled pixels.
pub fn cross_entropy(
    logits: FeatureMaps,
    height: usize,
    width: usize,
    labels: &[Option<usize>],
) -> Tensor<1> {
    let classes = logits.channels();
    let scores = log_softmax(resize_bilinear(logits, height, width).rows, 1);
    let mut chosen = vec![0.0_f32; labels.len() * classes];
    for (row, label) in chosen.chunks_exact_mut(classes).zip(labels) {
        if let Some(label) = label {
            row[*label] = -1.0;
        }
    }
    let chosen = TensorData::new(chosen, [labels.len(), classes]).convert_dtype(scores.dtype());
    (scores.clone() * Tensor::from_data(chosen, &scores.device())).sum()
}
