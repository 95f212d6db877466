//! Every measure against its definition in numpy (`goldens/make_measures.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers fail the test")]

use convnext_analysis::{
    CentredKernel, ChannelActivity, ClassMeans, effective_rank, feature_cosine_distance,
};
use serde_json::Value;

/// Largest difference, of measures that are of the order of 1.
const TOLERANCE: f64 = 1e-6;

/// A layer's activations, `[images, positions, channels]`, and what numpy finds in them.
struct Layer {
    channels: usize,
    images: Vec<Vec<f32>>,
    expected: Value,
}

fn golden() -> (Vec<usize>, Vec<Layer>, f64) {
    let golden: Value = serde_json::from_str(include_str!("goldens/measures.json")).unwrap();
    let labels: Vec<usize> = numbers(&golden["labels"]).into_iter().map(|label| label as usize).collect();
    let layer = |layer: &Value| {
        let channels = layer["channels"].as_u64().unwrap() as usize;
        let values: Vec<f32> = numbers(&layer["values"]).into_iter().map(|value| value as f32).collect();
        let images = values.chunks_exact(values.len() / labels.len()).map(<[f32]>::to_vec).collect();
        Layer { channels, images, expected: layer.clone() }
    };
    let layers = golden["layers"].as_array().unwrap().iter().map(layer).collect();
    (labels, layers, golden["alignment"].as_f64().unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < TOLERANCE, "{found}, expected {expected}");
    }
}

/// Means over the positions of each image.
fn pooled(layer: &Layer) -> Vec<f32> {
    let of_image = |rows: &Vec<f32>| {
        let positions = rows.len() / layer.channels;
        let mean = |channel: usize| {
            let values = rows.iter().skip(channel).step_by(layer.channels).map(|&value| f64::from(value));
            (values.sum::<f64>() / positions as f64) as f32
        };
        (0..layer.channels).map(mean).collect::<Vec<f32>>()
    };
    layer.images.iter().flat_map(of_image).collect()
}

#[test]
fn cosine_distances_are_numpys() {
    for layer in golden().1 {
        let distance = |rows: &Vec<f32>| feature_cosine_distance(rows, layer.channels).unwrap();
        let found: Vec<f64> = layer.images.iter().map(distance).collect();
        assert_close(&found, &numbers(&layer.expected["cosine_distances"]));
    }
}

#[test]
fn dead_and_saturated_channels_are_numpys() {
    for layer in golden().1 {
        let mut activity = ChannelActivity::new(layer.channels);
        layer.images.iter().for_each(|rows| activity.add(rows));
        let found = serde_json::to_value(activity.counts()).unwrap();
        assert_eq!(found, layer.expected["counts"]);
        assert_eq!((found["dead"].as_u64(), found["saturated"].as_u64()), (Some(1), Some(1)));
    }
}

#[test]
fn selectivity_is_numpys() {
    let (labels, layers, _) = golden();
    for layer in layers {
        let mut means = ClassMeans::new(layer.channels, 3);
        layer.images.iter().zip(&labels).for_each(|(rows, &label)| means.add(rows, label));
        assert_close(&means.selectivity(), &numbers(&layer.expected["selectivity"]));
    }
}

#[test]
fn alignment_and_effective_rank_are_numpys() {
    let (_, layers, alignment) = golden();
    let kernels: Vec<CentredKernel> =
        layers.iter().map(|layer| CentredKernel::of(&pooled(layer), layer.channels)).collect();
    assert_close(&[kernels[0].alignment(&kernels[1]).unwrap()], &[alignment]);
    for layer in layers {
        let found = effective_rank(&pooled(&layer), layer.channels);
        assert_close(&[found], &[layer.expected["effective_rank"].as_f64().unwrap()]);
    }
}
