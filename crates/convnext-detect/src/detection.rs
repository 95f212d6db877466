//! One found object.

use convnext_core::BoundingBox;
use convnext_data::RunLengths;

/// An object that a detector found in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Index into the classes.
    pub class: usize,
    /// Confidence in 0 to 1.
    pub score: f64,
    /// Its box in pixels of the image.
    pub bounds: BoundingBox,
    /// Its pixels; `None` for detectors of boxes alone.
    pub mask: Option<RunLengths>,
}
