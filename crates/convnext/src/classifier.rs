//! From a weight file to the classes of images.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use convnext_core::{ClassNames, ImageSize, OutputActivation, Preprocessing};
use convnext_data::{
    Dataset, Decoding, Image, ImageBatch, Orientation, PreparedImage, prepare_for_evaluation,
};
use convnext_multilabel::MultiLabelTask;
use convnext_nn::{ConvNext, DropPath, ModelError, Precision, tensor_values};
use convnext_train::{
    EvalLoaderConfig, RankFailure, TrainError, batch_images, load_classifier, load_network,
    log_probabilities, read_metadata,
};
use serde::Serialize;

use crate::tasks::TASKS;

/// A classifier with its preprocessing and class names, ready for images.
///
/// ```no_run
/// use convnext::Classifier;
///
/// let classifier = Classifier::load("weights.safetensors")?;
/// let image = classifier.open("photo.jpg")?;
/// println!("{}", classifier.predict(&image)?[0].label);
/// # Ok::<(), convnext::train::TrainError>(())
/// ```
#[derive(Debug)]
pub struct Classifier {
    model: ConvNext,
    preprocessing: Preprocessing,
    classes: ClassNames,
    activation: Option<OutputActivation>,
    device: Device,
}

/// Predicted probability and logit of one class for one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Name of the class.
    pub label: String,
    /// Index of the class among the logits.
    pub index: usize,
    /// In [0, 1]: softmax over all classes; of a multi-label classifier the sigmoid of this one.
    pub probability: f64,
    /// The number before softmax or sigmoid.
    pub logit: f32,
}

