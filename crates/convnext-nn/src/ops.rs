//! The operations of our backend extension.
//!
//! Each has a forward and a backward with a reference implementation in tensor operations, for every backend;
//! the CPU backend overrides both with kernels on f32.
//!
//! - [`block`]: the ConvNeXt block, on the inputs of [`block_plan`];
//! - [`linear`], [`layer_norm`], [`gather`]: the operations of stem, downsampling, projection, prediction and
//!   head;
//! - [`patch_loss`]: FCMAE's loss;
//! - [`adamw`]: a step of the optimiser.

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
pub(crate) mod reference;
pub(crate) mod saved_bytes;
