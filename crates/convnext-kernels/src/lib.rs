//! CPU kernels and site geometry for ConvNeXt V2: slices in, slices out.
//!
//! An image is a set of tiles. The activations of a batch are a matrix `[rows, channels]`, one row
//! for each kept site; [`Sites`] says where the rows lie. So far the depthwise convolution has a
//! kernel; all other arithmetic runs in the default bodies of `convnext-nn`.
//!
//! **Invariant:** no framework, no files, no model names. This is the only crate that may ever
//! contain `unsafe`.

mod depthwise;
mod sites;

pub use depthwise::{DepthwiseGradients, depthwise_backward, depthwise_forward};
pub use sites::{Sites, SitesError};
