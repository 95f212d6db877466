//! Object detection and instance segmentation: boxes and masks of the objects in an image, by Mask R-CNN on a ConvNeXt (paper
//! Table 6, appendix A.3).
//!
//! **Invariant:** no arguments, no printing.

mod detection;
mod evaluation;
mod pictures;
mod results_json;

pub use detection::Detection;
pub use evaluation::average_precision::{DetectionScores, PrecisionRecall};
pub use evaluation::best_and_worst::{BestAndWorst, DetectionComparisons};
pub use evaluation::detection_evaluation::{
    DetectedSample, DetectionClass, DetectionCurves, DetectionEvaluation,
};
pub use evaluation::image_errors::ImageErrors;
pub use evaluation::measured_image::{DetectionMeasures, MeasuredImage};
pub use evaluation::scorer::DetectionScorer;
pub use pictures::{DrawnObject, detection_comparison, detection_overlay};
pub use results_json::{CocoMask, CocoResult, ResultsWriter, read_results};
