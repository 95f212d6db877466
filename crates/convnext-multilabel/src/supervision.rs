//! Multi-label targets (labels that are sets of classes) and the loss.

use std::path::Path;

use burn::prelude::*;
use burn::tensor::activation::softplus;
use convnext_core::{ClassNames, ConfigError};
use convnext_data::{ImageBatch, LabelledData, classes_of_sets, members_of_sets};
use convnext_nn::ConvNext;
use convnext_train::{
    ClassWeights, FinetuneRecipe, SharedLoader, Supervision, TrainError, ValidationResult, save_thumbnails,
};

use crate::evaluation::{MultiLabelEvaluation, evaluate_multi_label};
use crate::metadata::MultiLabelTask;

/// Say of each class whether it is in an image: a sigmoid for each of them, and binary cross-entropy.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    classes: ClassNames,
    /// Membership of each class in each label of the data.
    sets: Vec<Vec<bool>>,
    smoothing: f64,
}

impl MultiLabel {
    /// Targets of the outputs, in [0, 1]: `1 - s / 2` for a class of the image and `s / 2` for the others,
    /// mixed as the images were.
    fn targets(&self, batch: &ImageBatch) -> Vec<f32> {
        let [low, high] = [self.smoothing / 2.0, 1.0 - self.smoothing / 2.0].map(|value| value as f32);
        let of_label =
            |label: &usize| self.sets[*label].iter().map(move |&is_in| if is_in { high } else { low });
        let own: Vec<f32> = batch.labels.iter().flatten().flat_map(of_label).collect();
        batch.mix.map_or(own.clone(), |mix| mix.apply(&own, self.classes.len()))
    }
}

impl Supervision for MultiLabel {
    type Metadata = MultiLabelTask;

    const MONITORED: &'static str = MultiLabelEvaluation::MEAN_AVERAGE_PRECISION;

    fn new(data: &LabelledData, recipe: &FinetuneRecipe) -> Result<Self, TrainError> {
        if recipe.regularization.class_weights != ClassWeights::Equal {
            let (what, found) = ("class_weights", "balanced".to_owned());
            let expected = "equal: an image of several classes has no one weight";
            return Err(ConfigError::OutOfRange { what, found, expected }.into());
        }
        let classes = classes_of_sets(data.train.classes());
        let sets = members_of_sets(data.train.classes(), &classes, &data.train_source)?;
        Ok(Self { classes, sets, smoothing: recipe.regularization.label_smoothing })
    }

    fn metadata(&self) -> MultiLabelTask {
        MultiLabelTask { classes: self.classes.clone() }
    }

    /// The mean over images and classes.
    fn loss(&self, logits: Tensor<2>, batch: &ImageBatch) -> Tensor<1> {
        let [images, classes] = logits.dims();
        let targets = TensorData::new(self.targets(batch), [images, classes]);
        let targets = Tensor::<2>::from_data(targets, &logits.device());
        // -t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x)), without a logarithm of what rounds to 0.
        let losses = softplus(logits.clone(), 1.0) - logits * targets;
        losses.sum_dim(1).sum_dim(0).reshape([1]) / (images * classes) as f64
    }

    fn evaluate(
        &self,
        model: &ConvNext,
        images: &SharedLoader,
        image_folder: Option<&Path>,
    ) -> Result<ValidationResult, TrainError> {
        let mut result = evaluate_multi_label(model, &self.classes, images, |_| {})?;
        if let Some(folder) = image_folder {
            let mistakes = result.mistakes.iter_mut().map(|shown| (shown.sample, &mut shown.thumbnail));
            save_thumbnails(images.source(), folder, "mistake", mistakes)?;
            let samples = result.samples.iter_mut().map(|shown| (shown.sample, &mut shown.thumbnail));
            save_thumbnails(images.source(), folder, "sample", samples)?;
        }
        Ok(result.into())
    }
}

#[cfg(test)]
mod tests;
