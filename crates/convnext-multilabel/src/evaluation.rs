//! Evaluation of multi-label classification: of each class, whether it is in an image.

use convnext_core::{ClassNames, Kind};
use convnext_data::{CorruptFile, ImageBatch, Source, members_of_sets};
use convnext_nn::{ConvNext, DropPath, tensor_values};
use convnext_train::{
    ClassScores, Direction, Metric, SharedLoader, TrainError, ValidationResult, batch_images,
};
use serde::{Deserialize, Serialize};

use crate::metadata::MultiLabelTask;
use crate::shown::{MultiLabelMistake, MultiLabelSample, Shown};
use crate::threshold::is_answer;

/// Results over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelEvaluation {
    /// Images looked at.
    pub images: usize,
    /// Each class, in the order of the outputs.
    pub classes: Vec<MultiLabelClass>,
    /// F1 of all answers together, an answer being a class of probability [`crate::THRESHOLD`] or more; `None` where
    /// nothing is there and nothing was answered.
    pub f1: Option<f64>,
    /// Mean binary cross-entropy in nats; `None` without images.
    pub loss: Option<f64>,
    /// Precision, recall and F1 as means over the classes that are in any image; files of earlier versions do not have
    /// it.
    #[serde(default)]
    pub macro_average: ClassScores,
    /// The most confident errors, the most confident first; earlier versions listed none, as of the next.
    #[serde(default)]
    pub mistakes: Vec<MultiLabelMistake>,
    /// Images that the seed draws, right or wrong, in the order of the data.
    #[serde(default)]
    pub samples: Vec<MultiLabelSample>,
    /// Images that could not be read and do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
}

/// Results of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelClass {
    /// Its name.
    pub label: String,
    /// Images that it is in.
    pub images: usize,
    /// Of these, those in which it has a probability of [`crate::THRESHOLD`] or more.
    pub found: usize,
    /// All images in which it has such a probability.
    pub answered: usize,
    /// Average precision, as scikit-learn defines it; `None` for a class that is in no image.
    pub average_precision: Option<f64>,
    /// Precision, recall and F1 of [`crate::THRESHOLD`].
    #[serde(flatten)]
    pub scores: ClassScores,
}

impl MultiLabelEvaluation {
    pub(crate) const MEAN_AVERAGE_PRECISION: &'static str = "map";

    /// The metrics, the one by which networks are compared first: the mean over the classes that are in any image.
    pub fn metrics(&self) -> Vec<Metric> {
        let precisions: Vec<f64> = self.classes.iter().filter_map(|class| class.average_precision).collect();
        let mean = (!precisions.is_empty()).then(|| precisions.iter().sum::<f64>() / precisions.len() as f64);
        let better = Direction::HigherIsBetter;
        vec![
            Metric::new(Self::MEAN_AVERAGE_PRECISION, mean, better)
                .fraction()
                .labelled("mean average precision"),
            Metric::new("f1", self.f1, better).fraction().labelled("F1"),
            Metric::new("loss", self.loss, Direction::LowerIsBetter),
        ]
    }

    /// With precision, recall and F1 of each class and their means, from its counts: files of earlier versions do not
    /// have them.
    #[must_use]
    pub fn scored(mut self) -> Self {
        for class in &mut self.classes {
            class.scores = ClassScores::of_counts(class.images, class.answered, class.found);
        }
        self.macro_average = ClassScores::macro_average(self.classes.iter().map(|class| class.scores));
        self
    }
}

impl From<MultiLabelEvaluation> for ValidationResult {
    fn from(mut result: MultiLabelEvaluation) -> Self {
        let left_out = std::mem::take(&mut result.left_out);
        Self { left_out, ..Self::new(MultiLabelTask::KIND, result.metrics(), &result) }
    }
}

