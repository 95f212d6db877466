//! Properties for any weights: sparse equals masked dense, images are independent of each other, removed
//! pixels have no influence, and gradients match finite differences.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "properties/building.rs"]
mod building;
mod common;
#[path = "properties/masking.rs"]
mod masking;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use common::device::test_device;
use common::{assert_close, golden, gradients_by_name, relative_error, ruled};
use convnext_core::{
    DecoderConfig, EncoderKind, FcmaeConfig, FcmaeObjective, Mask, ModelConfig, PatchGrid, Seed, find_model,
};
use convnext_kernels::Sites;
use convnext_nn::{Activations, Precision};
use convnext_nn::{ConvNext, DropPath, Fcmae, SiteMap, SitePyramid, replace_parameters, tensor_values};

fn micro(name: &str, stem_stride: usize) -> ModelConfig {
    ModelConfig { stem_stride, classes: 5, ..find_model(name).unwrap().config() }
}

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(golden::images(shape), shape), device)
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

#[test]
fn computing_a_block_again_changes_no_bit() {
    let device = test_device().autodiff();
    let pixels = images([3, 3, 24, 32], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 4 }, 3);
    for name in ["micro", "v1-micro"] {
        for precision in [Precision::F32, Precision::Bf16] {
            let run = |activations| loss_and_gradients(name, activations, precision, &pixels, &masks);
            assert_eq!(run(Activations::Save), run(Activations::Recompute), "{name}, {precision:?}");
        }
    }
}

/// Within the accuracy of 8 bits of mantissa through all layers of the autoencoder.
#[test]
fn rounding_to_bf16_changes_losses_and_gradients_by_no_more_than_it_must() {
    let device = test_device().autodiff();
    let pixels = images([3, 3, 24, 32], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 4 }, 3);
    for name in ["micro", "v1-micro"] {
        let run = |activations, precision| loss_and_gradients(name, activations, precision, &pixels, &masks);
        let (exact, exact_gradients) = run(Activations::Save, Precision::F32);
        let others = [(Activations::SaveBf16, Precision::F32), (Activations::Save, Precision::Bf16)];
        for (activations, precision) in others {
            let (loss, gradients) = run(activations, precision);
            assert!((loss - exact).abs() < 5e-3 * exact, "{name}, {precision:?}: {loss}, {exact}");
            for (parameter, gradient) in &exact_gradients {
                let what = format!("{name}, {activations:?}, {precision:?}: {parameter}");
                assert_close(&what, &gradients[parameter], gradient, 5e-2);
            }
        }
    }
}

fn loss_and_gradients(
    name: &str,
    activations: Activations,
    precision: Precision,
    pixels: &Tensor<4>,
    masks: &[Mask],
) -> (f32, BTreeMap<String, Vec<f32>>) {
    let config = fcmae(name, EncoderKind::Sparse);
    let model = ruled(Fcmae::new(&config, Seed(0), &pixels.device()).unwrap());
    let model = model.with_activations(activations).with_precision(precision);
    let loss = model.forward(pixels.clone(), masks, FcmaeObjective::default()).unwrap().loss;
    (loss.clone().into_scalar::<f32>(), gradients_by_name(&model, &loss.backward()))
}

#[test]
fn an_inference_follows_parameters_that_changed_after_another() {
    let device = test_device();
    for name in ["micro", "v1-micro"] {
        let build = || ruled(ConvNext::new(&micro(name, 2), Seed(0), &device).unwrap());
        let change = |model| replace_parameters(model, |parameter| Some(parameter.values() * 1.5));
        let run = |model: &ConvNext| {
            let logits = model.forward(images([2, 3, 32, 32], &device), &DropPath::none()).unwrap();
            tensor_values(logits)
        };
        let used = build();
        let before = run(&used);
        assert_eq!(run(&used), before, "{name}");
        let changed = run(&change(used));
        assert_eq!(changed, run(&change(build())), "{name}");
        assert_ne!(changed, before, "{name}");
    }
}

#[test]
fn an_inference_after_a_training_step_tracks_no_gradient() {
    let device = test_device().autodiff();
    let model = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
    let shape = [2, 3, 16, 16];
    let trained = model.forward(images(shape, &device), &DropPath::none()).unwrap();
    let plain = images(shape, &device.clone().inner());
    let found = model.valid().forward(plain, &DropPath::none()).unwrap();
    assert!(trained.device().is_autodiff() && !found.device().is_autodiff());
    assert_eq!(tensor_values(trained.inner()), tensor_values(found));
}

#[test]
fn batches_of_other_shapes_in_between_change_nothing() {
    let device = test_device();
    let model = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
    let logits = |shape| tensor_values(model.forward(images(shape, &device), &DropPath::none()).unwrap());
    // One after the other and in turns; two differ in one side, two in their pixels beyond the last stride
    // alone.
    let shapes = [[2, 3, 16, 16], [2, 3, 16, 32], [1, 3, 16, 16], [2, 3, 17, 16], [2, 3, 16, 17]];
    let alone = shapes.map(|shape| {
        let fresh = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
        tensor_values(fresh.forward(images(shape, &device), &DropPath::none()).unwrap())
    });
    for _ in 0..2 {
        assert!(shapes.iter().zip(&alone).all(|(&shape, alone)| logits(shape) == *alone));
    }
}

