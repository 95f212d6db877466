//! The operations of our backend extension.
//!
//! Each has a forward and a backward with a reference implementation in tensor operations, for every backend;
//! the CPU backend has kernels for both on f32.
//!
//! - [`block`]: the ConvNeXt block, on the inputs of [`block_plan`];
//! - [`linear`], [`layer_norm`], [`gather`]: the operations of stem, downsampling, projection, prediction and
//!   head;
//! - [`convolution`], [`batch_norm`], [`resample`], [`roi_align`]: the operations on dense maps, as in a decode head;
//! - [`shared_sum`]: sums over processes, of synchronised batch norm;
//! - [`patch_loss`]: FCMAE's loss; [`pixel_loss`]: that of segmentation;
//! - [`adamw`]: a step of the optimiser.
//!
//! A backend names its own kernels of the block, of linear layers and on dense maps in [`kernels::BackendKernels`];
//! what they decline runs on [`reference_kernels::Reference`].

pub mod adamw;
pub mod batch_norm;
pub mod block;
pub mod block_plan;
pub mod convolution;
pub mod convolution_plan;
pub mod gather;
pub mod kernels;
pub mod layer_norm;
pub mod linear;
pub mod linear_plan;
pub mod packing;
pub mod patch_loss;
pub mod pixel_loss;
pub mod reference_kernels;
pub mod resample;
pub mod resample_plan;
pub mod roi_align;
pub mod roi_align_plan;
pub mod shared_sum;

mod batch_norm_flex;
pub(crate) mod block_flex;
mod block_reference;
#[cfg(test)]
mod block_tests;
mod convolution_flex;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
pub(crate) mod dense_reference;
mod flex;
mod flex_slices;
mod graph;
mod linear_flex;
pub(crate) mod reference;
mod resample_flex;
mod response_reference;
mod roi_align_flex;
mod roi_align_reference;
pub(crate) mod saved_bytes;
