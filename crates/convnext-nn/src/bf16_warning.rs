//! A warning about blocks that do not compute in bf16.

use convnext_core::ResponseNorm;
use convnext_kernels::Precision;

use crate::block::Block;

/// Warns where these blocks of one model were asked for bf16 and compute in f32: only kernels know bf16, and only GRN and none
/// have kernels.
pub(crate) fn warn_of_f32<'a>(mut blocks: impl Iterator<Item = &'a Block>, precision: Precision) {
    let norm = blocks.find_map(Block::response_norm).filter(|&norm| norm != ResponseNorm::Grn);
    if let Some(norm) = norm.filter(|_| precision == Precision::Bf16) {
        log::warn!(
            "blocks with {} compute in f32: only those with GRN, or without a response norm, know bf16",
            norm.in_words()
        );
    }
}
