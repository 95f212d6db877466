//! Exported files in a runtime, against transformers; what is refused.

use std::fs;
use std::path::PathBuf;

use convnext_core::{ClassNames, Geometry, Preprocessing, WeightMetadata};
use convnext_io::read_weights;
use convnext_onnx::OnnxBatch;
use rten::{Model, Value};
use rten_tensor::prelude::*;
use safetensors::SafeTensors;

use super::*;

/// Largest difference of logits, as a share of their range.
const TOLERANCE: f32 = 1e-4;

/// Of `logits.safetensors`, every so many values are there.
const STEP: usize = 7;

/// The folder that `make_upernet.py` made with transformers.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../convnext-io/tests/fixtures/upernet").join(name)
}

fn weights() -> WeightFile {
    read_weights(&fixture("")).unwrap()
}

fn options(size: [usize; 2]) -> OnnxOptions {
    OnnxOptions { image_size: Some(size.into()), ..OnnxOptions::of(&weights().metadata) }
}

/// The image of the script, `[3, height, width]`, normalised.
fn image([height, width]: [usize; 2]) -> Vec<f32> {
    let Preprocessing { mean, std, .. } = Preprocessing::for_size(512, 3);
    let level = |channel: usize, y: usize, x: usize| (7 * y + 13 * x + 31 * channel + y * x / 17) % 256;
    let places = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| [c, y, x])));
    places.map(|[c, y, x]| (level(c, y, x) as f32 / 255.0 - mean[c]) / std[c]).collect()
}

/// The logits of transformers for these sizes, every [`STEP`]th.
fn expected(size: [usize; 2]) -> Vec<f32> {
    let bytes = fs::read(fixture("logits.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = file.tensor(&format!("{}x{}", size[0], size[1])).unwrap().data().to_vec();
    values.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// The logits of a file for a batch of the same image over and over.
fn run(path: &Path, size: [usize; 2], count: usize) -> (Vec<usize>, Vec<f32>) {
    let model = Model::load_file(path).unwrap();
    let images = Value::from_shape(&[count, 3, size[0], size[1]], image(size).repeat(count)).unwrap();
    let output = model.run_one(images.into(), None).unwrap().into_tensor::<f32>().unwrap();
    (output.shape().to_vec(), output.to_vec())
}

#[test]
fn logits_are_those_of_transformers_at_odd_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for size in [[75, 67], [33, 70], [45, 61], [97, 38]] {
        let files = write_segmentation_onnx(&path, weights(), &options(size)).unwrap();
        assert_eq!(files, std::slice::from_ref(&path));
        let expected = expected(size);
        let range = expected.iter().copied().fold(f32::MIN, f32::max)
            - expected.iter().copied().fold(f32::MAX, f32::min);
        for count in [1, 2] {
            let (shape, found) = run(&path, size, count);
            assert_eq!(shape, [count, 3, size[0], size[1]]);
            for logits in found.chunks(3 * size[0] * size[1]) {
                let sampled: Vec<f32> = logits.iter().step_by(STEP).copied().collect();
                assert_eq!(sampled.len(), expected.len());
                let distances =
                    sampled.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
                let distance = distances.fold(0.0, f32::max);
                assert!(distance < TOLERANCE * range, "{size:?}: {distance:e} of {range}");
            }
        }
    }
}

#[test]
fn what_only_training_needs_is_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut original = weights();
    let task: SegmentationTask = original.metadata.task_as().unwrap();
    let coloured = SegmentationTask { palette: vec![[0, 0, 255], [1, 2, 3], [4, 5, 6]], ..task };
    original.metadata.task = convnext_core::Tagged::new(&coloured);
    write_segmentation_onnx(&path, original.clone(), &options([64, 96])).unwrap();
    let bytes = fs::read(&path).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for text in [
        r#"["sky","road","car"]"#,
        "[[0,0,255],[1,2,3],[4,5,6]]",
        "resize to 64x96, whatever the proportions (bilinear with antialiasing)",
        "decode_head.bottleneck.conv.bias",
    ] {
        assert!(has(text), "{text}");
    }
    for text in ["auxiliary_head", ".bn.", "num_batches"] {
        assert!(!has(text), "{text}");
    }
    write_segmentation_onnx(&folder.path().join("again.onnx"), original, &options([64, 96])).unwrap();
    assert_eq!(fs::read(folder.path().join("again.onnx")).unwrap(), bytes);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let refused = |change: &dyn Fn(&mut WeightFile), options: OnnxOptions| {
        let mut changed = weights();
        change(&mut changed);
        let message = write_segmentation_onnx(&path, changed, &options).unwrap_err().to_string();
        assert!(!path.exists());
        message
    };
    let whole = OnnxOptions { image_size: None, ..options([64, 64]) };
    let unsized_images: &dyn Fn(&mut WeightFile) =
        &|weights| weights.metadata.preprocessing.geometry = Geometry::None { pad: 1 };
    assert!(refused(unsized_images, whole).contains("--image-size"));
    let missing: &dyn Fn(&mut WeightFile) =
        &|weights| drop(weights.arrays.remove("decode_head.bottleneck.bn.running_var"));
    let message = refused(missing, whole);
    assert!(message.contains("missing: decode_head.bottleneck.bn.running_var [6]"), "{message}");
    let other: &dyn Fn(&mut WeightFile) = &|weights| {
        let model = weights.metadata.convnext().unwrap();
        let preprocessing = weights.metadata.preprocessing.clone();
        weights.metadata = WeightMetadata::of_classifier(&model, ClassNames::default(), preprocessing);
    };
    assert!(refused(other, whole).contains("'classification', but 'segmentation'"));
    assert!(refused(&|_| {}, options([16, 64])).contains("at least 32 pixels"));
    assert!(refused(&|_| {}, OnnxOptions { batch: OnnxBatch::Fixed(0), ..whole }).contains("batch is 0"));
}
