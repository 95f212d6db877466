//! Measures of the activations of a network (paper Figures 3, 4 and 7; "H. Analyses" in `docs/facts.md`).
//!
//! Activations are slices: the values of a layer as rows of a matrix `[positions, channels]`, one row for each
//! position of an image. All sums are in f64.

mod centred;
mod centred_kernel;
mod channel_activity;
mod cosine_distance;
mod effective_rank;
mod selectivity;

pub use centred_kernel::CentredKernel;
pub use channel_activity::{ChannelActivity, ChannelCounts, DEAD_SHARE, SATURATED_VARIATION};
pub use cosine_distance::feature_cosine_distance;
pub use effective_rank::effective_rank;
pub use selectivity::{ClassMeans, SELECTIVITY_EPSILON};
