//! Images of an evaluation that are shown with what was predicted for them.

use convnext_core::{ClassNames, Seed};
use convnext_data::Dataset;
use serde::{Deserialize, Serialize};

use crate::threshold::{THRESHOLD, is_answer, probability};

/// Images that the seed draws.
const SAMPLES: usize = 12;

/// Errors that are listed.
const MISTAKES: usize = 12;

/// An image, its classes and those that were predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelSample {
    /// The image.
    pub image: String,
    /// Its index in the data set.
    #[serde(skip)]
    pub sample: usize,
    /// Its classes.
    pub labels: Vec<String>,
    /// The classes with a probability of [`crate::THRESHOLD`] or more.
    pub predicted: Vec<ClassProbability>,
    /// Path in the run folder of the image as the network saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// A class and the probability that it is in an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// Name of the class.
    pub label: String,
    /// Its probability, in [0, 1].
    pub probability: f64,
}

/// A class that is in an image and was not found, or was predicted and is not in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelMistake {
    /// The image.
    pub image: String,
    /// Its index in the data set.
    #[serde(skip)]
    pub sample: usize,
    /// The class.
    pub label: String,
    /// `true` if the class is in the image.
    pub is_in: bool,
    /// The probability of the class, below [`crate::THRESHOLD`] if it is in the image.
    pub probability: f64,
    /// Path in the run folder of the image as the network saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// Images to show of an evaluation in progress.
pub(crate) struct Shown<'a> {
    dataset: &'a Dataset,
    classes: &'a ClassNames,
    /// Samples to show, in ascending order.
    drawn: Vec<usize>,
    pub(crate) samples: Vec<MultiLabelSample>,
    /// The most confident errors, the most confident first, at most [`MISTAKES`].
    pub(crate) mistakes: Vec<MultiLabelMistake>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(dataset: &'a Dataset, classes: &'a ClassNames, seed: Seed) -> Self {
        let drawn = dataset.draw(SAMPLES, seed);
        Self { dataset, classes, drawn, samples: Vec::new(), mistakes: Vec::new() }
    }

    /// Takes up the outputs for an image, and which classes are in it.
    pub(crate) fn add(&mut self, sample: usize, logits: &[f32], is_in: &[bool]) {
        if self.drawn.binary_search(&sample).is_ok() {
            self.samples.push(self.sample(sample, logits, is_in));
        }
        for (class, (&logit, &is_in)) in logits.iter().zip(is_in).enumerate() {
            if is_answer(logit) != is_in {
                self.add_mistake(sample, class, (logit, is_in));
            }
        }
    }

    fn sample(&self, sample: usize, logits: &[f32], is_in: &[bool]) -> MultiLabelSample {
        let predicted = logits.iter().enumerate().filter(|(_, logit)| is_answer(**logit));
        let labels = is_in.iter().enumerate().filter(|(_, is_in)| **is_in);
        MultiLabelSample {
            image: self.dataset.name(sample),
            sample,
            labels: labels.map(|(class, _)| self.classes.name(class)).collect(),
            predicted: predicted
                .map(|(class, &logit)| ClassProbability {
                    label: self.classes.name(class),
                    probability: probability(logit),
                })
                .collect(),
            thumbnail: None,
        }
    }

    fn add_mistake(&mut self, sample: usize, class: usize, (logit, is_in): (f32, bool)) {
        let probability = probability(logit);
        let away = |probability: f64| (probability - THRESHOLD).abs();
        let is_listed = self.mistakes.len() < MISTAKES
            || self.mistakes.last().is_some_and(|last| away(probability) > away(last.probability));
        if !is_listed {
            return;
        }
        let (image, label) = (self.dataset.name(sample), self.classes.name(class));
        self.mistakes.push(MultiLabelMistake { image, sample, label, is_in, probability, thumbnail: None });
        // Equally confident ones stay in the order of the data.
        self.mistakes.sort_by(|left, right| away(right.probability).total_cmp(&away(left.probability)));
        self.mistakes.truncate(MISTAKES);
    }
}
