//! From a weight file to the classes of pictures.

use std::path::Path;

use burn::prelude::*;
use convnext_core::{ClassNames, Preprocessing};
use convnext_data::{Picture, prepare_for_evaluation};
use convnext_nn::{ConvNext, DropPath, ModelError, Precision, tensor_values};
use convnext_train::{TrainError, load_classifier, log_probabilities};
use serde::Serialize;

/// A classifier with its preprocessing and class names, ready for pictures.
#[derive(Debug)]
pub struct Classifier {
    model: ConvNext,
    preprocessing: Preprocessing,
    classes: ClassNames,
    device: Device,
}

/// What a classifier says about one class of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Name of the class.
    pub label: String,
    /// Index of the class among the logits.
    pub index: usize,
    /// Softmax over all classes, in [0, 1].
    pub probability: f64,
    /// The number before the softmax.
    pub logit: f32,
}

impl Classifier {
    /// Reads a classifier that `convnext finetune` wrote, to compute on the CPU.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read, holds no classifier, or does not fit itself.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::load_on(path, &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (model, metadata) = load_classifier(path, device)?;
        let (preprocessing, classes) = (metadata.preprocessing, metadata.classes);
        Ok(Self { model, preprocessing, classes, device: device.clone() })
    }

    /// The same, whose linear layers multiply in this precision on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// The network.
    pub fn model(&self) -> &ConvNext {
        &self.model
    }

    /// How pictures are prepared.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The class names in the order of the logits.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// For each picture all classes, the likeliest first.
    ///
    /// # Errors
    /// [`TrainError::Model`] when a picture has other channels than the network takes, [`TrainError::NotFinite`] when
    /// its weights are damaged.
    pub fn classify(&self, pictures: &[Picture]) -> Result<Vec<Vec<Prediction>>, TrainError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let expected = self.preprocessing.channels();
        if let Some(other) = pictures.iter().find(|picture| picture.channels() != expected) {
            return Err(ModelError::Channels { expected, found: other.channels() }.into());
        }
        let images = pictures_to_tensor(pictures, &self.preprocessing, &self.device);
        let logits = self.model.forward(images, &DropPath::none())?;
        let classes = logits.dims()[1];
        let logits = tensor_values(logits);
        let ranked = logits.chunks(classes).map(|row| self.rank(row)).collect::<Option<Vec<_>>>();
        ranked.ok_or_else(|| TrainError::NotFinite { what: "the answer of the classifier".into() })
    }

    /// All classes, the likeliest first; `None` when a logit is not finite.
    fn rank(&self, logits: &[f32]) -> Option<Vec<Prediction>> {
        let logs = log_probabilities(logits)?;
        let mut predictions: Vec<Prediction> = logits
            .iter()
            .zip(logs)
            .enumerate()
            .map(|(index, (&logit, log))| Prediction {
                label: self.classes.name(index),
                index,
                probability: log.exp(),
                logit,
            })
            .collect();
        predictions.sort_by(|a, b| b.logit.total_cmp(&a.logit).then(a.index.cmp(&b.index)));
        Some(predictions)
    }
}

/// Prepared pictures as one batch, `[N, channels, size, size]`.
pub(crate) fn pictures_to_tensor(
    pictures: &[Picture],
    preprocessing: &Preprocessing,
    device: &Device,
) -> Tensor<4> {
    let size = preprocessing.image_size;
    let values: Vec<f32> =
        pictures.iter().flat_map(|picture| prepare_for_evaluation(picture, preprocessing)).collect();
    Tensor::from_data(TensorData::new(values, [pictures.len(), preprocessing.channels(), size, size]), device)
}
