//! ONNX files in a runtime, against the definition; their structure; what is refused.

mod files;
mod reference;
mod refusals;
mod runtime;

use std::path::PathBuf;

use convnext_core::{
    CORE_TASKS, ClassNames, FcmaeConfig, FcmaeObjective, ModelConfig, Preprocessing, WeightMetadata,
    find_model,
};
use convnext_io::{NamedArray, WeightFile};
use prost::Message;
use tempfile::TempDir;

use crate::messages::Model;
use crate::{OnnxBatch, OnnxOptions, OnnxOutput};

/// A small model of four stages: all widths and depths differ where they can.
fn small() -> ModelConfig {
    ModelConfig {
        name: "small".into(),
        depths: [1, 2, 1, 1],
        widths: [4, 6, 10, 8],
        classes: 5,
        ..find_model("micro").unwrap().config()
    }
}

/// Its weights, drawn by name.
fn classifier(model: ModelConfig) -> WeightFile {
    let preprocessing = Preprocessing::for_size(8 * model.stem_stride, model.input_channels);
    let classes = (0..model.classes).map(|class| format!("class \"{class}\"")).collect();
    weights(WeightMetadata::of_classifier(&model, ClassNames(classes), preprocessing))
}

fn autoencoder() -> WeightFile {
    let fcmae = FcmaeConfig::new(ModelConfig { stem_stride: 2, ..small() });
    let preprocessing = Preprocessing::for_size(32, 3);
    weights(WeightMetadata::of_fcmae(&fcmae, FcmaeObjective::default(), preprocessing))
}

fn weights(metadata: WeightMetadata) -> WeightFile {
    let arrays = metadata.tensors(&CORE_TASKS).unwrap().into_iter().map(|(name, shape)| {
        let values = parameter(&name, &shape);
        (name.clone(), NamedArray::from_f32(name, shape, &values))
    });
    WeightFile { arrays: arrays.collect(), metadata }
}

/// A parameter of a size at which it matters, by the rule of the goldens of `convnext-nn`.
fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let (centre, spread) = match name.rsplit_once('.').map_or(name, |(_, leaf)| leaf) {
        "bias" | "beta" => (0.0, 0.2),
        "gamma" if name.contains("grn") => (0.0, 0.5),
        "gamma" => (0.5, 0.4), // LayerScale
        _ if shape.len() == 1 => (1.0, 0.5),
        _ => (0.0, (3.0 / fan_in as f64).sqrt()),
    };
    let numbers = uniform(name, shape.iter().product());
    numbers.into_iter().map(|number| (centre + spread * number) as f32).collect()
}

/// Numbers in [-1, 1), the same for the same name (FNV-1a, splitmix64).
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let number = |index: u64| {
        let z = hash.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53) * 2.0 - 1.0
    };
    (0..count as u64).map(number).collect()
}

fn images(shape: [usize; 4]) -> Vec<f32> {
    uniform("images", shape.iter().product()).into_iter().map(|number| (1.5 * number) as f32).collect()
}

fn options(weights: &WeightFile, output: OnnxOutput) -> OnnxOptions {
    OnnxOptions { output, ..OnnxOptions::of(&weights.metadata) }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    (folder, path)
}

fn read(path: &PathBuf) -> Model {
    Model::decode(std::fs::read(path).unwrap().as_slice()).unwrap()
}
