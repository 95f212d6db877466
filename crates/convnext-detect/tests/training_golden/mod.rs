//! Batches with their samples and losses of `tests/goldens/make_training.py`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers: each test binary uses its own part"
)]

#[path = "../common/mod.rs"]
pub mod common;

use std::collections::BTreeMap;

use burn::prelude::*;
use common::golden::{Sketch, uniform};
use common::{NetworkConfig, read_golden};
use convnext_core::{BoundingBox, ImageSize, PYRAMID_LEVELS, PYRAMID_STRIDES};
use convnext_data::{Instance, InstanceMask, RunLengths};
use convnext_detect::{
    AnchorGrid, AnchorTargets, BatchTargets, BoxCoder, DetectionBatch, MapLevel, MaskRcnn, RegionTarget,
    SampledRegion, TrainingObject, loss_of_targets, training_objects,
};
use convnext_nn::{DropPath, FeatureMaps, for_each_parameter, tensor_values};
use convnext_train::Loss;
use serde::Deserialize;

/// The cases: with masks and a crowd; without a mask head, one image without objects; without any object.
pub const CASES: [&str; 3] = ["masks", "v1-boxes", "nothing"];

/// A file `goldens/training-*.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingGolden {
    pub config: NetworkConfig,
    images: Vec<SampledImage>,
    /// Parts by name.
    losses: BTreeMap<String, f64>,
    /// Of the sum of all parts, by parameter.
    gradients: BTreeMap<String, Sketch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampledImage {
    height: usize,
    width: usize,
    objects: Vec<Object>,
    anchors: Anchors,
    /// Left, top, right, bottom, and the object if there is one.
    regions: Vec<(f64, f64, f64, f64, Option<usize>)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    class: usize,
    #[serde(rename = "box")]
    edges: [f64; 4],
    is_crowd: bool,
    counts: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchors {
    /// Anchor and object.
    positives: Vec<(usize, usize)>,
    negatives: Vec<usize>,
}

pub fn read(name: &str) -> TrainingGolden {
    read_golden(&format!("training-{name}"))
}

fn bounding_box([left, top, right, bottom]: [f64; 4]) -> BoundingBox {
    BoundingBox { left, top, right, bottom }
}

impl SampledImage {
    fn size(&self) -> ImageSize {
        ImageSize { height: self.height, width: self.width }
    }

    fn instances(&self, masks: bool) -> Vec<Instance> {
        let mask =
            |counts: &[u32]| InstanceMask::RunLengths(RunLengths::of_counts(counts, self.size()).unwrap());
        let instance = |object: &Object| Instance {
            class: object.class,
            bounds: bounding_box(object.edges),
            mask: masks.then(|| mask(&object.counts)),
            area: 1.0,
            is_crowd: object.is_crowd,
        };
        self.objects.iter().map(instance).collect()
    }

    fn anchor_targets(&self, grid: &AnchorGrid, objects: &[TrainingObject]) -> AnchorTargets {
        let positive = |&(at, instance): &(usize, usize)| {
            let object = objects.iter().find(|object| object.instance == instance).unwrap();
            (at, BoxCoder::ANCHORS.encode(&grid.boxes()[at], &object.bounds))
        };
        let positives = self.anchors.positives.iter().map(positive).collect();
        AnchorTargets { positives, negatives: self.anchors.negatives.clone() }
    }

    fn sampled_regions(&self, objects: &[TrainingObject]) -> Vec<SampledRegion> {
        let region = |&(left, top, right, bottom, instance): &(f64, f64, f64, f64, Option<usize>)| {
            let bounds = bounding_box([left, top, right, bottom]);
            let target = instance.map(|instance| {
                let object = *objects.iter().find(|object| object.instance == instance).unwrap();
                RegionTarget { object, deltas: BoxCoder::REGIONS.encode(&bounds, &object.bounds) }
            });
            SampledRegion { bounds, target }
        };
        self.regions.iter().map(region).collect()
    }
}

/// The anchors of a pyramid.
pub fn grid(pyramid: &[FeatureMaps; PYRAMID_LEVELS]) -> AnchorGrid {
    let levels = pyramid.iter().zip(PYRAMID_STRIDES);
    AnchorGrid::new(levels.map(|(maps, stride)| MapLevel::new(stride, maps.size())).collect())
}

impl TrainingGolden {
    /// The batch of the case of this name; images by rule, with zeros around the smaller ones.
    pub fn batch(&self, name: &str) -> DetectionBatch {
        let padded = |side: fn(&SampledImage) -> usize| {
            self.images.iter().map(|image| side(image).next_multiple_of(32)).max().unwrap()
        };
        let size = ImageSize { height: padded(|image| image.height), width: padded(|image| image.width) };
        let mut images = vec![0.0; self.images.len() * 3 * size.pixels()];
        for (at, image) in self.images.iter().enumerate() {
            let name = format!("training-{name}.image.{at}");
            for index in 0..3 * image.height * image.width {
                let (plane, place) = (index / image.size().pixels(), index % image.size().pixels());
                let row = (3 * at + plane) * size.height + place / image.width;
                images[row * size.width + place % image.width] = (1.5 * uniform(&name, index as u64)) as f32;
            }
        }
        let masks = self.losses.contains_key("mask");
        DetectionBatch {
            images,
            channels: 3,
            size,
            sizes: self.images.iter().map(SampledImage::size).collect(),
            instances: self.images.iter().map(|image| image.instances(masks)).collect(),
            samples: (0..self.images.len()).collect(),
            epoch: 0,
        }
    }

    /// The anchors and regions that are learned.
    pub fn targets(&self, batch: &DetectionBatch, grid: &AnchorGrid) -> BatchTargets {
        let mut targets = BatchTargets::default();
        for (at, image) in self.images.iter().enumerate() {
            let objects = training_objects(&batch.instances[at]);
            targets.anchors.push(image.anchor_targets(grid, &objects));
            targets.regions.extend(image.sampled_regions(&objects).into_iter().map(|region| (at, region)));
        }
        targets
    }

    /// The loss of the samples of a batch.
    pub fn loss(&self, model: &MaskRcnn, batch: &DetectionBatch, device: &Device) -> Loss {
        let pyramid = pyramid(model, batch, device);
        let targets = self.targets(batch, &grid(&pyramid));
        loss_of_targets(model, &pyramid, batch, &targets)
    }

    /// Asserts that the parts of a loss and its gradients are PyTorch's, to this relative error.
    pub fn check(&self, name: &str, model: &MaskRcnn, loss: &Loss, tolerance: f64) {
        let parts: Vec<&str> = loss.parts.iter().map(|(part, _)| *part).collect();
        assert_eq!(parts.len(), self.losses.len(), "{name}: {parts:?}");
        for (part, value) in &loss.parts {
            let (found, expected) = (number(value), self.losses[*part]);
            let error = (found - expected).abs();
            assert!(error <= tolerance * expected, "{name}: {part}: {found}, PyTorch {expected}");
        }
        let total: f64 = self.losses.values().sum();
        assert!((number(&loss.total) - total).abs() <= tolerance * total, "{name}");
        let gradients = gradients(model, loss);
        assert_eq!(gradients.keys().collect::<Vec<_>>(), self.gradients.keys().collect::<Vec<_>>());
        for (parameter, sketch) in &self.gradients {
            let error = sketch.relative_error(&gradients[parameter]);
            assert!(error <= tolerance, "{name}: {parameter}: {error:.1e}");
        }
    }
}

/// The pyramid of the images of a batch.
pub fn pyramid(model: &MaskRcnn, batch: &DetectionBatch, device: &Device) -> [FeatureMaps; PYRAMID_LEVELS] {
    let shape = [batch.samples.len(), batch.channels, batch.size.height, batch.size.width];
    let images = Tensor::from_data(TensorData::new(batch.images.clone(), shape), device);
    model.pyramid(images, &DropPath::none()).unwrap()
}

/// The value of a tensor of one.
pub fn number(of: &Tensor<1>) -> f64 {
    f64::from(tensor_values(of.clone())[0])
}

/// Every gradient by its name; a parameter without one fails the test.
pub fn gradients(model: &MaskRcnn, loss: &Loss) -> BTreeMap<String, Vec<f32>> {
    let gradients = loss.total.backward();
    let mut found = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        let gradient = parameter.gradient(&gradients);
        let gradient = gradient.unwrap_or_else(|| panic!("{} has no gradient", parameter.name()));
        found.insert(parameter.name(), tensor_values(gradient));
    });
    found
}
