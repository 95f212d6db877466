//! CPU kernels and site geometry for ConvNeXt V2: slices in, slices out.
//!
//! An image is a set of tiles. The activations of a batch are a matrix `[rows, channels]`, one row
//! for each kept site; [`Sites`] says where the rows lie. This release holds the geometry only: the
//! arithmetic still runs in the default bodies of `convnext-nn`, which kernels will replace.
//!
//! **Invariant:** no framework, no files, no model names. This is the only crate that may ever
//! contain `unsafe`.

mod sites;

pub use sites::{Sites, SitesError};
