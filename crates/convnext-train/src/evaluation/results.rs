//! Results of the evaluation of a classifier, as they stand in files.

use std::collections::BTreeMap;

use convnext_data::CorruptFile;
use serde::{Deserialize, Serialize};

use crate::evaluation::class_scores::ClassScores;
use crate::training::metric::{Direction, Metric};

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
