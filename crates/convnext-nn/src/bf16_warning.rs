//! Warnings about blocks and encoders that do not compute in bf16.

use convnext_core::EncoderKind;
use convnext_kernels::Precision;

use crate::block::Block;
use crate::ops::block_flex::has_kernels;

/// Warns where these blocks of one model were asked for bf16 and compute in f32: only kernels know bf16.
pub(crate) fn warn_of_f32<'a>(mut blocks: impl Iterator<Item = &'a Block>, precision: Precision) {
    let norm = blocks.find_map(Block::response_norm).filter(|&norm| !has_kernels(Some(norm)));
    if let Some(norm) = norm.filter(|_| precision == Precision::Bf16) {
        log::warn!(
            "blocks with {} compute in f32: only those with GRN, most of its variants, or none know bf16",
            norm.in_words()
        );
    }
}

/// Warns where an autoencoder was asked for bf16 and its encoder computes in f32: the reference has no kernels.
pub(crate) fn warn_of_f32_encoder(kind: EncoderKind, precision: Precision) {
    if kind == EncoderKind::MaskedDense && precision == Precision::Bf16 {
        log::warn!("a masked dense encoder computes in f32: only other encoders know bf16");
    }
}
