//! The task of a detection training.

use std::path::Path;

use burn::prelude::*;
use convnext_core::{Interpolation, Preprocessing, WeightMetadata};
use convnext_data::{Image, Region, class_colours, resize_with};
use convnext_nn::DropPath;
use convnext_train::{
    Freeze, Loss, MonitoredMetric, SharedLoader, Task, TrainError, ValidationResult, denormalized,
};

use crate::batch::DetectionBatch;
use crate::detect_options::DetectOptions;
use crate::evaluate::evaluate_detection;
use crate::evaluation::detection_evaluation::DetectionEvaluation;
use crate::evaluation_source::DetectionEvaluationSource;
use crate::mask_rcnn::MaskRcnn;
use crate::pictures::{DrawnObject, small_detection_overlay};
use crate::source::DetectionSource;
use crate::training_loss::{RegionChoice, detection_loss};

/// Images of a batch that are shown, and their longer side in pixels.
const SHOWN: usize = 12;
const SHOWN_SIDE: usize = 320;

/// Boxes and masks of objects: the losses of proposals, boxes and masks, average precision on the validation images.
pub struct DetectTask {
    pub(crate) regions: RegionChoice,
    pub(crate) freeze: Freeze,
    /// Drop path rate of each block.
    pub(crate) drop_path: Vec<f64>,
    pub(crate) device: Device,
    /// One loader for all epochs, so that it tells of a file once; `None` without images.
    pub(crate) validation: Option<SharedLoader<DetectionEvaluationSource>>,
    pub(crate) options: DetectOptions,
    pub(crate) metadata: WeightMetadata,
}

impl Task for DetectTask {
    type Model = MaskRcnn;
    type Source = DetectionSource;

    fn loss(&self, model: &MaskRcnn, mut batch: DetectionBatch) -> Result<Loss, TrainError> {
        let shape = [batch.samples.len(), batch.channels, batch.size.height, batch.size.width];
        let values = std::mem::take(&mut batch.images);
        let images = Tensor::from_data(TensorData::new(values, shape), &self.device);
        let pyramid = match self.freeze {
            Freeze::Nothing => {
                let drop_path =
                    DropPath::draw(&self.drop_path, self.regions.seed, batch.epoch, &batch.samples);
                model.pyramid(images, &drop_path)?
            }
            Freeze::Encoder => model.pyramid_frozen(images)?,
        };
        let statistics = model.backbone.take_statistics();
        Ok(detection_loss(model, &pyramid, &batch, self.regions)?.with_statistics(statistics))
    }

    /// Writes the first images with their objects, as `batch-01.png` and so on.
    fn show_batch(&self, batch: &DetectionBatch, image_folder: &Path) -> Result<(), TrainError> {
        let Preprocessing { mean, std, .. } = &self.metadata.preprocessing;
        let colours = class_colours(&[], self.metadata.class_count());
        let images = batch.images.chunks_exact(batch.channels * batch.size.pixels());
        for (number, (values, instances)) in (1..=SHOWN).zip(images.zip(&batch.instances)) {
            let bytes = denormalized(values, batch.size.pixels(), mean, std);
            let image = Image::new(batch.size.width, batch.size.height, batch.channels, bytes)?;
            let size = batch.sizes[number - 1];
            let whole = Region { left: 0.0, top: 0.0, width: size.width as f64, height: size.height as f64 };
            // Without its padding; at its own size each pixel stays what it is.
            let image = resize_with(Interpolation::Bilinear, &image, whole, size.width, size.height);
            let objects = DrawnObject::of_instances(instances, size, &colours);
            let shown = small_detection_overlay(&image, &objects, SHOWN_SIDE);
            shown.save_png(&image_folder.join(format!("batch-{number:02}.png")))?;
        }
        Ok(())
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation.as_ref().map_or(0, SharedLoader::samples)
    }

    fn validate(
        &self,
        model: &MaskRcnn,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError> {
        let Some(images) = &self.validation else { return Ok(ValidationResult::default()) };
        let (mut result, pictures) = evaluate_detection(
            (model, &self.device),
            images,
            &self.options,
            |_, _| (),
            |()| Ok::<(), TrainError>(()),
        )?;
        if let Some(folder) = image_folder {
            pictures.save(folder, [&mut result.best, &mut result.worst], |sample| &mut sample.thumbnail)?;
        }
        Ok(result.into())
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        MonitoredMetric::Named(DetectionEvaluation::AP)
    }
}
