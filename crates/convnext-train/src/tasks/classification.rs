//! Classification: the loss of a batch, and what is measured between epochs.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use convnext_core::{Seed, WeightMetadata};
use convnext_data::{ImageBatch, ImageSource, LabelMix, Loader, Source, resize_for_evaluation};
use convnext_nn::{ConvNext, DropPath};
use serde::Serialize;

use crate::error::TrainError;
use crate::evaluation::evaluate::{Evaluation, Mistake, evaluate_batches};
use crate::tasks::loss::Targets;
use crate::training::goal::Goal;
use crate::training::losses::Loss;
use crate::training::measured::Measured;
use crate::training::task::{Task, batch_images};

/// Which part of a model keeps the values that it starts with.
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

/// Tell the classes of images apart.
pub(crate) struct Classification {
    pub(crate) class_weights: Vec<f32>,
    pub(crate) freeze: Freeze,
    pub(crate) rates: Vec<f64>,
    pub(crate) smoothing: f64,
    pub(crate) seed: Seed,
    pub(crate) device: Device,
    /// One loader for all epochs, so that it tells of a file once; `None` without images.
    pub(crate) validation: Option<Loader>,
    pub(crate) metadata: WeightMetadata,
}

impl Task for Classification {
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
        let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
        let targets = Targets::new(&labels, &self.class_weights, self.smoothing);
        let targets = match batch.mix {
            None => targets,
            Some(LabelMix { own_weight }) => targets.mixed(own_weight),
        };
        Ok(targets.cross_entropy(logits).into())
    }

    fn metadata(&self) -> &WeightMetadata {
        &self.metadata
    }

    fn validation_images(&self) -> usize {
        self.validation.as_ref().map_or(0, Loader::samples)
    }

    /// Accuracies and loss on the validation images; shows the worst mistakes.
    fn validate(&self, model: &ConvNext, pictures: Option<&Path>) -> Result<Measured, TrainError> {
        let Some(validation) = &self.validation else { return Ok(Measured::default()) };
        let mut result = evaluate_batches(model, &self.metadata.classes, validation, |_| {})?;
        if let Some(folder) = pictures {
            self.show(&mut result.mistakes, validation.source(), folder)?;
        }
        Ok(result.into())
    }

    fn goal(&self) -> Goal {
        Goal::Metric(Evaluation::TOP1)
    }
}

impl Classification {
    /// Writes what the model saw of each image into a folder.
    fn show(&self, mistakes: &mut [Mistake], images: &ImageSource, folder: &Path) -> Result<(), TrainError> {
        let parent = folder.file_name().unwrap_or_default().to_string_lossy();
        for (number, mistake) in (1..).zip(mistakes) {
            let name = format!("mistake-{number:02}.png");
            let preprocessing = &self.metadata.preprocessing;
            let picture = images.dataset().picture(mistake.sample, images.decoding())?;
            resize_for_evaluation(&picture, preprocessing).save_png(&folder.join(&name))?;
            mistake.picture = Some(format!("{parent}/{name}"));
        }
        Ok(())
    }
}
