//! Anchors, assignment, suppression, proposals, detections and masks against mmdet's formulas in numpy, torch
//! and torchvision. `goldens/logic.py` made the numbers.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "logic/masks.rs"]
mod masks;
#[path = "logic/outputs.rs"]
mod outputs;
#[path = "logic/targets.rs"]
mod targets;

use convnext_core::{BoundingBox, ImageSize};
use convnext_detect::MapLevel;

/// Largest difference of a coordinate: exponentials of two libraries may differ in their last bit.
const TOLERANCE: f64 = 1e-9;

fn boxes(of: &[[f64; 4]]) -> Vec<BoundingBox> {
    of.iter().map(|&[left, top, right, bottom]| BoundingBox { left, top, right, bottom }).collect()
}

fn size([height, width]: [usize; 2]) -> ImageSize {
    ImageSize { height, width }
}

fn levels(of: &[[usize; 3]]) -> Vec<MapLevel> {
    of.iter().map(|&[stride, height, width]| MapLevel::new(stride, [height, width])).collect()
}

fn assert_near(found: &[f64], expected: &[f64], of: &str) {
    assert_eq!(found.len(), expected.len(), "{of}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            "{of} at {at}: {found} {expected}"
        );
    }
}

/// The coordinates of boxes one after the other.
fn coordinates<'a>(of: impl IntoIterator<Item = &'a BoundingBox>) -> Vec<f64> {
    of.into_iter().flat_map(BoundingBox::edges).collect()
}

/// The sums of each coordinate.
fn sums<'a>(of: impl IntoIterator<Item = &'a BoundingBox>) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for bounds in of {
        sums.iter_mut().zip(bounds.edges()).for_each(|(sum, edge)| *sum += edge);
    }
    sums
}
