//! Object detection and instance segmentation: boxes and masks of the objects in an image, by Mask R-CNN on a ConvNeXt (paper
//! Table 6, appendix A.3).
//!
//! **Invariant:** no arguments, no printing.

mod recipe;
mod suppression;

pub use recipe::detect_recipe::DetectRecipe;
pub use recipe::sections::{
    DetectAugmentation, DetectInferenceRecipe, DetectRegularization, RegionRecipe, TrainingResize,
};
pub use suppression::Suppression;
