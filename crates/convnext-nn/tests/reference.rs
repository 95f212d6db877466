//! The reference implementations of the backend extension, which every backend without kernels runs: here in
//! f64, where the CPU backend has no kernels either. Gradients are checked against finite differences.
//!
//! A test binary of its own, because the precision of a device is chosen once for a process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "reference/layers.rs"]
mod layers;
#[path = "reference/regions.rs"]
mod regions;

use burn::prelude::*;
use burn::tensor::{FloatDType, IntDType};
use common::{golden, ruled};
use convnext_core::{
    DecoderConfig, FcmaeConfig, FcmaeObjective, Mask, ModelConfig, PatchGrid, Seed, find_model,
};
use convnext_nn::{ConvNext, DropPath, Fcmae, for_each_parameter, replace_parameters};
use layers::Layers;
use regions::RegionLayers;

const STEP: f64 = 1e-5;

fn masked_autoencoder(name: &str, device: &Device) -> Fcmae {
    let encoder = ModelConfig {
        depths: [1; 4],
        widths: [4, 6, 8, 10],
        stem_stride: 1,
        ..find_model(name).unwrap().config()
    };
    let mut config = FcmaeConfig::new(encoder);
    config.decoder = DecoderConfig { depth: 1, width: 12, ..config.decoder };
    ruled(Fcmae::new(&config, Seed(0), device).unwrap())
}

fn loss(model: &Fcmae, device: &Device) -> Tensor<1> {
    let shape = [2, 3, 16, 24];
    let images = Tensor::from_data(TensorData::new(golden::images(shape), shape), device);
    let grid = PatchGrid { rows: 2, columns: 3 };
    let masks = [vec![0, 4], vec![2, 5]].map(|kept| Mask::from_kept(grid, kept).unwrap());
    model.forward(images, &masks, FcmaeObjective::default()).unwrap().loss
}

/// A classifier under drop path: some branches of the second image are dropped, the others are scaled.
fn classifier(name: &str, device: &Device) -> ConvNext {
    let config = ModelConfig {
        depths: [2, 1, 1, 1],
        widths: [4, 6, 8, 10],
        stem_stride: 1,
        classes: 3,
        ..find_model(name).unwrap().config()
    };
    ruled(ConvNext::new(&config, Seed(0), device).unwrap())
}

fn classifier_loss(model: &ConvNext, device: &Device) -> Tensor<1> {
    let shape = [2, 3, 11, 17];
    let images = Tensor::from_data(TensorData::new(golden::images(shape), shape), device);
    let scales = [[1.0, 0.0], [1.25, 1.25], [0.0, 1.5], [2.0, 2.0], [1.0, 0.0]];
    let drop_path = DropPath::from_scales(scales.map(|scales| scales.to_vec()).to_vec());
    model.forward(images, &drop_path).unwrap().square().sum()
}

/// In f64 from here on: the precision of a device is chosen once for a process.
fn choose_f64() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| Device::flex().configure((FloatDType::F64, IntDType::I32)).unwrap());
}

#[test]
fn gradients_of_masked_autoencoders_are_derivatives() {
    choose_f64();
    for name in ["micro", "v1-micro"] {
        check(name, |device| masked_autoencoder(name, device), loss);
    }
}

#[test]
fn gradients_under_drop_path_are_derivatives() {
    choose_f64();
    for name in ["micro", "v1-micro"] {
        check(name, |device| classifier(name, device), classifier_loss);
    }
}

#[test]
fn gradients_of_layers_on_dense_maps_are_derivatives() {
    choose_f64();
    let checked = compare("layers", |device| ruled(Layers::new(device)), |layers, _| layers.loss());
    assert_eq!(checked, 22);
}

#[test]
fn gradients_of_layers_on_regions_are_derivatives() {
    choose_f64();
    let checked = compare("regions", |device| ruled(RegionLayers::new(device)), |layers, _| layers.loss());
    assert_eq!(checked, 6);
}

/// [`compare`] of a model with many parameters.
fn check<M: Module>(name: &str, build: impl Fn(&Device) -> M, loss: impl Fn(&M, &Device) -> Tensor<1>) {
    let checked = compare(name, build, loss);
    assert!(checked > 80, "{checked}");
}

/// Checks gradients of a model against finite differences of its loss, two values of every parameter.
fn compare<M: Module>(
    name: &str,
    build: impl Fn(&Device) -> M,
    loss: impl Fn(&M, &Device) -> Tensor<1>,
) -> usize {
    let tracked = Device::flex().autodiff();
    let model = build(&tracked);
    let gradients = loss(&model, &tracked).backward();
    let mut checked = 0;
    for_each_parameter(&model, |parameter| {
        if parameter.is_state {
            return;
        }
        let gradient = parameter.gradient(&gradients).unwrap();
        assert_eq!(gradient.dtype(), burn::tensor::DType::F64);
        let gradient = gradient.into_data().try_into_vec::<f64>().unwrap();
        // Two values of each parameter, the second far from the first.
        for index in [0, gradient.len() * 2 / 3] {
            let moved = |step| {
                let plain = Device::flex();
                let model = nudge(build(&plain), &parameter.name(), index, step);
                loss(&model, &plain).into_scalar::<f64>()
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let error = (slope - gradient[index]).abs();
            let allowed = 1e-6 * gradient[index].abs().max(1e-3);
            assert!(error <= allowed, "{name}, {} [{index}]: {slope}, {}", parameter.name(), gradient[index]);
            checked += 1;
        }
    });
    checked
}

/// The model with one value of one parameter moved.
fn nudge<M: Module>(model: M, name: &str, index: usize, step: f64) -> M {
    replace_parameters(model, |parameter| {
        if parameter.name() != name {
            return None;
        }
        let values = parameter.values();
        let mut data = values.into_data().try_into_vec::<f64>().unwrap();
        data[index] += step;
        let count = data.len();
        Some(Tensor::from_data(TensorData::new(data, [count]), &parameter.device))
    })
}
