//! CPU kernels and site geometry for ConvNeXt V2: slices in, slices out.
//!
//! An image is a set of tiles. The activations of a batch are a matrix `[rows, channels]`, one row
//! for each kept site; [`Sites`] maps rows to sites. [`block_forward`] and [`block_backward()`] are the
//! block as one operation. The instruction set is found at run time: scalar, AVX2 with FMA, AVX-512 or NEON.
//! The terms of cache blocking are in the crate's README.
//!
//! **Invariant:** no framework, no files, no model names. This is the only crate that may ever
//! contain `unsafe`.

mod adamw;
mod allocator;
mod bands;
mod batch_norm;
mod bf16;
mod block;
mod block_backward;
mod block_sums;
#[cfg(test)]
mod block_tests;
mod blocking;
mod buffer;
mod convolution;
mod dense_maps;
mod depthwise;
mod element;
mod epsilon;
mod expansion;
mod gather;
mod gelu;
mod gemm;
mod grn_stats;
mod grn_variant;
mod isa;
mod lanes;
mod layer_norm;
mod linear;
mod packed;
mod parallel;
mod patch_loss;
mod peak;
mod pixel_loss;
mod precision;
mod profile;
mod registers;
mod resample;
mod residual;
mod roi_align;
mod row_blocks;
mod segment_ends;
mod sites;
mod split;
mod storage;
mod target;
#[cfg(test)]
mod testing;
mod weighted_sum;

pub use adamw::{AdamWStep, adamw};
pub use allocator::disable_memory_purging;
pub use batch_norm::{BatchNormLayer, BatchStatistics, batch_norm_backward, batch_norm_forward};
pub use bf16::implementation::{bf16_in_use, has_wanted_instructions};
pub use block::block_forward;
pub use block::input::BlockInput;
pub use block::packed::PackedBlock;
pub use block::saved::{Save, SavedActivations};
pub use block::weights::{BlockWeights, GrnWeights};
pub use block_backward::{BlockGradients, block_backward};
pub use buffer::Buffer;
pub use convolution::{
    ConvolutionEpilogue, ConvolutionGradients, ConvolutionWeight, PackedConvolution, convolution_backward,
    convolution_forward,
};
pub use dense_maps::DenseMaps;
pub use gather::{gather_rows, gather_rows_backward};
pub use grn_variant::{GrnVariant, Normalisation};
pub use isa::{ISA_VARIABLE, isa_in_use};
pub use layer_norm::{layer_norm_backward, layer_norm_forward};
pub use linear::{LinearGradients, LinearInput, PackedLinear, SavedLinear, linear_backward, linear_forward};
pub use patch_loss::{PatchedImages, patch_errors, patch_errors_backward};
pub use peak::peak_flops;
pub use pixel_loss::{IGNORED_LABEL, LogitMaps, PixelLabels, pixel_cross_entropy};
pub use precision::Precision;
pub use profile::{end_profile, start_profile};
pub use resample::axis_weights::AxisWeights;
pub use resample::{SiteOrder, resample};
pub use roi_align::region_weights::RegionWeights;
pub use roi_align::{roi_align, roi_align_backward};
pub use row_blocks::column_sums;
pub use sites::{Sites, SitesError};
