//! The losses of sampled anchors and regions on the reference implementations, which every backend without kernels runs: here
//! in f64, where the CPU backend has no kernels either, against PyTorch in f64.
//!
//! A test binary of its own, because the precision of a device is chosen once for a process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod training_golden;

use burn::prelude::*;
use burn::tensor::{FloatDType, IntDType};
use training_golden::{CASES, read};

/// Weights of RoIAlign are computed in f32 on every device, and values are compared as f32.
const TOLERANCE: f64 = 1e-6;

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    Device::flex().configure((FloatDType::F64, IntDType::I32)).unwrap();
    for name in CASES {
        let golden = read(name);
        let device = Device::flex().autodiff();
        let model = golden.config.network(&device);
        let loss = golden.loss(&model, &golden.batch(name), &device);
        golden.check(name, &model, &loss, TOLERANCE);
    }
}
