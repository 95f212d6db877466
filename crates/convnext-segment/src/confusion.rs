//! Confusion counts of pixels, and the measures that are made of them (docs/facts.md, "F. Segmentation").
//!
//! The definitions are those of mmsegmentation 1.2.2,
//! [`iou_metric.py`](https://github.com/open-mmlab/mmsegmentation/blob/v1.2.2/mmseg/evaluation/metrics/iou_metric.py)
//! (Apache-2.0). What differs: a label that is no class is refused where masks are read, and does not vanish here.

use convnext_data::LabelMap;
use serde::{Deserialize, Serialize};

/// Counts of pixels by their class and the class that was predicted for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `[classes, classes]`: rows are classes of the truth, columns predicted ones.
    counts: Vec<u64>,
}

/// The measures of one class; `None` where nothing is to be divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelScores {
    /// Pixels of the class.
    pub pixels: u64,
    /// Intersection over union: pixels of the class that were predicted as it, over those that are it or were predicted as
    /// it.
    pub iou: Option<f64>,
    /// Pixels of the class that were predicted as it, over those of the class.
    pub accuracy: Option<f64>,
}

impl ConfusionMatrix {
    /// No pixel yet, of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts the pixels of a label map and of what was predicted; pixels without a class count nowhere.
    ///
    /// # Panics
    /// When a label or a prediction is no class, or there are not as many of one as of the other.
    pub fn add(&mut self, labels: &[u16], predicted: &[u16]) {
        assert_eq!(labels.len(), predicted.len(), "there is a prediction for each label");
        for (&label, &predicted) in labels.iter().zip(predicted) {
            if label != LabelMap::IGNORED {
                assert!(usize::from(predicted) < self.classes, "{predicted} is no class");
                self.counts[usize::from(label) * self.classes + usize::from(predicted)] += 1;
            }
        }
    }

    /// Adds the counts of other pixels. Counts are whole numbers, so that the order does not matter.
    ///
    /// # Panics
    /// When the other matrix has another number of classes.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "both have the same classes");
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
    }

    /// The rows: for each class of the truth the pixels that were predicted as each class.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes.max(1)).map(<[u64]>::to_vec).collect()
    }

    /// The measures of each class.
    pub fn classes(&self) -> Vec<PixelScores> {
        let mut predicted = vec![0; self.classes];
        for row in self.counts.chunks(self.classes.max(1)) {
            predicted.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        let of_class = |(class, row): (usize, &[u64])| {
            let (pixels, intersection) = (row.iter().sum::<u64>(), row[class]);
            let union = pixels + predicted[class] - intersection;
            PixelScores { pixels, iou: share(intersection, union), accuracy: share(intersection, pixels) }
        };
        self.counts.chunks(self.classes.max(1)).enumerate().map(of_class).collect()
    }

    /// The share of pixels that were predicted as their class (mmsegmentation's `aAcc`); `None` without pixels.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let right = self.counts.iter().step_by(self.classes + 1).sum();
        share(right, self.counts.iter().sum())
    }

    /// The mean intersection over union (mmsegmentation's `mIoU`) of the classes that are anywhere or were predicted;
    /// `None` without pixels.
    pub fn mean_iou(&self) -> Option<f64> {
        mean(self.classes().into_iter().filter_map(|class| class.iou))
    }

    /// The mean accuracy (mmsegmentation's `mAcc`) of the classes that are anywhere; `None` without pixels.
    pub fn mean_accuracy(&self) -> Option<f64> {
        mean(self.classes().into_iter().filter_map(|class| class.accuracy))
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGNORED: u16 = LabelMap::IGNORED;

    /// Written by `tests/goldens/make_metrics.py`.
    #[derive(Deserialize)]
    struct Golden {
        classes: usize,
        labels: Vec<Vec<u16>>,
        predicted: Vec<Vec<u16>>,
        iou: Vec<Option<f64>>,
        accuracy: Vec<Option<f64>>,
        miou: f64,
        mean_accuracy: f64,
        pixel_accuracy: f64,
    }

    fn is_close(found: Option<f64>, expected: Option<f64>) -> bool {
        match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        }
    }

    #[test]
    fn measures_are_those_of_numpy() {
        let golden: Golden =
            serde_json::from_str(include_str!("../tests/goldens/metrics.json")).expect("a golden");
        let mut together = ConfusionMatrix::new(golden.classes);
        for (labels, predicted) in golden.labels.iter().zip(&golden.predicted) {
            let mut own = ConfusionMatrix::new(golden.classes);
            own.add(labels, predicted);
            together.merge(&own);
        }
        for (class, found) in together.classes().into_iter().enumerate() {
            assert!(is_close(found.iou, golden.iou[class]), "{class}: {found:?}");
            assert!(is_close(found.accuracy, golden.accuracy[class]), "{class}: {found:?}");
        }
        assert!(is_close(together.mean_iou(), Some(golden.miou)));
        assert!(is_close(together.mean_accuracy(), Some(golden.mean_accuracy)));
        assert!(is_close(together.pixel_accuracy(), Some(golden.pixel_accuracy)));
    }

    #[test]
    fn what_is_nowhere_is_not_measured() {
        let mut matrix = ConfusionMatrix::new(3);
        assert_eq!((matrix.mean_iou(), matrix.mean_accuracy(), matrix.pixel_accuracy()), (None, None, None));
        matrix.add(&[IGNORED, IGNORED], &[0, 2]);
        assert_eq!(matrix, ConfusionMatrix::new(3));
        // Class 1 is in no label, but predicted: its intersection over union is 0 and its accuracy nothing.
        matrix.add(&[0, 0, IGNORED], &[0, 1, 1]);
        let [first, second, third] = matrix.classes()[..] else { panic!("three classes") };
        assert_eq!(first, PixelScores { pixels: 2, iou: Some(0.5), accuracy: Some(0.5) });
        assert_eq!(second, PixelScores { pixels: 0, iou: Some(0.0), accuracy: None });
        assert_eq!(third, PixelScores { pixels: 0, iou: None, accuracy: None });
        assert_eq!((matrix.mean_iou(), matrix.mean_accuracy()), (Some(0.25), Some(0.5)));
        assert_eq!(matrix.rows(), [[1, 1, 0], [0, 0, 0], [0, 0, 0]]);
    }
}
