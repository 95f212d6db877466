//! The steps of UperNet that the bench times: inference, and training by both heads' cross-entropy.

use std::iter::once;

use burn::tensor::Device;
use convnext::core::{ImageSize, ModelConfig, Seed, UperNetConfig};
use convnext::nn::{DropPath, ModelError, resize_bilinear};
use convnext::segment::{
    BatchLabels, HeadDropout, LossRecipe, MeanOver, SegmentationLoss, TrainingLogits, UperNet,
};
use convnext::train::ClassWeights;

use super::subject::{FORWARD_AND_BACKWARD, LEARNING_RATE, Parts, Subject};

/// Classes of ADE20K.
const CLASSES: usize = 150;

/// Forward by running statistics, with the logits at the size of the images.
pub(super) fn segmentation_inference(parts: Parts) -> anyhow::Result<Subject> {
    let (model, size) = (network(&parts, parts.device)?, parts.arguments.image_size);
    let macs = model.head().cost(model.config(), size)?.macs as f64;
    let images = parts.images;
    let step = move || {
        resize_bilinear(model.forward(images.clone())?, size.height, size.width);
        Ok(())
    };
    Ok(Subject { step: Box::new(step), macs: Some(macs) })
}

/// Forward, backward and the optimiser. As in other modes nothing is dropped.
pub(super) fn segmentation_training(parts: Parts) -> anyhow::Result<Subject> {
    let model = network(&parts, &parts.device.clone().autodiff())?;
    let (head, size) = (*model.head(), parts.arguments.image_size);
    let macs = head.cost(model.config(), size)?.macs + head.auxiliary_macs(model.config(), size)?;
    let mut learner = parts.learner(model)?;
    let Parts { batch, images, .. } = parts;
    let recipe_of_loss = LossRecipe {
        mean_over: MeanOver::Labelled,
        auxiliary: 0.4,
        class_weights: ClassWeights::Equal,
        dice: 0.0,
    };
    let loss = SegmentationLoss::new(recipe_of_loss, &[1; CLASSES]);
    let labels = labels(batch.samples.len(), size);
    let step = move || {
        learner.step(LEARNING_RATE, once(Ok(batch.clone())), |model, _| {
            let logits: TrainingLogits =
                model.forward_training(images.clone(), &DropPath::none(), &HeadDropout::none())?;
            Ok(loss.of(logits, &labels))
        })?;
        Ok(())
    };
    Ok(Subject { step: Box::new(step), macs: Some(FORWARD_AND_BACKWARD * macs as f64) })
}

/// UperNet with ADE20K's classes.
fn network(parts: &Parts, device: &Device) -> Result<UperNet, ModelError> {
    let backbone = ModelConfig { classes: CLASSES, ..parts.backbone.clone() };
    let default = UperNetConfig::of_backbone(&backbone);
    let head_width = parts.arguments.head_width.unwrap_or(default.head_width);
    let model = UperNet::new(&backbone, &UperNetConfig { head_width, ..default }, Seed(0), device)?;
    let activations = parts.arguments.activations.into();
    Ok(model.with_activations(activations).with_precision(parts.precision))
}

/// Labels of every class in turn.
fn labels(images: usize, size: ImageSize) -> BatchLabels {
    let labels = (0..images * size.pixels()).map(|pixel| (pixel % CLASSES) as u16).collect();
    BatchLabels { labels, height: size.height, width: size.width }
}
