//! Detectors of torchvision find what they find there (`convnext-io/tests/fixtures/make_detectors.py`).

#![allow(clippy::unwrap_used, reason = "test helpers fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use convnext_core::{Geometry, Preprocessing};
use convnext_data::Image;
use convnext_detect::{DetectOptions, Detection, SIDE_MULTIPLE, detect, load_detector};
use convnext_io::{NamedArray, read_weights};
use safetensors::{Dtype, tensor::TensorView};
use serde::Deserialize;

const WIDTH: usize = 500;
const HEIGHT: usize = 410;

/// Objects at most in the golden.
const AT_MOST: usize = 100;

/// Pixels by which edges may differ, which are of single precision there.
const EDGE_TOLERANCE: f64 = 2e-3;

/// Of single precision on both sides.
const SCORE_TOLERANCE: f64 = 5e-5;

/// Pixels of a mask whose probability may round to the other side of a half.
const ROUNDED_PIXELS: usize = 1;

/// What torchvision finds, best first.
#[derive(Deserialize)]
struct Found {
    boxes: Vec<[f64; 4]>,
    labels: Vec<usize>,
    scores: Vec<f64>,
    /// Pixels of the masks in large boxes in each row and in each column.
    #[serde(default)]
    rows: Vec<Vec<usize>>,
    #[serde(default)]
    columns: Vec<Vec<usize>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../convnext-io/tests/fixtures/detectors").join(name)
}

fn image() -> Image {
    let level = |y: usize, x: usize, channel: usize| (7 * y + 13 * x + 31 * channel + y * x / 17) % 256;
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x)));
    let bytes = pixels.flat_map(|(y, x)| (0..3).map(move |channel| level(y, x, channel) as u8));
    Image::new(WIDTH, HEIGHT, 3, bytes.collect()).unwrap()
}

fn detections(name: &str) -> Vec<Detection> {
    let device = Device::flex();
    let (model, metadata) = load_detector(&fixture(name), &device).unwrap();
    let geometry = Geometry::None { pad: SIDE_MULTIPLE };
    let preprocessing = Preprocessing { geometry, ..metadata.preprocessing };
    let options = DetectOptions { at_most: AT_MOST, ..DetectOptions::default() };
    detect((&model, &device), &image(), &preprocessing, &options).unwrap()
}

/// Pixels of a mask in each row and in each column.
fn profiles(detection: &Detection) -> [Vec<usize>; 2] {
    let inside = detection.mask.as_ref().unwrap().rows();
    let pixels = |at: &mut dyn Iterator<Item = usize>| at.filter(|&at| inside[at]).count();
    [
        (0..HEIGHT).map(|y| pixels(&mut (0..WIDTH).map(|x| y * WIDTH + x))).collect(),
        (0..WIDTH).map(|x| pixels(&mut (0..HEIGHT).map(|y| y * WIDTH + x))).collect(),
    ]
}

#[test]
fn boxes_scores_and_masks_are_those_of_torchvision() {
    let text = std::fs::read_to_string(fixture("found.json")).unwrap();
    let golden: BTreeMap<String, Found> = serde_json::from_str(&text).unwrap();
    assert_eq!(golden.len(), 2);
    for (name, expected) in golden {
        let found = detections(&format!("{name}.pth"));
        assert_eq!(found.len(), AT_MOST);
        for (at, found) in found.iter().enumerate() {
            let what = format!("{name} {at}: {:?} {}", found.bounds, found.score);
            assert_eq!(found.class + 1, expected.labels[at], "{what}");
            assert!((found.score - expected.scores[at]).abs() < SCORE_TOLERANCE, "{what}");
            for (edge, expected) in found.bounds.edges().into_iter().zip(expected.boxes[at]) {
                assert!((edge - expected).abs() < EDGE_TOLERANCE, "{what}: {edge} {expected}");
            }
            if expected.rows.get(at).is_some_and(|rows| !rows.is_empty()) {
                let expected = [&*expected.rows[at], &*expected.columns[at]];
                for (found, expected) in profiles(found).iter().zip(expected) {
                    let pixels: usize =
                        found.iter().zip(expected).map(|(one, other)| one.abs_diff(*other)).sum();
                    assert!(
                        pixels <= ROUNDED_PIXELS && found.len() == expected.len(),
                        "{what}: {pixels} pixels"
                    );
                }
            }
        }
    }
}

/// Nothing but the backbone of a Cascade R-CNN would be read.
#[test]
fn a_cascade_is_refused_by_name() {
    let names = ["backbone.", "roi_head.bbox_head.0.fc_cls.weight"];
    let arrays = read_weights(&fixture("mmdetection.pth")).unwrap().arrays;
    let of_backbone = arrays.iter().filter(|(name, _)| !name.contains("head") && !name.starts_with("neck"));
    let mut named: Vec<(String, &NamedArray)> =
        of_backbone.map(|(name, array)| (format!("{}{name}", names[0]), array)).collect();
    named.push((names[1].to_owned(), &arrays["roi_head.bbox_head.fc_cls.weight"]));
    let views = named
        .iter()
        .map(|(name, array)| (name, TensorView::new(Dtype::F32, array.shape.clone(), &array.bytes).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cascade.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    assert_eq!(read_weights(&path).unwrap().metadata.class_count(), 0);
    let message = load_detector(&path, &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("holds a Cascade R-CNN, but a Mask R-CNN"), "{message}");
}

/// The same weights in MMDetection's file follow its rules, by which they find something else.
#[test]
fn the_rules_matter() {
    let [torchvision, mmdetection] = ["mask_rcnn.pth", "mmdetection.pth"].map(detections);
    let edges = |found: &[Detection]| found.iter().map(|found| found.bounds.edges()).collect::<Vec<_>>();
    assert_ne!(edges(&torchvision), edges(&mmdetection));
}
