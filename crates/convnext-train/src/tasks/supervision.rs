//! Supervision by labels of images, and the task that trains with it.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use convnext_core::{Kind, Seed, TaskMetadata, WeightMetadata};
use convnext_data::{ImageBatch, ImageSource, LabelledData};
use convnext_nn::{ConvNext, DropPath};
use serde::Serialize;

use crate::error::TrainError;
use crate::evaluation::shared_loader::SharedLoader;
use crate::recipe::finetune_recipe::FinetuneRecipe;
use crate::tasks::shown_batch::save_batch;
use crate::training::losses::Loss;
use crate::training::monitored_metric::MonitoredMetric;
use crate::training::task::{Task, batch_images};
use crate::training::validation_result::ValidationResult;

/// Meaning of labels: which outputs a network has for them, and how its answers are judged. Everything else
/// of a supervised training is the same for all.
pub trait Supervision: Clone {
    /// Metadata of the task in a weight file.
    type Metadata: Kind + TaskMetadata;

    /// The metric that tells the best epoch, one of those of [`Supervision::evaluate`].
    const MONITORED: &'static str;

    /// Creates the supervision that the labels of these images ask for.
    ///
    /// # Errors
    /// [`TrainError`] when they mean nothing, or the recipe has a setting that makes no sense for them.
    fn new(data: &LabelledData, recipe: &FinetuneRecipe) -> Result<Self, TrainError>;

    /// Metadata of the task for a weight file; the names of its classes are those of the outputs.
    fn metadata(&self) -> Self::Metadata;

    /// The loss of a batch by its outputs `[N, classes]`, as one value `[1]`. Sums must not depend on threads: summed
    /// dimension by dimension they do not.
    fn loss(&self, logits: Tensor<2>, batch: &ImageBatch) -> Tensor<1>;

    /// Measures a network that does not track gradients on all images of a loader, which its ranks share. With
    /// `image_folder`, which one rank at most has, shows there what can be shown.
    ///
    /// # Errors
    /// [`TrainError`] when the images cannot be used, or images cannot be written.
    fn evaluate(
        &self,
        model: &ConvNext,
        images: &SharedLoader,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError>;
}

/// Frozen part of a model, which keeps the values that it starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freeze {
    /// None: everything learns.
    #[default]
    Nothing,
    /// All but the final norm and the head learn nothing: a linear probe.
    Encoder,
}

impl Freeze {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// The task of a supervised training.
pub(crate) struct Supervised<S> {
    pub(crate) supervision: S,
    pub(crate) freeze: Freeze,
    /// Drop path rate of each block.
    pub(crate) rates: Vec<f64>,
    pub(crate) seed: Seed,
    pub(crate) device: Device,
    /// One loader for all epochs, so that it tells of a file once; `None` without images.
    pub(crate) validation: Option<SharedLoader>,
    pub(crate) metadata: WeightMetadata,
}

impl<S: Supervision> Task for Supervised<S> {
    type Model = ConvNext;
    type Source = ImageSource;

    fn loss(&self, model: &ConvNext, mut batch: ImageBatch) -> Result<Loss, TrainError> {
        let drop_path = DropPath::draw(&self.rates, self.seed, batch.epoch, &batch.samples);
        let images = batch_images(&mut batch, &self.device);
        let logits = match self.freeze {
            Freeze::Nothing => model.forward(images, &drop_path)?,
            // Without a graph: what does not learn needs no backward, and drops nothing.
            Freeze::Encoder => {
                model.classify(Tensor::from_inner(model.valid().pooled(images, &DropPath::none())?))
            }
        };
        let loss = Loss::from(self.supervision.loss(logits, &batch));
        Ok(loss.with_statistics(model.backbone.take_statistics()))
    }

    fn show_batch(&self, batch: &ImageBatch, image_folder: &Path) -> Result<(), TrainError> {
        save_batch(batch, &self.metadata.preprocessing, image_folder)
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation.as_ref().map_or(0, SharedLoader::samples)
    }

    fn validate(
        &self,
        model: &ConvNext,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError> {
        let measure = |images| self.supervision.evaluate(model, images, image_folder);
        self.validation.as_ref().map_or_else(|| Ok(ValidationResult::default()), measure)
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        MonitoredMetric::Named(S::MONITORED)
    }
}
