//! The steps of Mask R-CNN that the bench times: detection from an image to masks, and training by all losses.

use std::iter::once;

use burn::tensor::Device;
use convnext::core::{BoundingBox, Geometry, ImageSize, MaskRcnnConfig, ModelConfig, Preprocessing, Seed};
use convnext::data::{Image, Instance, InstanceMask};
use convnext::detect::{
    AssignmentRule, DetectOptions, DetectionBatch, MaskRcnn, ProposalRule, RegionChoice, RegionRecipe,
    SamplingRule, detect, detection_loss,
};
use convnext::nn::{DropPath, ModelError};

use super::subject::{LEARNING_RATE, Parts, Subject};

/// Objects of an image: five rows of five.
const OBJECTS: usize = 25;
const ROW: usize = 5;

/// All objects of one image after the other, with pasted masks. The multiply-adds depend on how many proposals and objects there
/// are.
pub(super) fn detection_inference(parts: Parts) -> anyhow::Result<Subject> {
    let (model, size) = (network(&parts, parts.device)?, parts.arguments.image_size);
    let (count, device) = (parts.arguments.batch_size, parts.device.clone());
    let levels = (0..3 * size.pixels()).map(|value| (value * value / 7 % 256) as u8).collect();
    let image = Image::new(size.width, size.height, 3, levels)?;
    let preprocessing =
        Preprocessing { geometry: Geometry::Warp { size }, ..Preprocessing::for_size(size, 3) };
    let step = move || {
        for _ in 0..count {
            detect((&model, &device), &image, &preprocessing, &DetectOptions::default())?;
        }
        Ok(())
    };
    Ok(Subject { step: Box::new(step), macs: None })
}

/// Forward, backward and the optimiser. As in other modes nothing is dropped. The multiply-adds depend on how many of the
/// proposals lie on objects: the mask head learns from those alone.
pub(super) fn detection_training(parts: Parts) -> anyhow::Result<Subject> {
    let model = network(&parts, &parts.device.clone().autodiff())?;
    let size = parts.arguments.image_size;
    let sampled = parts.arguments.regions.unwrap_or(SamplingRule::REGIONS.count);
    let recipe = RegionRecipe {
        sampled,
        proposals: ProposalRule::TRAINING.at_most,
        minimum_anchor_overlap: AssignmentRule::ANCHORS.low_quality,
    };
    let choice = RegionChoice { recipe, seed: Seed(0) };
    let mut learner = parts.learner(model)?;
    let Parts { batch, images, .. } = parts;
    let objects = objects(size, batch.samples.len());
    let step = move || {
        learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, _| {
            let pyramid = model.pyramid(images.clone(), &DropPath::none())?;
            detection_loss(model, &pyramid, &objects, choice)
        })?;
        Ok(())
    };
    Ok(Subject { step: Box::new(step), macs: None })
}

/// Mask R-CNN of one class.
fn network(parts: &Parts, device: &Device) -> Result<MaskRcnn, ModelError> {
    let backbone = ModelConfig { classes: 1, ..parts.backbone.clone() };
    let default = MaskRcnnConfig::of_backbone(&backbone);
    let head = MaskRcnnConfig {
        head_width: parts.arguments.head_width.unwrap_or(default.head_width),
        box_width: parts.arguments.box_width.unwrap_or(default.box_width),
        ..default
    };
    let model = MaskRcnn::new(&backbone, &head, Seed(0), device)?;
    let activations = parts.arguments.activations.into();
    Ok(model.with_activations(activations).with_precision(parts.precision))
}

/// A batch without images, whose objects are rectangles of about an eleventh of its sides.
fn objects(size: ImageSize, images: usize) -> DetectionBatch {
    let object = |index: usize| {
        let place = |along: usize, side: usize| (along as f64 + 0.1) * side as f64 / ROW as f64;
        let [left, top] = [place(index % ROW, size.width), place(index / ROW, size.height)];
        let [right, bottom] =
            [left + size.width as f64 / (10.0 + index as f64 / 10.0), top + size.height as f64 / 11.0];
        let ring = vec![left, top, right, top, right, bottom, left, bottom];
        Instance {
            class: 0,
            bounds: BoundingBox { left, top, right, bottom },
            mask: Some(InstanceMask::Rings(vec![ring])),
            area: (right - left) * (bottom - top),
            is_crowd: false,
        }
    };
    DetectionBatch {
        images: Vec::new(),
        channels: 3,
        size,
        sizes: vec![size; images],
        instances: vec![(0..OBJECTS).map(object).collect(); images],
        samples: (0..images).collect(),
        epoch: 0,
    }
}
