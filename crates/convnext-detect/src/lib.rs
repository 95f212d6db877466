//! Object detection and instance segmentation: boxes and masks of the objects in an image, by Mask R-CNN on a ConvNeXt (paper
//! Table 6, appendix A.3).
//!
//! **Invariant:** no arguments, no printing.

mod anchor_targets;
mod anchors;
mod assigner;
mod box_coder;
mod losses;
mod mask_targets;
mod non_maximum_suppression;
mod object_bitmap;
mod paste_mask;
mod post_processing;
mod proposals;
mod region_targets;
mod sampler;
mod soft_suppression;
mod training_objects;

pub use anchor_targets::{AnchorTargets, anchor_targets};
pub use anchors::{ANCHOR_RATIOS, ANCHOR_SCALE, AnchorGrid, MapLevel};
pub use assigner::{AssignmentRule, Match, assign};
pub use box_coder::BoxCoder;
pub use losses::box_loss::{BoxLoss, box_loss};
pub use losses::mask_loss::{MaskTargets, mask_loss};
pub use losses::rpn_loss::{RpnLoss, RpnOutput, rpn_loss};
pub use mask_targets::mask_target;
pub use non_maximum_suppression::GroupedBoxes;
pub use object_bitmap::{MASK_SIDE, ObjectBitmap};
pub use paste_mask::paste_mask;
pub use post_processing::{DetectionRule, FoundBox, RegionOutputs, SuppressionRule, detections};
pub use proposals::{LevelOutputs, Proposal, ProposalRule, proposals};
pub use region_targets::{RegionTarget, SampledRegion, sample_regions};
pub use sampler::{Sample, SamplingRule, sample};
pub use soft_suppression::{Decay, suppress_softly};
pub use training_objects::{TrainingObject, training_objects};
