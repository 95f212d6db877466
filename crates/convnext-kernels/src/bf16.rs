//! bf16 GEMM with f32 accumulation, on bf16x2 lanes: two bf16 values in 32 bits, multiplied and added at once
//! (`vdpbf16ps`).
//!
//! The layout of a matrix pairs either neighbouring rows ([`rows`]) or columns ([`columns`]); both sides of a
//! GEMM have to agree. A CPU without the instruction emulates it by two f32 multiply-adds on values that are
//! rounded in the same way; [`crate::bf16_in_use`] names the implementation.

pub(crate) mod bf16x2;
pub(crate) mod columns;
mod emulated;
mod gelu;
pub(crate) mod gemm;
pub(crate) mod implementation;
#[cfg(target_arch = "x86_64")]
mod native;
pub(crate) mod packed;
pub(crate) mod rows;
pub(crate) mod storage;