/// Mesa's software driver ends a loop after 65,535 rounds, and Burn's sum of rows is one loop.
#[test]
fn the_gradient_of_many_rows_reaches_every_one() {
    let device = test_device().autodiff();
    let kept: Vec<usize> = (0..36 * 36).filter(|patch| patch % 7 != 0).collect();
    let sites = SiteMap::new(Sites::tiled([36, 36], 8, vec![kept]).unwrap(), &device);
    let places = sites.sites().positions();
    assert!(places.len() > 70_000);
    let map = Tensor::<2>::ones([36 * 36 * 64, 1], &device).require_grad();
    let gradients = sites.gather(map.clone()).sum().backward();
    let mut expected = vec![0.0; 36 * 36 * 64];
    places.iter().for_each(|&place| expected[place] = 1.0);
    assert_eq!(tensor_values(map.grad(&gradients).unwrap()), expected);
}

#[test]
fn an_image_does_not_depend_on_its_neighbours() {
    let device = test_device();
    let pixels = images([3, 3, 24, 24], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 3);
    let model = ruled(ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap());
    let auto = ruled(Fcmae::new(&fcmae("micro", EncoderKind::Sparse), Seed(0), &device).unwrap());
    let logits = model.forward(pixels.clone(), &DropPath::none()).unwrap();
    let objective = FcmaeObjective::default();
    let predictions = auto.forward(pixels.clone(), &masks, objective).unwrap().predictions;
    let removed = masks[0].removed().len();
    for image in 0..3 {
        let alone = pixels.clone().narrow(0, image, 1);
        let own = model.forward(alone.clone(), &DropPath::none()).unwrap();
        assert_close("logits", &tensor_values(own), &tensor_values(logits.clone().narrow(0, image, 1)), 1e-6);
        let own = auto.forward(alone, &masks[image..image + 1], objective).unwrap().predictions;
        let rows = predictions.clone().narrow(0, image * removed, removed);
        assert_close("predictions", &tensor_values(own), &tensor_values(rows), 1e-6);
    }
}

#[test]
fn a_dropped_branch_leaves_the_image_as_it_was() {
    let device = test_device();
    let config = ModelConfig { depths: [2, 1, 1, 1], ..micro("micro", 1) };
    let model = ruled(ConvNext::new(&config, Seed(0), &device).unwrap());
    let pixels = images([2, 3, 16, 16], &device);
    let first_stage = |scales: [[f32; 2]; 2]| {
        let mut scales: Vec<Vec<f32>> = scales.map(|scales| scales.to_vec()).to_vec();
        scales.extend([[1.0; 2]; 3].map(|scales| scales.to_vec()));
        let [map, ..] = model.features(pixels.clone(), &DropPath::from_scales(scales)).unwrap();
        [0, 1].map(|image| tensor_values(map.clone().narrow(0, image, 1)))
    };
    let whole = first_stage([[1.0, 1.0], [1.0, 1.0]]);
    let plain = model.features(pixels.clone(), &DropPath::none()).unwrap();
    assert_close("factor 1 changes nothing", &whole.concat(), &tensor_values(plain[0].clone()), 1e-6);

    // The second image skips both blocks: what leaves the stage is what the stem put in.
    let dropped = first_stage([[1.0, 0.0], [1.0, 0.0]]);
    assert_close("the other image", &dropped[0], &whole[0], 1e-6);
    let sites = SitePyramid::dense(&config, 2, 16, 16, &device).unwrap();
    let mut stem_only = model.clone();
    stem_only.backbone.stages[0].clear();
    let [stem, ..] = stem_only.backbone.forward(pixels.clone(), &sites, &DropPath::none()).unwrap();
    let stem = tensor_values(stem.narrow(0, 256, 256).reshape([16, 16, 16]).permute([2, 0, 1]));
    assert_close("the dropped image", &dropped[1], &stem, 1e-6);

    // Each block has its own factors: dropping the first or the second is not the same.
    let first = first_stage([[1.0, 0.0], [1.0, 1.0]]);
    let second = first_stage([[1.0, 1.0], [1.0, 0.0]]);
    assert!(relative_error(&first[1], &second[1]) > 1e-2);
}

#[test]
fn drop_path_of_another_shape_is_refused() {
    let device = test_device();
    let model = ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap();
    for scales in [vec![vec![1.0; 2]; 4], vec![vec![1.0]; 5]] {
        let drop_path = DropPath::from_scales(scales);
        let error = model.forward(Tensor::zeros([2, 3, 8, 8], &device), &drop_path).unwrap_err();
        assert!(error.to_string().contains("5 blocks and 2 images"), "{error}");
    }
}

#[test]
fn an_all_zero_hidden_channel_has_a_finite_gradient() {
    // GRN's norm is not differentiable at 0; black images with zero biases reach that point.
    let device = test_device().autodiff();
    let model = ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap();
    let logits = model.forward(Tensor::zeros([1, 3, 8, 8], &device), &DropPath::none()).unwrap();
    for (name, gradient) in gradients_by_name(&model, &logits.sum().backward()) {
        assert!(gradient.iter().all(|value| value.is_finite()), "{name}");
    }
}
