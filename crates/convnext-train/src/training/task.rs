//! Interface of a task to the training loop.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use convnext_core::WeightMetadata;
use convnext_data::{Batch, ImageBatch, Source};

use crate::error::TrainError;
use crate::training::losses::Loss;
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::validation_result::ValidationResult;

/// A training task: the loss of a batch, and the metrics to measure between epochs.
pub trait Task {
    /// The model to train.
    type Model: Module;
    /// The data source.
    type Source: Source;

    /// The loss of one batch.
    ///
    /// # Errors
    /// [`TrainError`] when the batch does not fit the model.
    fn loss(&self, model: &Self::Model, batch: BatchOf<Self>) -> Result<Loss, TrainError>;

    /// `true` if ranks meet within the loss and its gradient, as synchronised batch norms do: none may then begin with a
    /// micro-batch that another one cannot read, or whose loss is not finite.
    fn is_synchronised(&self) -> bool {
        false
    }

    /// Called once before each step, which has a number from 0 and is one of so many: what follows the model without
    /// a gradient, such as a momentum network, is brought up to date here.
    fn before_step(&self, model: Self::Model, _step: usize, _total_steps: usize) -> Self::Model {
        model
    }

    /// Shows in a folder what can be shown of a batch as the model sees it; called with the first batch of a run. The
    /// batch is learned from after that.
    ///
    /// # Errors
    /// [`TrainError`] when images cannot be written.
    fn show_batch(&self, _batch: &BatchOf<Self>, _image_folder: &Path) -> Result<(), TrainError> {
        Ok(())
    }

    /// Metadata of the model's weight file.
    fn metadata(&self) -> &WeightMetadata;

    /// Images that one validation looks at: unless the recipe says how often, it is put off until as many images were
    /// trained on, so that validation never takes longer than training.
    fn validation_images(&self) -> usize;

    /// Measures the model after an epoch or within it; `model` does not track gradients. With `image_folder`, shows
    /// there what can be shown. Without anything to validate, that is [`ValidationResult::default`].
    ///
    /// # Errors
    /// [`TrainError`] when the validation images cannot be used, or images cannot be written.
    fn validate(
        &self,
        model: &Self::Model,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError>;

    /// Metric that selects the best epoch. A metric must be among those that [`Task::validate`] returns, or
    /// the first validation that measures anything ends the run with [`TrainError::UnknownMetric`].
    fn monitored_metric(&self) -> MonitoredMetric;
}

/// The batches of a task.
pub type BatchOf<T> = <<T as Task>::Source as Source>::Batch;

/// Moves the pixels of a batch to a device, `[N, channels, height, width]`; the batch keeps the rest.
pub fn batch_images(batch: &mut ImageBatch, device: &Device) -> Tensor<4> {
    let shape = [batch.len(), batch.channels, batch.height, batch.width];
    Tensor::from_data(TensorData::new(std::mem::take(&mut batch.images), shape), device)
}
