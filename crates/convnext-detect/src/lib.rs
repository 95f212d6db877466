//! Object detection and instance segmentation: boxes and masks of the objects in an image, by Mask R-CNN on a ConvNeXt (paper
//! Table 6, appendix A.3).
//!
//! - [`MaskRcnn`]: the network, from images to the pyramid and from regions to boxes and masks;
//! - [`extract`]: the maps of regions;
//! - [`load_detector`]: a network from its weights.
//!
//! **Invariant:** no arguments, no printing.

mod recipe;
mod suppression;

pub use recipe::detect_recipe::DetectRecipe;
pub use recipe::sections::{
    DetectAugmentation, DetectInferenceRecipe, DetectRegularization, RegionRecipe, TrainingResize,
};
pub use suppression::Suppression;
mod mask_rcnn;
mod weights;

pub use mask_rcnn::MaskRcnn;
pub use mask_rcnn::box_head::{BoxHead, BoxOutput};
pub use mask_rcnn::feature_pyramid::FeaturePyramid;
pub use mask_rcnn::mask_head::MaskHead;
pub use mask_rcnn::regions::{extract, region_level};
pub use mask_rcnn::rpn_head::{RpnHead, RpnOutput};
pub use weights::load_detector;
