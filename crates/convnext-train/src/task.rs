//! What a task brings to the training loop.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use convnext_core::WeightMetadata;
use convnext_data::{Batch, ImageBatch, Source};
use serde_json::Value;

use crate::{EpochReport, Loss, TrainError};

/// What a training run learns: the loss of a batch, and what to measure between epochs.
pub trait Task {
    /// What is trained.
    type Model: Module;
    /// What it is learnt from.
    type Source: Source;

    /// The loss of one batch.
    ///
    /// # Errors
    /// [`TrainError`] when the batch does not fit the model.
    fn loss(&self, model: &Self::Model, batch: BatchOf<Self>) -> Result<Loss, TrainError>;

    /// Called once before each step: what follows the model without a gradient, such as a momentum network, is
    /// brought up to date here.
    fn before_step(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// What the model's weight file says about itself.
    fn metadata(&self) -> &WeightMetadata;

    /// Images that one validation looks at: it is put off until as many images were trained on, so
    /// that validation never takes longer than training.
    fn validation_images(&self) -> usize;

    /// Measures the model after an epoch; `model` does not track gradients. With `pictures`, shows in
    /// that folder what can be shown.
    ///
    /// # Errors
    /// [`TrainError`] when the validation images cannot be used, or pictures cannot be written.
    fn validate(&self, model: &Self::Model, pictures: Option<&Path>) -> Result<Measured, TrainError>;

    /// What tells the best epoch.
    fn goal(&self) -> Goal;
}

/// The batches of a task.
pub type BatchOf<T> = <<T as Task>::Source as Source>::Batch;

/// What a validation found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Numbers by name, for the metrics; empty when there is nothing to measure.
    pub values: BTreeMap<String, f64>,
    /// Everything, for the run folder; `null` when there is no more to say.
    pub details: Value,
}

/// The measure by which epochs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The least mean loss of an epoch's steps.
    TrainLoss,
    /// The greatest value of this name in [`Measured::values`].
    Greatest(&'static str),
}

impl Goal {
    /// The measure's name and its value after an epoch, for the average of the weights where that is better;
    /// `None` when it was not measured.
    pub(crate) fn measure(self, report: &EpochReport) -> Option<(String, f64)> {
        match self {
            Self::TrainLoss => Some(("train_loss".to_owned(), report.train_loss)),
            Self::Greatest(name) => {
                let names = [name.to_owned(), of_average(name)];
                let found = names.into_iter().filter_map(|name| {
                    let value = *report.validation.get(&name)?;
                    Some((name, value))
                });
                // Of equals the weights themselves.
                found.reduce(|best, next| if next.1 > best.1 { next } else { best })
            }
        }
    }

    pub(crate) fn is_better(self, new: f64, old: f64) -> bool {
        match self {
            Self::TrainLoss => new < old,
            Self::Greatest(_) => new > old,
        }
    }
}

/// The name of a measure when the average of the weights has it.
pub(crate) fn of_average(name: &str) -> String {
    format!("{AVERAGE_PREFIX}{name}")
}

pub(crate) const AVERAGE_PREFIX: &str = "ema_";

/// Moves the pixels of a batch to a device, `[N, channels, height, width]`; the batch keeps the rest.
pub fn batch_images(batch: &mut ImageBatch, device: &Device) -> Tensor<4> {
    let shape = [batch.len(), batch.channels, batch.height, batch.width];
    Tensor::from_data(TensorData::new(std::mem::take(&mut batch.images), shape), device)
}