impl Classifier {
    /// Reads a classifier, perhaps a multi-label one, of any origin that [`convnext_io::read_weights`] knows, to compute on
    /// the CPU.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read, holds no classifier, or does not fit itself.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        Self::load_on(path.as_ref(), &Device::flex())
    }

    /// [`Self::load`], to compute on any device, such as [`convnext_nn::DeviceName::open`] gives.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let is_multi_label = read_metadata(path)?.task.is::<MultiLabelTask>();
        let (model, metadata) = match is_multi_label {
            true => load_network(path, device)?,
            false => load_classifier(path, device)?,
        };
        let task = metadata.task_of(TASKS)?;
        let (classes, activation) = (task.class_names(), task.activation());
        let (preprocessing, device) = (metadata.preprocessing, device.clone());
        Ok(Self { model, preprocessing, classes, activation, device })
    }

    /// Sets the precision in which linear layers multiply on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { model: self.model.with_precision(precision), ..self }
    }

    /// Replaces the class names, given in the order of the logits.
    ///
    /// # Errors
    /// [`TrainError::Config`] for another number of names than it has classes, and for a name that is there twice.
    pub fn with_classes(self, classes: ClassNames) -> Result<Self, TrainError> {
        classes.check_each(self.model.config().classes)?;
        Ok(Self { classes, ..self })
    }

    /// `true` if an image may have several classes, each with a probability of its own.
    pub fn is_multi_label(&self) -> bool {
        self.activation == Some(OutputActivation::Sigmoid)
    }

    /// The network.
    pub fn model(&self) -> &ConvNext {
        &self.model
    }

    /// Preprocessing of the images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The class names in the order of the logits.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// Reads an image with the channels that the network takes, turned as its camera says.
    ///
    /// # Errors
    /// [`TrainError::Data`] when the file cannot be read or decoded, and for a folder of several images.
    pub fn open(&self, path: impl Into<PathBuf>) -> Result<Image, TrainError> {
        open_image(path.into(), &self.preprocessing)
    }

    /// All classes for an image, the likeliest first.
    ///
    /// # Errors
    /// As [`Self::classify`].
    pub fn predict(&self, image: &Image) -> Result<Vec<Prediction>, TrainError> {
        Ok(self.classify(std::slice::from_ref(image))?.pop().unwrap_or_default())
    }

    /// Classifies any number of images at the speed of the network, while the next ones are read. `each` is given the
    /// name of an image and all classes, the likeliest first, in the order of the images. Ranks share the images, and `each`
    /// is called for all of them on every rank.
    ///
    /// # Errors
    /// As [`Self::classify`], what reading the images reports, and what `each` returns.
    pub fn classify_all<E: Display + From<TrainError> + From<RankFailure>>(
        &self,
        images: &Dataset,
        reading: &EvalLoaderConfig,
        mut each: impl FnMut(String, Vec<Prediction>) -> Result<(), E>,
    ) -> Result<(), E> {
        let compute = |mut batch: ImageBatch| {
            let logits = self.logits(batch_images(&mut batch, &self.device))?;
            Ok((batch.samples, logits))
        };
        reading.loader(images, &self.preprocessing)?.for_each(compute, |(samples, logits)| {
            let mut named = samples.into_iter().zip(self.ranked(&logits)?);
            named.try_for_each(|(sample, answer)| each(images.name(sample), answer))
        })
    }

    /// For each image all classes, the likeliest first.
    ///
    /// # Errors
    /// [`TrainError::Model`] when an image has other channels than the network takes, [`TrainError::NotFinite`] when
    /// its weights are damaged.
    pub fn classify(&self, images: &[Image]) -> Result<Vec<Vec<Prediction>>, TrainError> {
        let mut answers = Vec::with_capacity(images.len());
        for images in images_to_tensors(images, &self.preprocessing, &self.device)? {
            answers.extend(self.ranked(&self.logits(images)?)?);
        }
        Ok(answers)
    }

    /// `[N, classes]`.
    fn logits(&self, images: Tensor<4>) -> Result<Vec<f32>, TrainError> {
        Ok(tensor_values(self.model.forward(images, &DropPath::none())?))
    }

    /// For each row of logits all classes, the likeliest first.
    fn ranked(&self, logits: &[f32]) -> Result<Vec<Vec<Prediction>>, TrainError> {
        let rows = logits.chunks(self.model.config().classes);
        let ranked = rows.map(|row| self.rank(row)).collect::<Option<Vec<_>>>();
        ranked.ok_or_else(|| TrainError::NotFinite { what: "the answer of the classifier".into() })
    }

    /// All classes, the likeliest first; `None` when a logit is not finite.
    fn rank(&self, logits: &[f32]) -> Option<Vec<Prediction>> {
        let logs = log_probabilities(logits)?;
        let probability = |logit: f32, log: f64| match self.activation {
            Some(OutputActivation::Sigmoid) => 1.0 / (1.0 + (-f64::from(logit)).exp()),
            Some(OutputActivation::Softmax) | None => log.exp(),
        };
        let mut predictions: Vec<Prediction> = logits
            .iter()
            .zip(logs)
            .enumerate()
            .map(|(index, (&logit, log))| Prediction {
                label: self.classes.name(index),
                index,
                probability: probability(logit, log),
                logit,
            })
            .collect();
        predictions.sort_by(|a, b| b.logit.total_cmp(&a.logit).then(a.index.cmp(&b.index)));
        Some(predictions)
    }
}

/// Reads one image for a network.
pub(crate) fn open_image(path: PathBuf, preprocessing: &Preprocessing) -> Result<Image, TrainError> {
    Ok(convnext_data::open_image(&path, &Decoding::of(preprocessing, Orientation::Honour))?)
}

/// Prepared images as one batch, `[N, channels, height, width]`, or where each has a size of its own as a batch for
/// each; none without images.
///
/// # Errors
/// [`TrainError::Model`] when an image has other channels than the network takes.
pub(crate) fn images_to_tensors(
    images: &[Image],
    preprocessing: &Preprocessing,
    device: &Device,
) -> Result<Vec<Tensor<4>>, TrainError> {
    let expected = preprocessing.channels();
    if let Some(other) = images.iter().find(|image| image.channels() != expected) {
        return Err(ModelError::Channels { expected, found: other.channels() }.into());
    }
    let together = if preprocessing.image_size().is_some() { images.len() } else { 1 };
    let batch = |images: &[Image]| {
        let prepared: Vec<PreparedImage> =
            images.iter().map(|image| prepare_for_evaluation(image, preprocessing)).collect();
        let ImageSize { height, width } = prepared[0].size;
        let values = prepared.into_iter().flat_map(|image| image.values).collect::<Vec<f32>>();
        Tensor::from_data(TensorData::new(values, [images.len(), expected, height, width]), device)
    };
    Ok(images.chunks(together.max(1)).map(batch).collect())
}
