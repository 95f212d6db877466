//! The task of a segmentation training.

use std::path::Path;
use std::sync::Arc;

use burn::prelude::*;
use convnext_core::{ImageSize, Preprocessing, Seed, UperNetConfig, WeightMetadata};
use convnext_data::{Image, LabelMap};
use convnext_nn::DropPath;
use convnext_train::{
    Freeze, Loss, MonitoredMetric, SharedLoader, Task, TrainError, ValidationResult, denormalized,
};

use crate::batch::SegmentationBatch;
use crate::evaluate::evaluate_segmentation;
use crate::evaluation::SegmentationEvaluation;
use crate::evaluation_source::EvaluationSource;
use crate::head_dropout::HeadDropout;
use crate::inference::InferenceOptions;
use crate::loss::{BatchLabels, SegmentationLoss};
use crate::pictures::overlay;
use crate::source::SegmentationSource;
use crate::upernet::UperNet;

/// Images of a batch that are shown, and their longer side in pixels.
const SHOWN: usize = 12;
const SHOWN_SIDE: usize = 160;

/// A class for every pixel: cross-entropy of both heads, mean intersection over union on the validation images.
pub struct SegmentTask {
    pub(crate) loss: SegmentationLoss,
    pub(crate) head: UperNetConfig,
    pub(crate) freeze: Freeze,
    /// The batch norms of all ranks are synchronised.
    pub(crate) is_synchronised: bool,
    /// Drop path rate of each block.
    pub(crate) drop_path: Vec<f64>,
    /// Share of dropped channels in front of the classifiers.
    pub(crate) head_dropout: f64,
    pub(crate) seed: Seed,
    pub(crate) device: Device,
    /// One loader for all epochs, so that it tells of a file once; `None` without images.
    pub(crate) validation: Option<SharedLoader<EvaluationSource>>,
    pub(crate) inference: InferenceOptions,
    pub(crate) metadata: WeightMetadata,
    /// Colours of the classes.
    pub(crate) colours: Vec<[u8; 3]>,
}

impl Task for SegmentTask {
    type Model = UperNet;
    type Source = SegmentationSource;

    fn loss(&self, model: &UperNet, batch: SegmentationBatch) -> Result<Loss, TrainError> {
        let SegmentationBatch { images, channels, height, width, labels, samples, epoch } = batch;
        let drop_path = DropPath::draw(&self.drop_path, self.seed, epoch, &samples);
        let dropout = HeadDropout::draw(self.head_dropout, &self.head, self.seed, epoch, &samples);
        let shape = [samples.len(), channels, height, width];
        let images = Tensor::from_data(TensorData::new(images, shape), &self.device);
        let logits = match self.freeze {
            Freeze::Nothing => model.forward_training(images, &drop_path, &dropout)?,
            Freeze::Encoder => model.forward_training_frozen(images, &dropout)?,
        };
        Ok(self.loss.of(logits, &BatchLabels { labels: Arc::from(labels), height, width }))
    }

    fn is_synchronised(&self) -> bool {
        self.is_synchronised
    }

    /// Writes the first images with the colours of their labels over them, as `batch-01.png` and so on.
    fn show_batch(&self, batch: &SegmentationBatch, image_folder: &Path) -> Result<(), TrainError> {
        let size = ImageSize { height: batch.height, width: batch.width };
        let Preprocessing { mean, std, .. } = &self.metadata.preprocessing;
        let images = batch.images.chunks_exact(batch.channels * size.pixels());
        let shown = images.zip(batch.labels.chunks_exact(size.pixels()));
        for (number, (values, labels)) in (1..=SHOWN).zip(shown) {
            let labels = LabelMap { width: size.width, height: size.height, labels: labels.to_vec() };
            let bytes = denormalized(values, size.pixels(), mean, std);
            let image = Image::new(size.width, size.height, batch.channels, bytes)?;
            let shown = overlay(&image, &labels, &self.colours);
            shown.shrunk(SHOWN_SIDE).save_png(&image_folder.join(format!("batch-{number:02}.png")))?;
        }
        Ok(())
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation.as_ref().map_or(0, SharedLoader::samples)
    }

    fn validate(&self, model: &UperNet, image_folder: Option<&Path>) -> Result<ValidationResult, TrainError> {
        let Some(images) = &self.validation else { return Ok(ValidationResult::default()) };
        let network = (model, &self.device);
        let (mut result, pictures) =
            evaluate_segmentation(network, images, &self.inference, &self.colours, |_| {})?;
        if let Some(folder) = image_folder {
            pictures.save(folder, [&mut result.best, &mut result.worst], |sample| &mut sample.thumbnail)?;
        }
        Ok(result.into())
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        MonitoredMetric::Named(SegmentationEvaluation::MIOU)
    }
}
