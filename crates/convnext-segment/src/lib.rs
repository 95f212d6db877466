//! Semantic segmentation: a class for every pixel of an image, by UperNet on a ConvNeXt (paper Table 7, appendix A.4).
//!
//! - [`UperNet`]: the network, its logits, and what training gets of it;
//! - [`segment`]: from an image of any size to the classes of its pixels, by windows, scales and mirror images;
//! - [`ConfusionMatrix`], [`SegmentationEvaluation`]: how good a network is.
//!
//! **Invariant:** no arguments, no printing.

mod class_weights;
mod confusion;
mod evaluation;
mod head_dropout;
mod inference;
mod interpolation;
mod loss;
mod palette;
mod recipe;
mod resize_rule;
mod sliding_window;
mod upernet;
mod view;

pub use class_weights::class_weights;
pub use confusion::{ConfusionMatrix, PixelScores};
pub use evaluation::{SegmentationClass, SegmentationEvaluation, SegmentedSample};
pub use head_dropout::HeadDropout;
pub use inference::{
    InferenceMode, InferenceOptions, ScoreBand, for_each_input_band, for_each_score_band, segment,
};
pub use loss::{BatchLabels, SegmentationLoss};
pub use palette::{IGNORED_COLOUR, class_colours};
pub use recipe::sections::{
    InferenceRecipe, LossRecipe, MeanOver, SegmentAugmentation, SegmentFromScratch, SegmentFromWeights,
    SegmentRegularization,
};
pub use recipe::segment_recipe::SegmentRecipe;
pub use resize_rule::ResizeRule;
pub use sliding_window::SlidingWindow;
pub use upernet::auxiliary_head::AuxiliaryHead;
pub use upernet::decode_head::DecodeHead;
pub use upernet::{TrainingLogits, UperNet};
