//! Evaluation of a classifier.

use std::collections::BTreeMap;

use convnext_core::{ClassNames, Preprocessing, imagenet_1k_name};
use convnext_data::{CorruptFile, Dataset, Loader, Source, canonical_name};
use convnext_nn::{ConvNext, DropPath, tensor_values};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::evaluation::class_scores::ClassScores;
use crate::evaluation::inference::{EvalLoaderConfig, for_each_batch_of};
use crate::evaluation::logits::log_probabilities;
use crate::evaluation::tally::Tally;
use crate::training::metric::{Direction, Metric};
use crate::training::validation_result::ValidationResult;

/// Results over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Images looked at.
    pub images: usize,
    /// Share of images whose class had the highest logit, in [0, 1]; `None` without images, as the next two.
    pub top1: Option<f64>,
    /// Share of images whose class was among the five highest logits.
    pub top5: Option<f64>,
    /// Mean cross-entropy in nats.
    pub loss: Option<f64>,
    /// Each class of the classifier that the data set has, in the order of the logits.
    pub classes: Vec<ClassResult>,
    /// Confusion matrix as counts of label and predicted class; pairs that never occurred are left out.
    pub confusion: Vec<Confusion>,
    /// Precision, recall and F1 as means over `classes`; files of earlier versions do not have it.
    #[serde(default)]
    pub macro_average: ClassScores,
    /// The most confident errors, the most confident first.
    pub mistakes: Vec<SamplePrediction>,
    /// Images that the seed draws, right or wrong, in the order of the data; earlier versions drew none.
    #[serde(default)]
    pub samples: Vec<SamplePrediction>,
    /// Images that could not be read and do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
}

impl Evaluation {
    /// Name of results of this kind in `evaluation.json`.
    pub const KIND: &'static str = "classification";

    /// The name of the metric by which classifiers are compared.
    pub(crate) const TOP1: &'static str = "top1";

    /// The metrics, the one by which classifiers are compared first.
    pub fn metrics(&self) -> Vec<Metric> {
        let share = |name, value, label| {
            Metric::new(name, value, Direction::HigherIsBetter).fraction().labelled(label)
        };
        vec![
            share(Self::TOP1, self.top1, "top-1"),
            share("top5", self.top5, "top-5"),
            Metric::new("loss", self.loss, Direction::LowerIsBetter),
        ]
    }

    /// With precision, recall and F1 of each class and their means, from the confusion matrix: files of earlier
    /// versions do not have them.
    #[must_use]
    pub fn scored(mut self) -> Self {
        let mut predicted: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in &self.confusion {
            *predicted.entry(&pair.predicted).or_default() += pair.images;
        }
        for class in &mut self.classes {
            class.predicted = predicted.get(class.label.as_str()).copied().unwrap_or(0);
            class.scores = ClassScores::of_counts(class.images, class.predicted, class.correct);
        }
        self.macro_average = ClassScores::macro_average(self.classes.iter().map(|class| class.scores));
        self
    }
}

impl From<Evaluation> for ValidationResult {
    fn from(mut result: Evaluation) -> Self {
        let left_out = std::mem::take(&mut result.left_out);
        Self { left_out, ..Self::new(Evaluation::KIND, result.metrics(), &result) }
    }
}

/// Images of one class that were taken for one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class that they are of.
    pub label: String,
    /// The class that had the highest logit.
    pub predicted: String,
    /// Number of such images.
    pub images: usize,
}

/// An image and the class that was predicted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplePrediction {
    /// The image.
    pub image: String,
    /// Its index in the data set.
    #[serde(skip)]
    pub sample: usize,
    /// Its class.
    pub label: String,
    /// The class that had the highest logit.
    pub predicted: String,
    /// The probability of that class.
    pub probability: f64,
    /// Path in the run folder of the image as the network saw it.
    #[serde(skip_serializing_if = "Option::is_none", alias = "picture")]
    pub thumbnail: Option<String>,
}

/// Results of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassResult {
    /// Name of the class.
    pub label: String,
    /// Images of the class.
    pub images: usize,
    /// Images of the class that were recognised.
    pub correct: usize,
    /// `correct / images`.
    pub accuracy: f64,
    /// Images of any class that were taken for it.
    #[serde(default)]
    pub predicted: usize,
    /// Precision, recall and F1.
    #[serde(flatten)]
    pub scores: ClassScores,
}