/// Asks a network about every image of a loader, whose ranks share them and all get the results. The labels of images are sets of
/// `classes`, the classes in the order of the outputs. `progress` is told how many images are done.
///
/// # Errors
/// [`TrainError::Config`] for another number of names than outputs, [`TrainError::Data`] for a class that is not among
/// them and for images that cannot be read,
/// [`TrainError::NotFinite`] with the image whose answer is not finite.
pub fn evaluate_multi_label(
    model: &ConvNext,
    classes: &ClassNames,
    loader: &SharedLoader,
    mut progress: impl FnMut(usize),
) -> Result<MultiLabelEvaluation, TrainError> {
    let dataset = loader.source().dataset();
    classes.check_each(model.config().classes)?;
    let sets = members_of_sets(dataset.classes(), classes, "the data")?;
    // By class the output for each image, and whether the class is in it.
    let mut answers: Vec<Vec<(f32, bool)>> = vec![Vec::new(); classes.len()];
    let mut shown = Shown::new(dataset, classes, loader.seed());
    let mut images = 0;
    let device = model.backbone.stem.conv.weight.lazy_device();
    let compute = |mut batch: ImageBatch| {
        let pixels = batch_images(&mut batch, &device);
        let logits = tensor_values(model.forward(pixels, &DropPath::none())?);
        for (row, &sample) in logits.chunks(classes.len()).zip(&batch.samples) {
            if !row.iter().all(|logit| logit.is_finite()) {
                return Err(TrainError::NotFinite {
                    what: format!("the answer for {}", dataset.name(sample)),
                });
            }
        }
        Ok((batch.samples, batch.labels, logits))
    };
    loader.for_each(compute, |(samples, labels, logits)| {
        for ((row, label), sample) in logits.chunks(classes.len()).zip(labels).zip(samples) {
            let Some(label) = label else { continue };
            images += 1;
            shown.add(sample, row, &sets[label]);
            for ((&logit, &is_in), answers) in row.iter().zip(&sets[label]).zip(&mut answers) {
                answers.push((logit, is_in));
            }
        }
        progress(images);
        Ok::<(), TrainError>(())
    })?;
    let Shown { samples, mistakes, .. } = shown;
    let left_out = loader.corrupt();
    Ok(MultiLabelEvaluation { left_out, samples, mistakes, ..judge_all(images, classes, answers) })
}

/// The results, from the answers for each class.
fn judge_all(images: usize, classes: &ClassNames, answers: Vec<Vec<(f32, bool)>>) -> MultiLabelEvaluation {
    let judged = |(class, answers): (usize, Vec<(f32, bool)>)| judge(classes.name(class), answers);
    let (losses, classes): (Vec<f64>, Vec<MultiLabelClass>) =
        answers.into_iter().enumerate().map(judged).unzip();
    let sum = |count: fn(&MultiLabelClass) -> usize| classes.iter().map(count).sum::<usize>() as f64;
    let [found, named] = [sum(|class| class.found), sum(|class| class.images + class.answered)];
    let result = MultiLabelEvaluation {
        images,
        f1: (named > 0.0).then(|| 2.0 * found / named),
        loss: (images > 0).then(|| losses.iter().sum::<f64>() / (images * classes.len()) as f64),
        classes,
        macro_average: ClassScores::default(),
        mistakes: Vec::new(),
        samples: Vec::new(),
        left_out: Vec::new(),
    };
    result.scored()
}

/// The sum of the losses of a class, and its results.
fn judge(label: String, mut answers: Vec<(f32, bool)>) -> (f64, MultiLabelClass) {
    let loss = |&(logit, is_in): &(f32, bool)| {
        let away = if is_in { -f64::from(logit) } else { f64::from(logit) };
        away.max(0.0) + (-away.abs()).exp().ln_1p()
    };
    let losses = answers.iter().map(loss).sum();
    let count = |wanted: fn(&&(f32, bool)) -> bool| answers.iter().filter(wanted).count();
    let images = count(|(_, is_in)| *is_in);
    let (found, answered) =
        (count(|(logit, is_in)| is_answer(*logit) && *is_in), count(|(logit, _)| is_answer(*logit)));
    answers.sort_by(|left, right| right.0.total_cmp(&left.0));
    // The precision at each place where more is found, times the share that is found there; equal outputs are one place.
    let (mut seen, mut hits, mut area) = (0, 0, 0.0);
    for place in answers.chunk_by(|left, right| left.0 == right.0) {
        let new = place.iter().filter(|(_, is_in)| *is_in).count();
        (seen, hits) = (seen + place.len(), hits + new);
        area += new as f64 * hits as f64 / seen as f64;
    }
    let average_precision = (images > 0).then(|| area / images as f64);
    let scores = ClassScores::default();
    (losses, MultiLabelClass { label, images, found, answered, average_precision, scores })
}

#[cfg(test)]
mod tests;
