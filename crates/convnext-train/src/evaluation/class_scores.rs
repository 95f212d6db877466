//! Precision, recall and F1 of a class, and their means over classes.

use serde::{Deserialize, Serialize};

/// Precision, recall and F1, in [0, 1]; `None` where nothing is counted that they are a share of, in files `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassScores {
    /// Share of the images predicted as the class that are of it.
    pub precision: Option<f64>,
    /// Share of the images of the class that are predicted as it.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
}

impl ClassScores {
    /// The scores of a class with so many images, of so many predictions, of which so many are right.
    pub fn of_counts(images: usize, predicted: usize, correct: usize) -> Self {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            precision: share(correct, predicted),
            recall: share(correct, images),
            f1: share(2 * correct, images + predicted),
        }
    }

    /// The mean over classes, each counting alike: of those that have images, as those without have no recall. A
    /// precision that is `None`, because the class is never predicted, counts as 0, as in scikit-learn.
    pub fn macro_average(classes: impl IntoIterator<Item = Self>) -> Self {
        let classes: Vec<Self> = classes.into_iter().filter(|scores| scores.recall.is_some()).collect();
        let mean = |score: fn(&Self) -> Option<f64>| {
            let sum: f64 = classes.iter().map(|scores| score(scores).unwrap_or(0.0)).sum();
            (!classes.is_empty()).then(|| sum / classes.len() as f64)
        };
        Self {
            precision: mean(|scores| scores.precision),
            recall: mean(|scores| scores.recall),
            f1: mean(|scores| scores.f1),
        }
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::ClassNames;
    use serde::Deserialize;

    use super::*;
    use crate::evaluation::evaluate::Evaluation;
    use crate::evaluation::tally::Tally;

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
            tally.add(sample, &logs, label);
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

    #[test]
    fn of_no_class_there_is_no_mean() {
        assert_eq!(ClassScores::macro_average([]), ClassScores::default());
        assert_eq!(ClassScores::of_counts(0, 0, 0), ClassScores::default());
        assert_eq!(ClassScores::of_counts(0, 3, 0).f1, Some(0.0));
    }
}
