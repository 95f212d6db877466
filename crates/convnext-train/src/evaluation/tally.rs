//! Running counts and sums of the evaluation of a classifier.

use std::collections::BTreeMap;

use convnext_core::{ClassNames, Seed};
use convnext_data::Dataset;
use serde::{Deserialize, Serialize};

use crate::evaluation::class_scores::ClassScores;
use crate::evaluation::results::{ClassResult, Confusion, Evaluation, SamplePrediction};

/// Mistakes that are listed.
const MISTAKES: usize = 12;

/// Images that are drawn to be shown.
const SAMPLES: usize = 12;

/// What a classifier answered for an image: all that is counted of it, as ranks send it to each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    sample: usize,
    /// The class of the image.
    label: usize,
    /// The class that was predicted.
    predicted: usize,
    /// Its probability.
    probability: f64,
    /// The logarithm of the probability of the image's class.
    log: f64,
    /// Classes that are at least as probable as the image's.
    ahead: usize,
}

impl Answer {
    /// The answer for a sample of this class, by the logarithms of its class probabilities.
    pub(crate) fn new(sample: usize, logs: &[f64], label: usize) -> Self {
        let log = logs[label];
        // Ties count against the classifier, so that constant logits are not right by accident.
        let ahead = logs.iter().enumerate().filter(|&(class, &other)| class != label && other >= log).count();
        let predicted = if ahead < 1 { label } else { best_other(logs, label) };
        Self { sample, label, predicted, probability: logs[predicted].exp(), log, ahead }
    }
}

/// Running sums.
pub(crate) struct Tally {
    pub(crate) images: usize,
    top1: usize,
    top5: usize,
    loss: f64,
    /// For each class: images, of these recognised.
    classes: Vec<[usize; 2]>,
    /// Images by class and predicted class.
    confusion: BTreeMap<(usize, usize), usize>,
    /// The most confident errors, the most confident first, at most [`MISTAKES`].
    mistakes: Vec<Answer>,
    /// Samples to show, in ascending order.
    drawn: Vec<usize>,
    /// The answers for them, as far as they came.
    samples: Vec<Answer>,
}

impl Tally {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            images: 0,
            top1: 0,
            top5: 0,
            loss: 0.0,
            classes: vec![[0, 0]; classes],
            confusion: BTreeMap::new(),
            mistakes: Vec::new(),
            drawn: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// The same, with some images of the data set that the seed draws to be shown.
    pub(crate) fn showing(self, dataset: &Dataset, seed: Seed) -> Self {
        Self { drawn: dataset.draw(SAMPLES, seed), ..self }
    }

    /// Counts one image.
    pub(crate) fn add(&mut self, answer: Answer) {
        let Answer { sample, label, predicted, log, ahead, .. } = answer;
        self.images += 1;
        self.top1 += usize::from(ahead < 1);
        self.top5 += usize::from(ahead < 5);
        self.loss -= log;
        self.classes[label][0] += 1;
        self.classes[label][1] += usize::from(ahead < 1);
        *self.confusion.entry((label, predicted)).or_default() += 1;
        if self.drawn.binary_search(&sample).is_ok() {
            self.samples.push(answer);
        }
        if predicted != label {
            self.mistakes.push(answer);
            // Equally sure ones stay in the order of the data.
            self.mistakes.sort_by(|left, right| right.probability.total_cmp(&left.probability));
            self.mistakes.truncate(MISTAKES);
        }
    }

    pub(crate) fn finish(self, names: &ClassNames, image_name: impl Fn(usize) -> String) -> Evaluation {
        // Of no images there is no mean.
        let mean = |sum: f64| (self.images > 0).then(|| sum / self.images as f64);
        let prediction = |answer: Answer| SamplePrediction {
            image: image_name(answer.sample),
            sample: answer.sample,
            label: names.name(answer.label),
            predicted: names.name(answer.predicted),
            probability: answer.probability,
            thumbnail: None,
        };
        let classes = self.classes.iter().enumerate().filter(|(_, [images, _])| *images > 0);
        let mistakes = self.mistakes.into_iter().map(prediction).collect();
        let samples = self.samples.into_iter().map(prediction).collect();
        let result = Evaluation {
            images: self.images,
            top1: mean(self.top1 as f64),
            top5: mean(self.top5 as f64),
            loss: mean(self.loss),
            classes: classes.map(|(index, &counts)| class_result(names.name(index), counts)).collect(),
            confusion: (self.confusion.into_iter())
                .map(|((label, predicted), images)| Confusion {
                    label: names.name(label),
                    predicted: names.name(predicted),
                    images,
                })
                .collect(),
            macro_average: ClassScores::default(),
            mistakes,
            samples,
            left_out: Vec::new(),
        };
        result.scored()
    }
}

