//! The use of Mask R-CNN against PyTorch in f64: proposals of a batch, and the objects in an image.
//! `goldens/make_training.py` made the numbers.
//!
//! A test binary of its own, because the precision of a device is chosen once for a process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod training_golden;

use burn::prelude::*;
use burn::tensor::{FloatDType, IntDType};
use convnext_core::{BoundingBox, Geometry, ImageSize, Preprocessing};
use convnext_data::{Image, RunLengths};
use convnext_detect::{
    DetectOptions, Detection, ProposalRule, RpnOutput, Suppression, batch_proposals, detect,
};
use serde::Deserialize;
use training_golden::common::golden::uniform;
use training_golden::common::{NetworkConfig, read_golden};
use training_golden::{grid, pyramid, read};

/// Edges of boxes in pixels: outputs of the network are read in f32, and the golden has four digits.
const TOLERANCE: f64 = 1e-3;

/// Scores.
const SCORE_TOLERANCE: f64 = 1e-5;

/// The file `goldens/detection.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectionGolden {
    config: NetworkConfig,
    /// The training case whose batch has these proposals.
    batch: String,
    /// Of each image.
    proposals: Vec<Vec<[f64; 4]>>,
    height: usize,
    width: usize,
    results: Vec<Results>,
}

/// The objects that are found in the image by some options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Results {
    proposals: usize,
    suppression: Suppression,
    score: f64,
    at_most: usize,
    boxes: Vec<[f64; 4]>,
    scores: Vec<f64>,
    classes: Vec<usize>,
    counts: Vec<Vec<u32>>,
}

/// In f64 from here on.
fn choose_f64() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| Device::flex().configure((FloatDType::F64, IntDType::I32)).unwrap());
}

fn check_box(what: &str, found: &BoundingBox, expected: &[f64; 4]) {
    let near = |(found, expected): (&f64, &f64)| (found - expected).abs() <= TOLERANCE;
    assert!(found.edges().iter().zip(expected).all(near), "{what}: {found:?}, PyTorch {expected:?}");
}

#[test]
fn proposals_are_those_of_pytorch() {
    choose_f64();
    let golden: DetectionGolden = read_golden("detection");
    let device = Device::flex();
    let model = golden.config.network(&device);
    let batch = read(&golden.batch).batch(&golden.batch);
    let pyramid = pyramid(&model, &batch, &device);
    let outputs: Vec<RpnOutput> = pyramid.iter().map(|maps| model.rpn_head.forward(maps)).collect();
    let found =
        batch_proposals(&outputs, grid(&pyramid).levels(), &batch.sizes, ProposalRule::TRAINING).unwrap();
    assert_eq!(found.len(), golden.proposals.len());
    for (image, (found, expected)) in found.iter().zip(&golden.proposals).enumerate() {
        assert_eq!(found.len(), expected.len(), "image {image}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            check_box(&format!("image {image}, proposal {at}"), found, expected);
        }
    }
}

impl Results {
    fn check(&self, found: &[Detection], size: ImageSize) {
        let what = format!("{}, {} regions", self.suppression, self.proposals);
        assert_eq!(found.len(), self.boxes.len(), "{what}");
        for (at, found) in found.iter().enumerate() {
            let what = format!("{what}, object {at}");
            assert_eq!(found.class, self.classes[at], "{what}");
            assert!((found.score - self.scores[at]).abs() <= SCORE_TOLERANCE, "{what}: {}", found.score);
            check_box(&what, &found.bounds, &self.boxes[at]);
            let expected = RunLengths::of_counts(&self.counts[at], size).unwrap();
            let mask = found.mask.as_ref().unwrap();
            let overlap = mask.intersection_over_union(&expected);
            assert!(*mask == expected || overlap > 0.99, "{what}: {overlap}");
        }
    }
}

#[test]
fn objects_are_those_of_pytorch() {
    choose_f64();
    let golden: DetectionGolden = read_golden("detection");
    let device = Device::flex();
    let model = golden.config.network(&device);
    let size = ImageSize { height: golden.height, width: golden.width };
    let level = |index| ((uniform("detection.image", index) + 1.0) * 128.0) as u8;
    let bytes = (0..3 * size.pixels() as u64).map(level).collect();
    let image = Image::new(size.width, size.height, 3, bytes).unwrap();
    let preprocessing =
        Preprocessing { geometry: Geometry::None { pad: 32 }, ..Preprocessing::for_size(64, 3) };
    for results in &golden.results {
        let &Results { proposals, suppression, score, at_most, .. } = results;
        let options = DetectOptions { proposals, score, suppression, at_most, tiles: None };
        let found = detect((&model, &device), &image, &preprocessing, &options).unwrap();
        results.check(&found, size);
    }
}
