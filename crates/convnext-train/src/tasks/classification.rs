//! Classification: each image has one class.

use std::path::Path;

use burn::tensor::Tensor;
use convnext_core::{ClassNames, ClassificationTask};
use convnext_data::{ImageBatch, LabelledData};
use convnext_nn::ConvNext;

use crate::error::TrainError;
use crate::evaluation::evaluate::evaluate_batches;
use crate::evaluation::results::Evaluation;
use crate::evaluation::shared_loader::SharedLoader;
use crate::evaluation::thumbnails::save_thumbnails;
use crate::recipe::finetune_recipe::FinetuneRecipe;
use crate::tasks::loss::Targets;
use crate::tasks::supervision::Supervision;
use crate::training::validation_result::ValidationResult;

/// Tell the classes of images apart: a softmax over all of them, and cross-entropy.
#[derive(Debug, Clone)]
pub struct Classification {
    classes: ClassNames,
    /// Loss weight of an image of each class.
    class_weights: Vec<f32>,
    smoothing: f64,
}

impl Supervision for Classification {
    type Metadata = ClassificationTask;

    const MONITORED: &'static str = Evaluation::TOP1;

    fn new(data: &LabelledData, recipe: &FinetuneRecipe) -> Result<Self, TrainError> {
        Ok(Self {
            classes: data.train.classes().clone(),
            class_weights: recipe.regularization.class_weights.of(&data.train.labels_per_class()),
            smoothing: recipe.regularization.label_smoothing,
        })
    }

    fn metadata(&self) -> ClassificationTask {
        ClassificationTask { classes: self.classes.clone() }
    }

    fn loss(&self, logits: Tensor<2>, batch: &ImageBatch) -> Tensor<1> {
        let labels: Vec<usize> = batch.labels.iter().flatten().copied().collect();
        let targets = Targets::new(&labels, &self.class_weights, self.smoothing);
        targets.mixed(batch.mix).cross_entropy(logits)
    }

    /// Accuracies and loss; shows the most confident errors, and images that the seed draws.
    fn evaluate(
        &self,
        model: &ConvNext,
        images: &SharedLoader,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError> {
        let mut result = evaluate_batches(model, &self.classes, images, |_| {})?;
        if let Some(folder) = image_folder {
            for (name, shown) in [("mistake", &mut result.mistakes), ("sample", &mut result.samples)] {
                let shown = shown.iter_mut().map(|shown| (shown.sample, &mut shown.thumbnail));
                save_thumbnails(images.source(), folder, name, shown)?;
            }
        }
        Ok(result.into())
    }
}
