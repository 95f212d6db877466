//! The decoders of FCMAE (paper Table 1), each a file, and what they have in common: `patch_decoder.rs`.

pub(crate) mod convnext;
pub(crate) mod patch_decoder;
pub(crate) mod position_embedding;
pub(crate) mod transformer;
pub(crate) mod transformer_block;
pub(crate) mod unet;
