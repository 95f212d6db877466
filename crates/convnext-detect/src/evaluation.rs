//! Measures of a detector: COCO's average precision and recall, precision-recall curves, confusion, and errors of images.

pub(crate) mod average_precision;
pub(crate) mod detection_evaluation;
pub(crate) mod image_errors;
pub(crate) mod matching;
pub(crate) mod measured_image;
pub(crate) mod overlaps;
pub(crate) mod precision_recall;
pub(crate) mod protocol;
pub(crate) mod scorer;
#[cfg(test)]
mod tests;
