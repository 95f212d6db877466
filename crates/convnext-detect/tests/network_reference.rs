//! Mask R-CNN's network on the reference implementations, which every backend without kernels runs: here in f64, where the CPU
//! backend has no kernels either, against PyTorch in f64.
//!
//! A test binary of its own, because the precision of a device is chosen once for a process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::prelude::*;
use burn::tensor::{FloatDType, IntDType};
use common::{GOLDENS, loss, read};
use convnext_nn::{for_each_parameter, tensor_values};

/// Weights of RoIAlign are computed in f32 on every device, and values are compared as f32.
const TOLERANCE: f64 = 1e-6;

#[test]
fn outputs_and_gradients_are_those_of_pytorch() {
    Device::flex().configure((FloatDType::F64, IntDType::I32)).unwrap();
    for name in GOLDENS {
        let golden = read(name);
        let device = Device::flex().autodiff();
        let model = golden.network(&device);
        let outputs = golden.run(&model, golden.images(&device));
        for (output, sketch) in &golden.outputs {
            let error = sketch.relative_error(&tensor_values(outputs[output].clone()));
            assert!(error <= TOLERANCE, "{name}: {output}: {error:.1e}");
        }
        let sum = loss(&outputs);
        let error = (sum.clone().into_scalar::<f64>() - golden.loss).abs() / golden.loss.abs();
        assert!(error <= TOLERANCE, "{name}: {error:.1e}");
        let gradients = sum.backward();
        let mut checked = 0;
        for_each_parameter(&model, |parameter| {
            let gradient = tensor_values(parameter.gradient(&gradients).unwrap());
            let error = golden.gradients[&parameter.name()].relative_error(&gradient);
            assert!(error <= TOLERANCE, "{name}: {}: {error:.1e}", parameter.name());
            checked += 1;
        });
        assert_eq!(checked, golden.gradients.len());
    }
}
