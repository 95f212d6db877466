//! Average precision and average recall, as COCO defines them.

use serde::{Deserialize, Serialize};

use crate::evaluation::matching::{ClassMatches, MatchedDetection};
use crate::evaluation::precision_recall::{Curve, RankedDetections, mean};
use crate::evaluation::protocol::{AREAS, AT_50, AT_75, RECALLS};

/// COCO's twelve numbers, in [0, 1]; `None` where there are no objects to be found. Classes without objects do not count, what
/// was found of them included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectionScores {
    /// Average precision: the mean over classes, over overlaps of 0.5 to 0.95 from which a detection is right, and over recalls.
    #[serde(rename = "AP")]
    pub ap: Option<f64>,
    /// That at an overlap of 0.5.
    #[serde(rename = "AP50")]
    pub ap50: Option<f64>,
    /// That at an overlap of 0.75.
    #[serde(rename = "AP75")]
    pub ap75: Option<f64>,
    /// That of objects of at most 32² pixels.
    #[serde(rename = "APs")]
    pub ap_small: Option<f64>,
    /// That of objects of 32² to 96² pixels.
    #[serde(rename = "APm")]
    pub ap_medium: Option<f64>,
    /// That of objects of at least 96² pixels.
    #[serde(rename = "APl")]
    pub ap_large: Option<f64>,
    /// Average recall with one detection of a class in an image: the mean over classes and overlaps.
    #[serde(rename = "AR1")]
    pub ar1: Option<f64>,
    /// That with ten.
    #[serde(rename = "AR10")]
    pub ar10: Option<f64>,
    /// That with a hundred.
    #[serde(rename = "AR100")]
    pub ar100: Option<f64>,
    /// That of objects of at most 32² pixels.
    #[serde(rename = "ARs")]
    pub ar_small: Option<f64>,
    /// That of objects of 32² to 96² pixels.
    #[serde(rename = "ARm")]
    pub ar_medium: Option<f64>,
    /// That of objects of at least 96² pixels.
    #[serde(rename = "ARl")]
    pub ar_large: Option<f64>,
}

/// Precision at the recalls 0, 0.01 to 1, the mean over the classes that have objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// At an overlap of 0.5.
    pub at_50: Vec<f64>,
    /// At an overlap of 0.75.
    pub at_75: Vec<f64>,
    /// The mean over overlaps of 0.5 to 0.95.
    pub mean: Vec<f64>,
}

/// What was measured of one class.
#[derive(Debug, Clone)]
pub(crate) struct ClassScores {
    /// Objects that are to be found, of any size.
    pub(crate) objects: u64,
    /// Average precision in each range of areas that has objects.
    pub(crate) precision: [Option<f64>; AREAS],
    /// Average recall there.
    recall: [Option<f64>; AREAS],
    /// Average recall with 1, 10 and 100 detections.
    recall_by_detections: Option<[f64; 3]>,
    /// Curves at overlaps of 0.5 and 0.75, and the mean of all, where there are objects.
    curves: Option<Box<[Curve; 3]>>,
}

impl ClassScores {
    /// The measures of all matches of a class, in the order of their images.
    pub(crate) fn new(matches: &[&ClassMatches]) -> Self {
        let mut detections: Vec<MatchedDetection> =
            matches.iter().flat_map(|matches| &matches.detections).copied().collect();
        detections.sort_by(|one, other| other.score.total_cmp(&one.score));
        let mut scores = Self {
            objects: matches.iter().map(|matches| matches.objects[0]).sum(),
            precision: [None; AREAS],
            recall: [None; AREAS],
            recall_by_detections: None,
            curves: None,
        };
        for area in 0..AREAS {
            let objects = matches.iter().map(|matches| matches.objects[area]).sum();
            if objects == 0 {
                continue;
            }
            let ranked = RankedDetections { detections: &detections, area, objects };
            let (curves, recalls) = (ranked.curves(), ranked.mean_recalls());
            let average: Curve = std::array::from_fn(|recall| mean(&curves.map(|curve| curve[recall])));
            scores.precision[area] = Some(mean(&average));
            scores.recall[area] = Some(recalls[2]);
            if area == 0 {
                scores.recall_by_detections = Some(recalls);
                scores.curves = Some(Box::new([curves[AT_50], curves[AT_75], average]));
            }
        }
        scores
    }

    /// Average precision at overlaps of 0.5 and 0.75.
    fn precision_at(&self, curve: usize) -> Option<f64> {
        self.curves.as_ref().map(|curves| mean(&curves[curve]))
    }
}

impl DetectionScores {
    /// The means over classes.
    pub(crate) fn new(classes: &[ClassScores]) -> Self {
        let precision = |area: usize| mean_of(classes, |class| class.precision[area]);
        let recall = |area: usize| mean_of(classes, |class| class.recall[area]);
        let by_detections =
            |place: usize| mean_of(classes, |class| class.recall_by_detections.map(|recall| recall[place]));
        Self {
            ap: precision(0),
            ap50: mean_of(classes, |class| class.precision_at(0)),
            ap75: mean_of(classes, |class| class.precision_at(1)),
            ap_small: precision(1),
            ap_medium: precision(2),
            ap_large: precision(3),
            ar1: by_detections(0),
            ar10: by_detections(1),
            ar100: by_detections(2),
            ar_small: recall(1),
            ar_medium: recall(2),
            ar_large: recall(3),
        }
    }
}

impl PrecisionRecall {
    /// The means over classes; no points when no class has objects.
    pub(crate) fn new(classes: &[ClassScores]) -> Self {
        let curve = |number: usize| {
            let point = |recall: usize| {
                mean_of(classes, |class| class.curves.as_ref().map(|curves| curves[number][recall]))
            };
            (0..RECALLS).filter_map(point).collect()
        };
        Self { at_50: curve(0), at_75: curve(1), mean: curve(2) }
    }
}

/// The mean over the classes that have a value.
fn mean_of(classes: &[ClassScores], value: impl Fn(&ClassScores) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = classes.iter().filter_map(value).collect();
    (!values.is_empty()).then(|| mean(&values))
}
