//! Results of the evaluation of a detector, as they stand in files.

use convnext_core::{DetectionTask, Kind};
use convnext_data::CorruptFile;
use convnext_train::{Direction, Metric, ValidationResult};
use serde::{Deserialize, Serialize};

use crate::evaluation::average_precision::{DetectionScores, PrecisionRecall};
use crate::evaluation::image_errors::ImageErrors;

/// Results over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionEvaluation {
    /// Images looked at.
    pub images: usize,
    /// COCO's numbers by boxes.
    #[serde(rename = "box")]
    pub boxes: DetectionScores,
    /// COCO's numbers by masks; `None` when no masks were compared.
    #[serde(rename = "mask", default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<DetectionScores>,
    /// Each class, in the order of the outputs.
    pub classes: Vec<DetectionClass>,
    /// Precision by recall.
    pub curves: DetectionCurves,
    /// Objects by class, in rows, and by the class as which they were found, in columns; the last row is the background, where
    /// nothing is, and the last column holds missed objects.
    pub confusion: Vec<Vec<u64>>,
    /// Errors of all images together.
    pub errors: ImageErrors,
    /// Images with the fewest errors, the best first.
    #[serde(default)]
    pub best: Vec<DetectedSample>,
    /// Images with the most, the worst first.
    #[serde(default)]
    pub worst: Vec<DetectedSample>,
    /// Images that could not be read and do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
}

/// Results of one class; `None` where there are no objects of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionClass {
    /// Its name.
    pub name: String,
    /// Its objects, crowds not counted.
    pub objects: u64,
    /// Average precision by boxes, in [0, 1].
    #[serde(rename = "box_AP")]
    pub box_ap: Option<f64>,
    /// Average precision by masks; `None` too when no masks were compared.
    #[serde(rename = "mask_AP")]
    pub mask_ap: Option<f64>,
}

/// Precision by recall, the mean over the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionCurves {
    /// By boxes.
    #[serde(rename = "box")]
    pub boxes: PrecisionRecall,
    /// By masks; `None` when no masks were compared.
    #[serde(rename = "mask", default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<PrecisionRecall>,
}

/// An image, and how well its objects were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectedSample {
    /// The image.
    pub image: String,
    /// Harmonic mean of precision and recall, in [0, 1]: [`ImageErrors::f1`].
    pub f1: f64,
    /// Counts of its detections and missed objects.
    pub errors: ImageErrors,
    /// Path in the run folder of image, truth and prediction, side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl DetectionEvaluation {
    /// The name of the metric by which detectors are compared: average precision by boxes.
    pub const AP: &'static str = "AP";

    /// The metrics that trainings follow, the one by which detectors are compared first. Those by masks begin with `mask_`.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = metrics("", "box ", &self.boxes);
        metrics.extend(self.masks.iter().flat_map(|masks| self::metrics("mask_", "mask ", masks)));
        metrics
    }
}

fn metrics(prefix: &str, label: &str, scores: &DetectionScores) -> Vec<Metric> {
    let DetectionScores { ap, ap50, .. } = *scores;
    [(DetectionEvaluation::AP, ap), ("AP50", ap50)]
        .map(|(name, value)| {
            Metric::new(format!("{prefix}{name}"), value, Direction::HigherIsBetter)
                .fraction()
                .labelled(format!("{label}{name}"))
        })
        .into()
}

impl From<DetectionEvaluation> for ValidationResult {
    fn from(mut result: DetectionEvaluation) -> Self {
        let left_out = std::mem::take(&mut result.left_out);
        Self { left_out, ..Self::new(DetectionTask::KIND, result.metrics(), &result) }
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{BoundingBox, ClassNames, ImageSize};
    use convnext_data::Instance;

    use super::*;
    use crate::detection::Detection;
    use crate::evaluation::measured_image::{DetectionMeasures, MeasuredImage};
    use crate::evaluation::scorer::DetectionScorer;

    #[test]
    fn results_come_back_from_their_file() {
        let bounds = BoundingBox { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0 };
        let object = Instance { class: 0, bounds, mask: None, area: 81.0, is_crowd: false };
        let found = Detection { class: 0, score: 0.9, bounds, mask: None };
        let measures = DetectionMeasures { masks: false, min_score: 0.5 };
        let mut scorer = DetectionScorer::new(ClassNames(["cell", "car"].map(str::to_owned).into()));
        scorer.add(0, MeasuredImage::new(&[object], &[found], ImageSize::square(9), &measures));
        let result = scorer.finish();
        let measured = ValidationResult::from(result.clone());
        let file = serde_json::to_value(&measured).unwrap();
        assert_eq!((&file["kind"], &file["errors"]["right"]), (&"detection".into(), &1.into()));
        assert!(file["box"]["AP"].as_f64().unwrap() > 1.0 - 1e-12 && file["box"]["APl"].is_null());
        assert!(file.get("mask").is_none() && file["classes"][1]["box_AP"].is_null());
        assert_eq!(file["box"].as_object().unwrap().len(), 12);
        let read: ValidationResult = serde_json::from_value(file).unwrap();
        assert_eq!(read.details::<DetectionEvaluation>().unwrap(), result);
        let shown: Vec<String> = measured.metrics[..2].iter().map(Metric::to_string).collect();
        assert_eq!(shown, ["box AP 100.00 %", "box AP50 100.00 %"]);
    }
}
