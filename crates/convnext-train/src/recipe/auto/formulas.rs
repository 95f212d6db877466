//! Sizes, lengths and rates as functions of a model and its images, fitted to searches:
//! `docs/results/2026-11-25-auto.md`.

use convnext_core::{Cost, ModelConfig};

use crate::error::TrainError;
use crate::recipe::init_from::InitFrom;
use crate::recipe::recipe_context::RecipeContext;

/// Number of images of the reference for fine-tuning: `micro` with 500 images was searched by hand.
const KNOWN_IMAGES: f64 = 500.0;

/// Parameters of `micro`, for which rates were searched.
pub(super) const KNOWN_PARAMETERS: f64 = 0.4e6;

/// Parameters of the backbone; those of a head say nothing about its rate.
pub(in crate::recipe) fn parameters(model: &ModelConfig) -> Result<f64, TrainError> {
    let backbone = ModelConfig { classes: 0, ..model.clone() };
    let side = model.patch_size();
    Ok(Cost::of(&backbone, side, side)?.parameters as f64)
}

pub(super) fn batch(images: usize) -> usize {
    match images {
        0..320 => 16,
        320..2_000 => 32,
        _ => 64,
    }
}

/// A hundred at 500 images, half of that at ten times as many, twice as many at a fifth.
pub(super) fn epochs(images: f64) -> f64 {
    let power = if images < KNOWN_IMAGES { 0.43 } else { 0.3 };
    bounded(100.0 * (KNOWN_IMAGES / images).powf(power))
}

pub(super) fn bounded(epochs: f64) -> f64 {
    epochs.clamp(10.0, 200.0).round()
}

pub(super) fn warm_up_share(init_from: InitFrom) -> f64 {
    if init_from == InitFrom::Scratch { 0.2 } else { 0.1 }
}

/// Images of a step from which on the rate grows no more: it is then twice that of 64, the highest that was searched.
const MOST_IMAGES: usize = 256;

/// The highest rate. Larger models want smaller ones, larger batches larger ones.
pub(super) fn rate(parameters: f64, batch: usize, init_from: InitFrom) -> f64 {
    let larger = parameters / KNOWN_PARAMETERS;
    let of_model = match init_from {
        InitFrom::Scratch => 7e-4 * larger.powf(-0.2),
        InitFrom::Pretrained => 4e-3 * larger.powf(-0.35),
        // Its features tell classes apart already.
        InitFrom::Classifier { .. } => 2e-3 * larger.powf(-0.35),
    };
    of_model * (batch.min(MOST_IMAGES) as f64 / 64.0).sqrt()
}

/// Factor on the learning rate from weights for few classes: at the rate of ten classes two that are hard to
/// tell apart were not learned at all, at a fifth of it they were.
pub(super) fn few_classes(context: &RecipeContext<'_>) -> f64 {
    match (context.init_from, sizes(context.class_sizes).count()) {
        (InitFrom::Scratch, _) | (_, 0) => 1.0,
        (_, classes) => (classes as f64 / 10.0).clamp(0.2, 1.0),
    }
}

/// The highest rate of a head that learns alone: AdamW on one linear layer.
pub(super) const HEAD_RATE: f64 = 1e-2;

/// One digit after the point is enough for epochs.
pub(super) fn tenths(epochs: f64) -> f64 {
    (10.0 * epochs).round() / 10.0
}

/// Two digits are enough for a rate.
pub(super) fn round(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

/// The rate of a layer over that of the next, for models with many layers that start from weights.
pub(in crate::recipe) fn layer_decay(context: &RecipeContext<'_>) -> Option<f64> {
    let layers: usize = context.model.depths.iter().sum();
    let deep = layers >= 12 && context.init_from != InitFrom::Scratch && !context.head_only;
    deep.then(|| (0.28_f64.powf(1.0 / layers as f64) * 1000.0).round() / 1000.0)
}

pub(super) fn drop_path(parameters: f64) -> f64 {
    match parameters {
        ..5e6 => 0.0,
        ..50e6 => 0.1,
        ..300e6 => 0.2,
        _ => 0.3,
    }
}

/// From so many times the images of the smallest class on, classes are weighted.
pub(super) const UNBALANCED: f64 = 2.0;

/// Images of the classes that have any: one without says nothing about the others.
fn sizes(class_sizes: &[usize]) -> impl Iterator<Item = f64> + Clone {
    class_sizes.iter().filter(|&&size| size > 0).map(|&size| size as f64)
}

/// Images of the largest class over those of the smallest that has any; 1 without classes.
pub(super) fn imbalance(class_sizes: &[usize]) -> f64 {
    let ordered = |a: &f64, b: &f64| a.total_cmp(b);
    let (smallest, largest) = (sizes(class_sizes).min_by(ordered), sizes(class_sizes).max_by(ordered));
    smallest.zip(largest).map_or(1.0, |(smallest, largest)| largest / smallest)
}

/// Kish's effective sample size over the number of images: how many images of equal weight tell as much as
/// these with balanced class weights, as a share. The rest repeats what the few images of a small class say,
/// which are overfitted when they are seen as often as the others.
pub(super) fn counted_share(class_sizes: &[usize]) -> f64 {
    let sizes = sizes(class_sizes);
    let classes = sizes.clone().count() as f64;
    let counted = classes * classes / sizes.clone().map(|size| 1.0 / size).sum::<f64>();
    counted / sizes.sum::<f64>()
}
