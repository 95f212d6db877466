//! The layers on dense maps against PyTorch in float64: outputs and every gradient, at odd sizes, on maps of one cell, with bins
//! that overlap and repeat (`goldens/make_layers.py`).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Param, ParamId};
use burn::prelude::*;
use common::golden::{self, Sketch};
use common::relative_error;
use convnext_core::Seed;
use convnext_nn::{
    BatchNorm, Conv2d, FeatureMaps, ModelError, Precision, Region, RoiSampling, Scope, TransposedConv2d,
    adaptive_average_pool, replace_parameters, resize_bilinear, resize_nearest, roi_align, subsample,
    tensor_values,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layers {
    convolutions: Vec<ConvolutionCase>,
    resizes: Vec<ResizeCase>,
    regions: Vec<RegionCase>,
    transposed_convolutions: Vec<TransposedCase>,
    subsampled: Vec<SubsampledCase>,
    batch_norms: Vec<BatchNormCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConvolutionCase {
    maps: [usize; 4],
    weight: [usize; 4],
    padding: [usize; 2],
    stride: [usize; 2],
    bias: bool,
    results: BTreeMap<String, Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResizeCase {
    maps: [usize; 4],
    rule: String,
    size: [usize; 2],
    results: BTreeMap<String, Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionCase {
    maps: [usize; 4],
    size: [usize; 2],
    stride: f32,
    /// Image, left, top, right, bottom.
    regions: Vec<(usize, f32, f32, f32, f32)>,
    /// MMDetection's samples, or torchvision's.
    aligned: bool,
    results: BTreeMap<String, Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransposedCase {
    maps: [usize; 4],
    weight: [usize; 4],
    results: BTreeMap<String, Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsampledCase {
    maps: [usize; 4],
    results: BTreeMap<String, Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchNormCase {
    maps: [usize; 4],
    mean: Vec<f64>,
    /// Unbiased.
    variance: Vec<f64>,
    results: BTreeMap<String, Sketch>,
}

fn layers() -> Layers {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/layers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn leaf<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &device()).require_grad()
}

fn parameter<const D: usize>(name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), leaf(golden::parameter(name, &shape), shape))
}

/// The gradients of the output times the cotangent.
fn backward(output: Tensor<4>) -> burn::tensor::Gradients {
    let shape = output.dims();
    let cotangent = TensorData::new(golden::cotangent(shape.iter().product()), shape);
    (output * Tensor::from_data(cotangent, &device())).sum().backward()
}

fn check(what: &str, results: &BTreeMap<String, Sketch>, name: &str, values: Vec<f32>) {
    results[name].check(&format!("{what}, {name}"), &values);
}

#[test]
fn convolutions_are_those_of_pytorch() {
    for case in layers().convolutions {
        let what = format!("{:?} by {:?}", case.maps, case.weight);
        let maps = leaf(golden::images(case.maps), case.maps);
        let weight = parameter("conv.weight", case.weight);
        let bias = case.bias.then(|| parameter("conv.bias", [case.weight[0]]));
        let layer = Conv2d::new(weight, bias).with_padding(case.padding).with_stride(case.stride);
        let output = layer.forward(&FeatureMaps::from(maps.clone())).into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let plain = Device::flex();
        let inference = layer.clone().valid().forward(&FeatureMaps::from(maps.clone().inner()));
        assert_eq!(inference.rows.device(), plain);
        check(&what, &case.results, "output", tensor_values(inference.into_tensor()));
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
        let found = layer.weight.val().grad(&gradients).unwrap();
        check(&what, &case.results, "conv.weight", tensor_values(found));
        if let Some(bias) = &layer.bias {
            let found = bias.val().grad(&gradients).unwrap();
            check(&what, &case.results, "conv.bias", tensor_values(found));
        }
    }
}

#[test]
fn resizing_is_that_of_pytorch() {
    for case in layers().resizes {
        let what = format!("{} of {:?} to {:?}", case.rule, case.maps, case.size);
        let maps = leaf(golden::images(case.maps), case.maps);
        let [height, width] = case.size;
        let resize = match case.rule.as_str() {
            "bilinear" => resize_bilinear,
            "nearest" => resize_nearest,
            _ => adaptive_average_pool,
        };
        let output = resize(FeatureMaps::from(maps.clone()), height, width).into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
    }
}

#[test]
fn regions_are_aligned_as_torchvision_aligns_them() {
    for case in layers().regions {
        let what = format!("regions of {:?}", case.maps);
        let maps = leaf(golden::images(case.maps), case.maps);
        let region =
            |&(image, left, top, right, bottom): &_| Region { image, bounds: [left, top, right, bottom] };
        let regions: Vec<Region> = case.regions.iter().map(region).collect();
        let output = roi_align(
            &FeatureMaps::from(maps.clone()),
            &regions,
            case.size,
            1.0 / case.stride,
            if case.aligned { RoiSampling::Aligned } else { RoiSampling::Shifted },
        );
        let output = output.into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
    }
}

#[test]
fn transposed_convolutions_are_those_of_pytorch() {
    for case in layers().transposed_convolutions {
        let what = format!("{:?} by a transposed {:?}", case.maps, case.weight);
        let maps = leaf(golden::images(case.maps), case.maps);
        let weight = parameter("upsample.weight", case.weight);
        let layer = TransposedConv2d::new(weight, parameter("upsample.bias", [case.weight[1]]));
        let output = layer.forward(&FeatureMaps::from(maps.clone())).into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let rounded = layer.clone().with_precision(Precision::Bf16).forward(&FeatureMaps::from(maps.clone()));
        let error = relative_error(&tensor_values(rounded.into_tensor()), &tensor_values(output.clone()));
        assert!((1e-5..1e-2).contains(&error), "{what} in bf16: {error:.1e}");
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
        let found = layer.weight.val().grad(&gradients).unwrap();
        check(&what, &case.results, "upsample.weight", tensor_values(found));
        let found = layer.bias.val().grad(&gradients).unwrap();
        check(&what, &case.results, "upsample.bias", tensor_values(found));
    }
}

#[test]
fn maps_are_subsampled_as_by_max_pooling() {
    for case in layers().subsampled {
        let what = format!("{:?} subsampled", case.maps);
        let maps = leaf(golden::images(case.maps), case.maps);
        let output = subsample(&FeatureMaps::from(maps.clone())).into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
    }
}

/// An image may have no object: heads on regions then run on nothing, and nothing changes.
#[test]
fn no_regions_give_zero_gradients() {
    let maps = leaf(golden::images([2, 3, 4, 5]), [2, 3, 4, 5]);
    let upsample = TransposedConv2d::new(parameter("a", [3, 4, 2, 2]), parameter("b", [4]));
    let found = roi_align(&FeatureMaps::from(maps.clone()), &[], [3, 3], 0.25, RoiSampling::Aligned);
    assert_eq!((found.images, found.rows.dims()), (0, [0, 3]));
    let conv = Conv2d::new(parameter("c", [3, 3, 3, 3]), Some(parameter("d", [3])));
    let output = upsample.forward(&conv.forward(&found));
    assert_eq!((output.images, output.size(), output.rows.dims()), (0, [6, 6], [0, 4]));
    let gradients = output.rows.sum().backward();
    let zeros = |tensor: Option<Tensor<4>>| tensor_values(tensor.unwrap()).iter().all(|&value| value == 0.0);
    assert!(zeros(maps.grad(&gradients)) && zeros(conv.weight.val().grad(&gradients)));
    assert!(zeros(upsample.weight.val().grad(&gradients)));
}

#[test]
fn batch_norms_are_those_of_pytorch() {
    let device = device();
    for case in layers().batch_norms {
        let what = format!("batch norm of {:?}", case.maps);
        let maps = leaf(golden::images(case.maps), case.maps);
        let layer = BatchNorm::new(case.maps[1], &Scope::root(Seed(0), &device).at("bn"));
        let layer = replace_parameters(layer, |view| {
            let name = format!("bn.{}", view.name());
            let values = golden::parameter(&name, &view.shape);
            let count = values.len();
            (!view.is_state)
                .then(|| Tensor::from_data(TensorData::new(values, [count]), &view.device.inner()))
        });
        let (output, statistics) = layer.forward_training(&FeatureMaps::from(maps.clone())).unwrap();
        assert_eq!(statistics.name, "bn");
        for (found, expected) in [(statistics.mean, case.mean), (statistics.variance, case.variance)] {
            let expected: Vec<f32> = expected.into_iter().map(|value| value as f32).collect();
            let error = relative_error(&tensor_values(found), &expected);
            assert!(error <= 1e-6, "{what}: {error:.1e}");
        }
        let output = output.into_tensor();
        check(&what, &case.results, "output", tensor_values(output.clone()));
        let gradients = backward(output);
        check(&what, &case.results, "maps", tensor_values(maps.grad(&gradients).unwrap()));
        for (name, parameter) in [("bn.weight", &layer.weight), ("bn.bias", &layer.bias)] {
            let found = parameter.val().grad(&gradients).unwrap();
            check(&what, &case.results, name, tensor_values(found));
        }
    }
}

/// A branch may start with a weight and a bias of 0, and is to learn all the same.
#[test]
fn a_batch_norm_without_relu_that_puts_out_zeros_has_gradients() {
    let layer = BatchNorm::new(1, &Scope::root(Seed(0), &device()).at("bn"));
    let layer =
        replace_parameters(layer, |view| (!view.is_state).then(|| Tensor::zeros([1], &view.device.inner())));
    let maps = FeatureMaps::from(leaf(vec![1.0, 3.0], [2, 1, 1, 1]));
    let (output, _) = layer.forward_training_plain(&maps).unwrap();
    let gradients = output.rows.narrow(0, 1, 1).sum().backward();
    for parameter in [&layer.weight, &layer.bias] {
        let found = tensor_values(parameter.val().grad(&gradients).unwrap());
        assert!((found[0] - 1.0).abs() < 1e-4, "{found:?}");
    }
}

#[test]
fn batch_norm_refuses_to_train_on_one_value() {
    let layer = BatchNorm::new(2, &Scope::root(Seed(0), &device()).at("bn"));
    let maps = FeatureMaps::from(leaf(vec![1.0, 2.0], [1, 2, 1, 1]));
    let error = layer.forward_training(&maps).unwrap_err();
    assert_eq!(error, ModelError::OneValue { layer: "bn".into() });
}

#[test]
fn dropout_wants_a_factor_for_each_channel() {
    let maps = FeatureMaps::from(leaf((0..8).map(|value| value as f32).collect(), [2, 2, 1, 2]));
    let scaled = maps.scale_channels(vec![0.0, 2.0, 1.0, 0.0]).unwrap();
    assert_eq!(tensor_values(scaled.into_tensor()), [0.0, 0.0, 4.0, 6.0, 4.0, 5.0, 0.0, 0.0]);
    let error = maps.scale_channels(vec![1.0; 3]).unwrap_err();
    assert_eq!(error, ModelError::ChannelFactors { factors: 3, images: 2, channels: 2 });
}
