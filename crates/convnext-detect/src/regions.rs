//! What stands between the network's outputs, its targets and found objects, as plain values: anchors, assignment, sampling,
//! suppression, masks. As mmdetection does it.

pub(crate) mod anchor_targets;
pub(crate) mod anchors;
pub(crate) mod assigner;
pub(crate) mod box_coder;
pub(crate) mod mask_targets;
pub(crate) mod non_maximum_suppression;
pub(crate) mod object_bitmap;
pub(crate) mod paste_mask;
pub(crate) mod post_processing;
pub(crate) mod proposals;
pub(crate) mod region_targets;
pub(crate) mod sampler;
pub(crate) mod soft_suppression;
pub(crate) mod suppression;
pub(crate) mod training_objects;
