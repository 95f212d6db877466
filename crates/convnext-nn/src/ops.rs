//! The operations of our backend extension: where kernels go.
//!
//! Each has a forward with a default body in tensor operations, for every backend, and a backward; the
//! CPU backend overrides both with kernels on f32.
//!
//! - [`block`]: the ConvNeXt block, from what [`block_plan`] has;
//! - [`linear`], [`layer_norm`], [`gather`]: what stem, downsampling, projection, prediction and head are
//!   made of;
//! - [`patch_loss`]: FCMAE's loss;
//! - [`adamw`]: the optimiser's step.

pub mod adamw;
pub mod block;
pub mod block_plan;
pub mod gather;
pub mod layer_norm;
pub mod linear;
pub mod packing;
pub mod patch_loss;

mod block_flex;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
mod flex_slices;
mod graph;
pub(crate) mod held;
pub(crate) mod reference;
