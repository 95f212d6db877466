//! A runtime computes with a file what the definition says.

use std::path::Path;

use convnext_core::{ENCODER_PREFIX, FcmaeTask, LAYER_SCALE_INIT, ModelConfig, ResponseNorm};
use rten::{Model, Value};
use rten_tensor::prelude::*;

use super::reference::{Map, Reference};
use super::*;
use crate::export::{write_limited, write_onnx};

/// Sums of f32 in another order; values are of the size of 1.
const TOLERANCE: f64 = 1e-4;

/// The outputs of a file, each flat with its shape.
fn run(path: &Path, shape: [usize; 4]) -> Vec<(Vec<usize>, Vec<f32>)> {
    let model = Model::load_file(path).unwrap();
    let images = Value::from_shape(&shape, images(shape)).unwrap();
    let outputs = model.run(vec![(model.input_ids()[0], images.into())], model.output_ids(), None).unwrap();
    let flat = |output: Value| {
        let values = output.into_tensor::<f32>().unwrap();
        (values.shape().to_vec(), values.to_vec())
    };
    outputs.into_iter().map(flat).collect()
}

/// The same from the definition, image by image.
fn expected(weights: &WeightFile, output: OnnxOutput, shape: [usize; 4]) -> Vec<(Vec<usize>, Vec<f64>)> {
    let prefix = if weights.metadata.task.is::<FcmaeTask>() { ENCODER_PREFIX } else { "" };
    let model = &weights.metadata.convnext().unwrap();
    let reference = Reference { prefix, arrays: &weights.arrays, model };
    let [count, channels, height, width] = shape;
    let mut outputs: Vec<(Vec<usize>, Vec<f64>)> = Vec::new();
    for pixels in images(shape).chunks(channels * height * width) {
        let values = pixels.iter().copied().map(f64::from).collect();
        let image = Map { channels, height, width, values };
        let of_image = match output {
            OnnxOutput::Logits => vec![(vec![count, model.classes], reference.logits(image))],
            OnnxOutput::Features => (reference.features(image).into_iter())
                .map(|map| (vec![count, map.channels, map.height, map.width], map.values))
                .collect(),
        };
        outputs.resize_with(of_image.len(), Default::default);
        for ((shape, values), (of_shape, of_values)) in outputs.iter_mut().zip(of_image) {
            *shape = of_shape;
            values.extend(of_values);
        }
    }
    outputs
}

#[track_caller]
fn compare(path: &Path, weights: &WeightFile, options: &OnnxOptions, count: usize) {
    let channels = weights.metadata.convnext().unwrap().input_channels;
    let size = options.image_size.or(weights.metadata.preprocessing.image_size()).unwrap();
    let shape = [count, channels, size.height, size.width];
    let (found, expected) = (run(path, shape), expected(weights, options.output, shape));
    assert_eq!(found.len(), expected.len());
    for ((shape, found), (expected_shape, expected)) in found.iter().zip(&expected) {
        assert_eq!(shape, expected_shape);
        let distance = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs()).fold(0.0, f64::max);
        let size = expected.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
        assert!(distance < TOLERANCE && size > 0.1, "distance {distance:e}, values up to {size}");
    }
}

/// Writes a file and compares it for batches of these sizes.
#[track_caller]
fn check(weights: &WeightFile, options: OnnxOptions, counts: &[usize]) {
    let (_folder, path) = folder();
    assert_eq!(write_onnx(&path, weights, &CORE_TASKS, &options).unwrap(), std::slice::from_ref(&path));
    for &count in counts {
        compare(&path, weights, &options, count);
    }
}

#[test]
fn v2_with_any_number_of_images() {
    let weights = classifier(small());
    check(&weights, OnnxOptions::of(&weights.metadata), &[1, 3]);
}

#[test]
fn v1_with_a_fixed_batch() {
    let weights =
        classifier(ModelConfig { response_norm: None, layer_scale: Some(LAYER_SCALE_INIT), ..small() });
    check(&weights, OnnxOptions { batch: OnnxBatch::Fixed(2), ..OnnxOptions::of(&weights.metadata) }, &[2]);
}

#[test]
fn grn_and_layer_scale_together_or_neither() {
    for (response_norm, layer_scale) in [(Some(ResponseNorm::Grn), Some(1.0)), (None, None)] {
        let weights = classifier(ModelConfig { response_norm, layer_scale, ..small() });
        check(&weights, OnnxOptions::of(&weights.metadata), &[1]);
    }
}

#[test]
fn other_stems_channels_and_sizes() {
    // 43 and 21 pixels leave some over at every stage.
    for (stem_stride, input_channels, size) in
        [(4, 1, [75, 75]), (2, 5, [43, 43]), (1, 3, [21, 21]), (1, 3, [16, 41]), (4, 3, [96, 32])]
    {
        let weights = classifier(ModelConfig { stem_stride, input_channels, ..small() });
        check(
            &weights,
            OnnxOptions { image_size: Some(size.into()), ..OnnxOptions::of(&weights.metadata) },
            &[1],
        );
    }
}

#[test]
fn feature_maps_of_classifiers_and_autoencoders() {
    for weights in [classifier(small()), classifier(ModelConfig { classes: 0, ..small() }), autoencoder()] {
        check(&weights, options(&weights, OnnxOutput::Features), &[2]);
    }
}

/// LayerNorm's epsilon and GRN's do nothing to values of the usual size.
#[test]
fn small_values_meet_the_epsilons() {
    let mut weights = classifier(small());
    for array in weights.arrays.values_mut() {
        let factor = match array.name.splitn(4, '.').nth(3) {
            Some("dwconv.weight" | "dwconv.bias") => 1e-3,
            Some("pwconv1.weight" | "pwconv1.bias" | "grn.beta") => 1e-5,
            Some("pwconv2.weight") => 1e5,
            _ => 1.0,
        };
        let values: Vec<f32> = array.to_f32().unwrap().into_iter().map(|value| factor * value).collect();
        *array = NamedArray::from_f32(array.name.clone(), array.shape.clone(), &values);
    }
    check(&weights, OnnxOptions::of(&weights.metadata), &[1]);
}

#[test]
fn weights_in_a_second_file() {
    let weights = classifier(small());
    let (folder, path) = folder();
    let options = OnnxOptions::of(&weights.metadata);
    let files = write_limited(&path, &weights, &CORE_TASKS, &options, 10_000).unwrap();
    assert_eq!(files, [path.clone(), folder.path().join("model.onnx.data")]);
    compare(&path, &weights, &options, 2);
}
