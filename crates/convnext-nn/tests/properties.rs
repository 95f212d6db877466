//! Properties for any weights: sparse equals masked dense, images are independent of each other, removed
//! pixels have no influence, and gradients match finite differences.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod properties {
    mod batches;
    mod masks;
    mod models;
    mod precision;
    mod response_norms;
}

use common::images;
use convnext_core::{
    DecoderConfig, EncoderKind, FcmaeConfig, Mask, ModelConfig, PatchGrid, Seed, find_model,
};

fn micro(name: &str, stem_stride: usize) -> ModelConfig {
    ModelConfig { stem_stride, classes: 5, ..find_model(name).unwrap().config() }
}

fn masks(grid: PatchGrid, count: usize) -> Vec<Mask> {
    (0..count).map(|image| Mask::random(grid, 0.6, Seed(5), 0, image as u64).unwrap()).collect()
}

fn fcmae(name: &str, encoder_kind: EncoderKind) -> FcmaeConfig {
    let mut config = FcmaeConfig::new(micro(name, 1));
    config.encoder_kind = encoder_kind;
    config.decoder = DecoderConfig { depth: 1, width: 24, ..config.decoder };
    config
}
