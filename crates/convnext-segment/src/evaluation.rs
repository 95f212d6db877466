//! Results of the evaluation of a segmentation network, as they stand in files.

use convnext_core::{ClassNames, Kind, SegmentationTask};
use convnext_data::CorruptFile;
use convnext_train::{Direction, Metric, ValidationResult};
use serde::{Deserialize, Serialize};

use crate::confusion::{ConfusionMatrix, PixelScores};

/// Results over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentationEvaluation {
    /// Images looked at.
    pub images: usize,
    /// Mean intersection over union, in [0, 1]; `None` without pixels, as of the next two.
    pub miou: Option<f64>,
    /// Share of pixels that were predicted as their class.
    pub pixel_accuracy: Option<f64>,
    /// Mean over the classes of the share of their pixels that was predicted as them.
    pub mean_accuracy: Option<f64>,
    /// Each class, in the order of the outputs.
    pub classes: Vec<SegmentationClass>,
    /// Pixels by class, in rows, and by the class that was predicted, in columns.
    pub confusion: Vec<Vec<u64>>,
    /// Images of the highest mean intersection over union, the best first.
    #[serde(default)]
    pub best: Vec<SegmentedSample>,
    /// Images of the lowest, the worst first.
    #[serde(default)]
    pub worst: Vec<SegmentedSample>,
    /// Images that could not be read and do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
}

/// Results of one class; `None` where nothing is to be divided by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentationClass {
    /// Its name.
    pub name: String,
    /// Intersection over union, in [0, 1].
    pub iou: Option<f64>,
    /// Share of its pixels that were predicted as it.
    pub accuracy: Option<f64>,
    /// Its pixels.
    pub pixels: u64,
}

/// An image, and how well its pixels were told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentedSample {
    /// The image.
    pub image: String,
    /// Mean intersection over union of the classes that are in it or were predicted.
    pub miou: f64,
    /// Path in the run folder of image, truth, prediction and error, side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl SegmentationEvaluation {
    /// The name of the metric by which networks are compared.
    pub(crate) const MIOU: &'static str = "miou";

    /// The results of so many images with these counts.
    pub(crate) fn new(images: usize, counts: &ConfusionMatrix, names: &ClassNames) -> Self {
        let class = |(class, scores): (usize, PixelScores)| SegmentationClass {
            name: names.name(class),
            iou: scores.iou,
            accuracy: scores.accuracy,
            pixels: scores.pixels,
        };
        Self {
            images,
            miou: counts.mean_iou(),
            pixel_accuracy: counts.pixel_accuracy(),
            mean_accuracy: counts.mean_accuracy(),
            classes: counts.classes().into_iter().enumerate().map(class).collect(),
            confusion: counts.rows(),
            best: Vec::new(),
            worst: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The metrics, the one by which networks are compared first.
    pub fn metrics(&self) -> Vec<Metric> {
        let share = |name, value, label| {
            Metric::new(name, value, Direction::HigherIsBetter).fraction().labelled(label)
        };
        vec![
            share(Self::MIOU, self.miou, "mIoU"),
            share("pixel_accuracy", self.pixel_accuracy, "pixel accuracy"),
            share("mean_accuracy", self.mean_accuracy, "mean accuracy"),
        ]
    }
}

impl From<SegmentationEvaluation> for ValidationResult {
    fn from(mut result: SegmentationEvaluation) -> Self {
        let left_out = std::mem::take(&mut result.left_out);
        Self { left_out, ..Self::new(SegmentationTask::KIND, result.metrics(), &result) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_from_their_file() {
        let mut counts = ConfusionMatrix::new(3);
        counts.add(&[0, 0, 0, 1], &[0, 0, 1, 1]);
        let names = ClassNames(["sky", "road", "car"].map(str::to_owned).into());
        let result = SegmentationEvaluation::new(1, &counts, &names);
        let measured = ValidationResult::from(result.clone());
        let file = serde_json::to_value(&measured).unwrap();
        assert_eq!((&file["kind"], &file["pixel_accuracy"]), (&"segmentation".into(), &0.75.into()));
        assert_eq!(file["classes"][0]["name"], "sky");
        // What is nowhere is null.
        let car = &file["classes"][2];
        assert!(car["iou"].is_null() && car["accuracy"].is_null() && car["pixels"] == 0);
        let read: ValidationResult = serde_json::from_value(file).unwrap();
        assert_eq!(read.details::<SegmentationEvaluation>().unwrap(), result);
        let shown: Vec<String> = measured.metrics.iter().map(Metric::to_string).collect();
        assert_eq!(shown, ["mIoU 58.33 %", "pixel accuracy 75.00 %", "mean accuracy 83.33 %"]);
    }
}
