//! Optimisation: AdamW, its rules for each parameter, the schedule, the moving average.

pub(crate) mod average;
pub(crate) mod backbone_part;
pub(crate) mod frozen_stages;
pub(crate) mod gradient_layout;
pub(crate) mod gradients;
pub(crate) mod layer_decay;
pub(crate) mod optimizer;
pub(crate) mod parameter_rules;
pub(crate) mod schedule;
