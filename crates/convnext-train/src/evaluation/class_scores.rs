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
    use super::*;

    #[test]
    fn of_no_class_there_is_no_mean() {
        assert_eq!(ClassScores::macro_average([]), ClassScores::default());
        assert_eq!(ClassScores::of_counts(0, 0, 0), ClassScores::default());
        assert_eq!(ClassScores::of_counts(0, 3, 0).f1, Some(0.0));
    }
}
