//! Helpers of the integration tests: golden weights, gradients by name, relative errors.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers: each test binary uses its own part"
)]

pub mod device;
pub mod golden;

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::Gradients;
use convnext_core::{LAYER_SCALE_INIT, Mask, ModelConfig, PatchGrid, ResponseNorm};
use convnext_nn::{for_each_parameter, replace_parameters, tensor_values};

use self::golden::ModelGolden;

/// The encoder or classifier of a golden file.
pub fn model_config(golden: &ModelGolden) -> ModelConfig {
    ModelConfig {
        name: "golden".into(),
        depths: golden.depths,
        widths: golden.widths,
        response_norm: golden.grn.then_some(ResponseNorm::Grn),
        layer_scale: golden.layer_scale.then_some(LAYER_SCALE_INIT),
        classes: golden.classes,
        input_channels: golden.input_channels,
        stem_stride: golden.stem_stride,
    }
}

/// The golden images of this shape, `[N, channels, height, width]`.
pub fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(golden::images(shape), shape), device)
}

/// The masks that keep these patches of images of this height and width.
pub fn masks_keeping(kept: &[Vec<usize>], encoder: &ModelConfig, [height, width]: [usize; 2]) -> Vec<Mask> {
    let grid = PatchGrid::of_image(encoder, height, width).unwrap();
    kept.iter().map(|kept| Mask::from_kept(grid, kept.clone()).unwrap()).collect()
}

/// Sets every parameter to the golden values of its name.
pub fn ruled<M: Module>(model: M) -> M {
    replace_parameters(model, |parameter| {
        let values = golden::parameter(&parameter.name(), &parameter.shape);
        let count = values.len();
        Some(Tensor::from_data(TensorData::new(values, [count]), &parameter.device.inner()))
    })
}

/// Every gradient by its official name; a parameter without one fails the test, unless it is a state.
pub fn gradients_by_name<M: Module>(model: &M, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        let gradient = parameter.gradient(gradients);
        assert_eq!(gradient.is_none(), parameter.is_state, "the gradient of {}", parameter.name());
        found.extend(gradient.map(|gradient| (parameter.name(), tensor_values(gradient))));
    });
    found
}

/// Norm of the difference over the norm of `expected` (floor 1e-7).
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 =
        found.iter().zip(expected).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    let norm: f64 = expected.iter().map(|&b| square(f64::from(b))).sum();
    difference.sqrt() / norm.sqrt().max(1e-7)
}

/// Asserts that two lists of values agree relative to their norm.
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let error = relative_error(found, expected);
    assert!(error <= tolerance, "{what}: relative error {error:.2e} is above {tolerance:.0e}");
}
