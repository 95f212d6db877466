//! What files of detectors hold, and what is refused; [`parts`] runs them.

mod parts;

use std::fs;

use burn::tensor::Device;
use convnext_core::{ClassNames, MaskRcnnConfig, Preprocessing, TaskMetadata, WeightMetadata, find_model};
use convnext_io::{NamedArray, read_weights, write_weights};

use super::*;
use crate::mask_rcnn::MaskRcnn;
use crate::regions::suppression::Suppression;
use crate::tiles::Tiles;
use crate::weights::load_detector;

const CLASSES: usize = 3;

/// Not a multiple of 32 pixels.
const SIZE: ImageSize = ImageSize { height: 75, width: 67 };

/// A small detector whose every parameter matters, as a file's content and as a network.
struct Detector {
    weights: WeightFile,
    network: MaskRcnn,
}

/// Numbers in -1 to 1 that look drawn.
fn noise(seed: usize, count: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count + 8).map(|_| next()).skip(8).collect()
}

fn detector(masks: bool) -> Detector {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let model = ModelConfig { classes: CLASSES, ..find_model("micro").unwrap().config() };
    let head = MaskRcnnConfig { head_width: 8, box_width: 12, masks, ..MaskRcnnConfig::PAPER };
    let classes = ClassNames(["round", "square", "other"].map(String::from).to_vec());
    let task = DetectionTask { classes, head };
    let array = |(seed, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        let scale = match shape.len() {
            1 => 0.2,
            _ => 2.0 / (count as f32 / shape[0] as f32).sqrt(),
        };
        let base = if shape.len() == 1 && name.ends_with("weight") { 1.0 } else { 0.0 };
        let values: Vec<f32> = noise(seed, count).into_iter().map(|value| base + scale * value).collect();
        NamedArray::from_f32(name, shape, &values)
    };
    let arrays: Vec<NamedArray> = task.tensors(&model).into_iter().enumerate().map(array).collect();
    let mut preprocessing = Preprocessing::for_size(64, 3);
    preprocessing.geometry = Geometry::None { pad: 32 };
    write_weights(&path, &arrays, &WeightMetadata::new(&model, &task, preprocessing)).unwrap();
    let (network, _) = load_detector(&path, &Device::flex()).unwrap();
    Detector { weights: read_weights(&path).unwrap(), network }
}

fn options() -> OnnxOptions {
    OnnxOptions { image_size: Some(SIZE), ..OnnxOptions::of(&detector(false).weights.metadata) }
}

#[test]
fn a_file_holds_the_whole_detector() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for masks in [true, false] {
        let write = || {
            let detect = DetectOptions { score: 0.25, at_most: 7, ..DetectOptions::default() };
            let files = write_detection_onnx(&path, detector(masks).weights, &options(), &detect).unwrap();
            assert_eq!(files, std::slice::from_ref(&path));
            fs::read(&path).unwrap()
        };
        let bytes = write();
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        for text in [
            "RoiAlign",
            "half_pixel",
            "NonMaxSuppression",
            r#"["round","square","other"]"#,
            "resize to 75x67, whatever the proportions",
            "score_threshold\u{12}\u{4}0.25",
            "max_detections\u{12}\u{1}7",
            "padded_images",
        ] {
            assert!(has(text), "{text}");
        }
        assert_eq!([has("mask_head"), has("Faster R-CNN")], [masks, !masks]);
        assert!(bytes == write());
    }
}

#[test]
fn what_no_file_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let refused = |weights: WeightFile, options: OnnxOptions, detect: DetectOptions| {
        let message = write_detection_onnx(&path, weights, &options, &detect).unwrap_err().to_string();
        assert!(!path.exists());
        message
    };
    let (weights, usual) = (detector(true).weights, DetectOptions::default());
    let soft = DetectOptions { suppression: Suppression::SoftLinear, ..usual };
    let message = refused(weights.clone(), options(), soft);
    assert!(message.contains("suppression is soft-linear") && message.contains("--nms hard"), "{message}");
    let tiled = DetectOptions { tiles: Some(Tiles { side: 64, overlap: 0.2 }), ..usual };
    assert!(refused(weights.clone(), options(), tiled).contains("tile is 64"));
    assert!(
        refused(weights.clone(), options(), DetectOptions { at_most: 0, ..usual }).contains("at least 1")
    );
    let two = OnnxOptions { batch: OnnxBatch::Fixed(2), ..options() };
    assert!(refused(weights.clone(), two, usual).contains("one image at a time"));
    let unsized_images = OnnxOptions { image_size: None, ..options() };
    assert!(refused(weights.clone(), unsized_images, usual).contains("--image-size"));
    let mut of_torchvision = weights.clone();
    let mut task: DetectionTask = of_torchvision.metadata.task_as().unwrap();
    task.head.rules = DetectorRules::Torchvision;
    of_torchvision.metadata = WeightMetadata::new(
        &of_torchvision.metadata.convnext().unwrap(),
        &task,
        Preprocessing::for_size(64, 3),
    );
    assert!(refused(of_torchvision, options(), usual).contains("by torchvision's rules"));
    let mut damaged = weights.clone();
    damaged.arrays.remove("neck.fpn_convs.3.conv.bias");
    assert!(refused(damaged, options(), usual).contains("missing: neck.fpn_convs.3.conv.bias [8]"));
    let mut other = weights;
    let model = other.metadata.convnext().unwrap();
    other.metadata =
        WeightMetadata::of_classifier(&model, ClassNames::default(), Preprocessing::for_size(64, 3));
    assert!(refused(other, options(), usual).contains("'classification', but 'detection'"));
}