/// A class with images, before it is scored.
fn class_result(label: String, [images, correct]: [usize; 2]) -> ClassResult {
    let accuracy = correct as f64 / images as f64;
    ClassResult { label, images, correct, accuracy, predicted: 0, scores: ClassScores::default() }
}

/// The most probable class besides one; the first of equals.
fn best_other(logs: &[f64], label: usize) -> usize {
    let others = (0..logs.len()).filter(|&class| class != label).rev();
    others.max_by(|&left, &right| logs[left].total_cmp(&logs[right])).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::logits::log_probabilities;

    #[test]
    fn the_tally_counts_ranks_ties_and_surprise() {
        let mut tally = Tally::new(7);
        let logs = log_probabilities(&[0.0, 5.0, 1.0, 2.0, 3.0, 4.0, -1.0]).unwrap();
        tally.add(Answer::new(10, &logs, 1)); // first
        tally.add(Answer::new(11, &logs, 0)); // sixth
        tally.add(Answer::new(12, &logs, 2)); // fifth
        tally.add(Answer::new(13, &log_probabilities(&[1.0; 7]).unwrap(), 3)); // tied with all
        let names = ClassNames((0..7).map(|i| format!("c{i}")).collect());
        let result = tally.finish(&names, |sample| sample.to_string());
        assert_eq!((result.images, result.top1, result.top5), (4, Some(0.25), Some(0.5)));
        let exps: f64 = [0.0, 5.0, 1.0, 2.0, 3.0, 4.0, -1.0_f64].iter().map(|x| x.exp()).sum();
        let expected = (3.0 * exps.ln() - 5.0 - 0.0 - 1.0 + 7.0_f64.ln()) / 4.0;
        assert!((result.loss.unwrap() - expected).abs() < 1e-6);
        assert_eq!(result.classes.len(), 4);
        let pairs: Vec<(&str, &str, usize)> = (result.confusion.iter())
            .map(|pair| (pair.label.as_str(), pair.predicted.as_str(), pair.images))
            .collect();
        assert_eq!(pairs, [("c0", "c1", 1), ("c1", "c1", 1), ("c2", "c1", 1), ("c3", "c0", 1)]);
        let mistakes: Vec<(&str, &str)> = (result.mistakes.iter())
            .map(|mistake| (mistake.image.as_str(), mistake.predicted.as_str()))
            .collect();
        assert_eq!(mistakes, [("11", "c1"), ("12", "c1"), ("13", "c0")]);
        assert!((result.mistakes[2].probability - 1.0 / 7.0).abs() < 1e-12);
        assert_eq!((result.classes[1].label.as_str(), result.classes[1].accuracy), ("c1", 1.0));
    }

    #[derive(Deserialize)]
    struct Golden {
        truth: Vec<usize>,
        predicted: Vec<usize>,
        scores: Vec<[f64; 3]>,
        macro_average: [f64; 3],
    }

    fn check(found: ClassScores, expected: [f64; 3]) {
        // Where scikit-learn has nothing to divide by, it says 0.
        let found = [found.precision, found.recall, found.f1].map(|score| score.unwrap_or(0.0));
        let is_close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12);
        assert!(is_close, "{found:?} instead of {expected:?}");
    }

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/goldens/class_scores.json")).unwrap();
        let mut tally = Tally::new(6);
        for (sample, (&label, &answer)) in golden.truth.iter().zip(&golden.predicted).enumerate() {
            let logs: Vec<f64> = (0..6).map(|class| if class == answer { -0.1 } else { -4.0 }).collect();
            tally.add(Answer::new(sample, &logs, label));
        }
        let names = ClassNames((0..6).map(|class| format!("c{class}")).collect());
        let result = tally.finish(&names, |sample| sample.to_string());
        assert_eq!(result.classes.len(), golden.scores.len());
        for (class, expected) in result.classes.iter().zip(golden.scores) {
            check(class.scores, expected);
        }
        check(result.macro_average, golden.macro_average);
        assert_eq!((result.classes[4].predicted, result.classes[4].scores.precision), (0, None));
        // A file of an earlier version has the counts alone, from which the scores come back.
        let mut old = serde_json::to_value(&result).unwrap();
        for key in ["macro_average", "samples"] {
            old.as_object_mut().unwrap().remove(key);
        }
        for class in old["classes"].as_array_mut().unwrap() {
            class
                .as_object_mut()
                .unwrap()
                .retain(|key, _| ["label", "images", "correct", "accuracy"].contains(&key.as_str()));
        }
        let read: Evaluation = serde_json::from_value(old).unwrap();
        assert_eq!(read.macro_average, ClassScores::default());
        let read = read.scored();
        assert_eq!((read.classes, read.macro_average), (result.classes, result.macro_average));
    }
}
