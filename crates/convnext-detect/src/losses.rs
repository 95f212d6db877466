//! The losses of Mask R-CNN, as mmdet averages them, from the network's outputs and what was sampled.

pub(crate) mod box_loss;
pub(crate) mod mask_loss;
mod parts;
pub(crate) mod rpn_loss;