/// Classifies every image of a labelled data set. `reading` says whether an image that cannot be read is an error.
///
/// `names` are the classes in the order of the logits; the data set's classes are matched by name.
/// `progress` is told how many images are done.
///
/// # Errors
/// [`TrainError::UnknownClass`] when the data set has a class that `names` has not, and what reading
/// the images reports.
pub fn evaluate(
    model: &ConvNext,
    names: &ClassNames,
    dataset: &Dataset,
    preprocessing: &Preprocessing,
    reading: &EvalLoaderConfig,
    progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    match_classes(dataset.classes(), names)?;
    evaluate_batches(model, names, &reading.loader(dataset, preprocessing)?, progress)
}

/// [`evaluate`] with a loader that [`EvalLoaderConfig::loader`] made, which may be used again.
pub(crate) fn evaluate_batches(
    model: &ConvNext,
    names: &ClassNames,
    loader: &Loader,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    let dataset = loader.source().dataset();
    let to_logit = match_classes(dataset.classes(), names)?;
    let device = model.backbone.stem.conv.weight.lazy_device();
    let mut tally = Tally::new(model.config().classes).showing(dataset, loader.seed());
    for_each_batch_of(loader, &device, |images, batch| {
        let logits = model.forward(images, &DropPath::none())?;
        let classes = logits.dims()[1];
        let logits = tensor_values(logits);
        for ((row, label), &sample) in logits.chunks(classes).zip(&batch.labels).zip(&batch.samples) {
            let not_finite =
                || TrainError::NotFinite { what: format!("the answer for {}", dataset.name(sample)) };
            let logs = log_probabilities(row).ok_or_else(not_finite)?;
            if let Some(label) = label {
                tally.add(sample, &logs, to_logit[*label]);
            }
        }
        progress(tally.images);
        Ok::<(), TrainError>(())
    })?;
    let result = tally.finish(names, |sample| dataset.name(sample).to_owned());
    Ok(Evaluation { left_out: loader.corrupt(), ..result })
}

/// For each class of the data the index of its logit. Letters may be written in any Unicode form, and folders of
/// ImageNet are called after synsets.
pub(crate) fn match_classes(found: &ClassNames, known: &ClassNames) -> Result<Vec<usize>, TrainError> {
    found
        .0
        .iter()
        .map(|class| {
            known
                .index(class)
                .or_else(|| known.0.iter().position(|name| canonical_name(name) == canonical_name(class)))
                .or_else(|| known.index(imagenet_1k_name(class)?))
                .ok_or_else(|| TrainError::UnknownClass { class: class.clone(), known: known.0.join(", ") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_labelled_images_nothing_is_measured() {
        let names = ClassNames(vec!["c0".into()]);
        let measured = ValidationResult::from(Tally::new(1).finish(&names, |_| String::new()));
        assert!(measured.metrics.iter().all(|metric| metric.value.is_none()), "{measured:?}");
        let file = serde_json::to_value(&measured).unwrap();
        assert_eq!((&file["kind"], &file["images"]), (&"classification".into(), &0.into()));
        assert!(file["top1"].is_null() && file["loss"].is_null() && file["metrics"][0]["value"].is_null());
    }

    #[test]
    fn results_come_back_from_their_file() {
        let mut tally = Tally::new(2);
        tally.add(0, &log_probabilities(&[1.0, 0.5]).unwrap(), 1);
        let names = ClassNames(vec!["ant".into(), "bee".into()]);
        let result = tally.finish(&names, |_| "a.png".into());
        let left_out = vec![CorruptFile { name: "b.png".into(), why: "cut".into() }];
        let measured = ValidationResult::from(Evaluation { left_out: left_out.clone(), ..result.clone() });
        let read: ValidationResult =
            serde_json::from_str(&serde_json::to_string(&measured).unwrap()).unwrap();
        assert_eq!((&read, &read.left_out), (&measured, &left_out));
        assert_eq!(read.details::<Evaluation>().unwrap(), result);
    }

    #[test]
    fn classes_are_matched_by_name() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        let known = names(&["ant", "bee", "cat"]);
        assert_eq!(match_classes(&names(&["cat", "ant"]), &known).unwrap(), [2, 0]);
        let error = match_classes(&names(&["dog"]), &known).unwrap_err().to_string();
        assert!(error.contains("'dog'") && error.contains("ant, bee, cat"), "{error}");
    }

    #[test]
    fn letters_in_another_unicode_form_are_the_same() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(match_classes(&names(&["caf\u{e9}"]), &names(&["bar", "cafe\u{301}"])).unwrap(), [1]);
    }

    #[test]
    fn folders_of_imagenet_are_called_after_synsets() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        let imagenet = convnext_core::imagenet_1k_classes();
        assert_eq!(match_classes(&names(&["n15075141", "n01440764"]), &imagenet).unwrap(), [999, 0]);
        assert!(match_classes(&names(&["n01440764"]), &names(&["ant", "bee"])).is_err());
    }
}
