//! Object detection and instance segmentation: boxes and masks of the objects in an image, by Mask R-CNN on a ConvNeXt (paper
//! Table 6, appendix A.3).
//!
//! - [`MaskRcnn`]: the network, from images to the pyramid and from regions to boxes and masks;
//! - [`extract`]: the maps of regions;
//! - [`detection_loss`]: what is learned of a batch of images with their objects;
//! - [`detect`]: from an image of any size to the objects in it, by the whole or by tiles;
//! - [`load_detector`]: a network from its weights.
//!
//! **Invariant:** no arguments, no printing.

mod announcement;
mod batch;
mod detect_job;
mod detect_options;
mod detection;
mod evaluate;
mod evaluation;
mod evaluation_source;
mod inference;
mod job;
mod losses;
mod mask_rcnn;
mod memory;
mod onnx;
mod padding;
mod pictures;
mod recipe;
mod regions;
mod results_json;
mod source;
mod task;
mod tiles;
mod training_loss;
mod weights;

pub use batch::DetectionBatch;
pub use detect_job::{DetectJob, ObjectSubset};
pub use detect_options::DetectOptions;
pub use detection::Detection;
pub use evaluate::{SHOWN_SCORE, evaluate_detection};
pub use evaluation::average_precision::{DetectionScores, PrecisionRecall};
pub use evaluation::detection_evaluation::{
    DetectedSample, DetectionClass, DetectionCurves, DetectionEvaluation,
};
pub use evaluation::image_errors::ImageErrors;
pub use evaluation::measured_image::{DetectionMeasures, MeasuredImage};
pub use evaluation::scorer::DetectionScorer;
pub use evaluation_source::DetectionEvaluationSource;
pub use inference::detect;
pub use job::{TrainedDetector, plan_detection, train_detection};
pub use losses::box_loss::{BoxLoss, box_loss};
pub use losses::mask_loss::{MaskTargets, mask_loss};
pub use losses::rpn_loss::{RpnLoss, SampledAnchors};
pub use mask_rcnn::MaskRcnn;
pub use mask_rcnn::box_head::{BoxHead, BoxOutput};
pub use mask_rcnn::feature_pyramid::FeaturePyramid;
pub use mask_rcnn::mask_head::MaskHead;
pub use mask_rcnn::roi_extractor::{extract, region_level};
pub use mask_rcnn::rpn_head::{RpnHead, RpnOutput};
pub use onnx::write_detection_onnx;
pub use padding::SIDE_MULTIPLE;
pub use pictures::{DrawnObject, detection_comparison, detection_overlay, small_detection_overlay};
pub use recipe::detect_recipe::DetectRecipe;
pub use recipe::sections::{
    DetectAugmentation, DetectInferenceRecipe, DetectRegularization, RegionRecipe, TrainingResize,
};
pub use regions::anchor_targets::{AnchorTargets, anchor_targets};
pub use regions::anchors::{ANCHOR_RATIOS, ANCHOR_SCALE, AnchorGrid, MapLevel};
pub use regions::assigner::{AssignmentRule, Match, assign};
pub use regions::box_coder::BoxCoder;
pub use regions::mask_targets::mask_target;
pub use regions::non_maximum_suppression::GroupedBoxes;
pub use regions::object_bitmap::{MASK_SIDE, ObjectBitmap};
pub use regions::paste_mask::paste_mask;
pub use regions::post_processing::{DetectionRule, FoundBox, RegionOutputs, SuppressionRule, detections};
pub use regions::proposals::{LevelOutputs, Proposal, ProposalRule, proposals};
pub use regions::region_targets::{RegionTarget, SampledRegion, sample_regions};
pub use regions::sampler::{Sample, SamplingRule, sample};
pub use regions::soft_suppression::{Decay, suppress_softly};
pub use regions::suppression::Suppression;
pub use regions::training_objects::{TrainingObject, training_objects};
pub use results_json::{CocoMask, CocoResult, ResultsWriter};
pub use source::DetectionSource;
pub use task::DetectTask;
pub use tiles::Tiles;
pub use training_loss::{BatchTargets, RegionChoice, batch_proposals, detection_loss, loss_of_targets};
pub use weights::{detect_options_of, load_detector};
