//! Semantic segmentation: a class for every pixel of an image, by UperNet on a ConvNeXt (paper Table 7, appendix A.4).
//!
//! - [`UperNet`]: the network, its logits, and what training gets of it;
//! - [`segment`]: from an image of any size to the classes of its pixels, by windows, scales and mirror images;
//! - [`SegmentationSource`]: images with label maps, for training;
//! - [`train_segmentation`]: a whole training, by a [`SegmentRecipe`];
//! - [`evaluate_segmentation`]: how good a network is, as a [`SegmentationEvaluation`];
//! - [`write_segmentation_onnx`]: the network as ONNX, for other runtimes.
//!
//! **Invariant:** no arguments, no printing.

mod batch;
mod batch_of_ranks;
mod class_weights;
mod confusion;
mod evaluate;
mod evaluation;
mod evaluation_source;
mod head_dropout;
mod inference;
mod input_size;
mod interpolation;
mod job;
mod label_png;
mod logits_file;
mod loss;
mod memory;
mod onnx;
mod pictures;
mod recipe;
mod segment_job;
mod sliding_window;
mod source;
mod task;
mod upernet;
mod view;
mod weights;

pub use batch::SegmentationBatch;
pub use batch_of_ranks::batch_of_ranks;
pub use class_weights::class_weights;
pub use confusion::{ConfusionMatrix, PixelScores};
pub use evaluate::evaluate_segmentation;
pub use evaluation::{SegmentationClass, SegmentationEvaluation, SegmentedSample};
pub use evaluation_source::EvaluationSource;
pub use head_dropout::HeadDropout;
pub use inference::{
    InferenceMode, InferenceOptions, ScoreBand, for_each_input_band, for_each_score_band, segment,
};
pub use job::{Segmented, plan_segmentation, train_segmentation};
pub use label_png::label_png;
pub use logits_file::write_logits;
pub use loss::{BatchLabels, SegmentationLoss};
pub use onnx::write_segmentation_onnx;
pub use pictures::overlay;
pub use recipe::sections::{
    InferenceRecipe, LossRecipe, MeanOver, SegmentAugmentation, SegmentRegularization,
};
pub use recipe::segment_recipe::SegmentRecipe;
pub use segment_job::{MaskSubset, SegmentJob};
pub use sliding_window::SlidingWindow;
pub use source::SegmentationSource;
pub use task::SegmentTask;
pub use upernet::auxiliary_head::AuxiliaryHead;
pub use upernet::decode_head::DecodeHead;
pub use upernet::{TrainingLogits, UperNet};
pub use weights::{inference_of, load_segmentation};
