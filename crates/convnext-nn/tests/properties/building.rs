//! Fresh models: their parameters, and the inputs that they take.

use burn::prelude::*;
use convnext_core::{EncoderKind, FcmaeConfig, Mask, ModelConfig, PatchGrid, Seed, find_model};
use convnext_nn::{ConvNext, DropPath, Fcmae, tensor_shapes, tensor_values};

use super::common::device::test_device;
use super::{fcmae, masks, micro};

#[test]
fn huge_has_its_exact_count_without_being_allocated() {
    for size in convnext_core::MODELS {
        let model = ConvNext::new(&size.config(), Seed(0), &test_device()).unwrap();
        let count: usize =
            tensor_shapes(&model).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(count as u64, size.parameters, "{}", size.name);
    }
}

#[test]
fn fcmae_has_the_papers_decoder() {
    for (name, total) in [("atto", 7_257_992), ("base", 91_922_432), ("huge", 662_616_192)] {
        let config = FcmaeConfig::new(find_model(name).unwrap().config());
        let model = Fcmae::new(&config, Seed(0), &test_device()).unwrap();
        let count: usize =
            tensor_shapes(&model).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(count, total, "{name}");
    }
}

#[test]
fn fresh_weights_depend_on_seed_and_name_only() {
    let device = test_device();
    let all = |seed| {
        let mut values = Vec::new();
        let model = ConvNext::new(&micro("micro", 1), Seed(seed), &device).unwrap();
        convnext_nn::for_each_parameter(&model, |p| values.extend(tensor_values(p.values())));
        values
    };
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
    let model = ConvNext::new(&micro("micro", 1), Seed(1), &device).unwrap();
    let weights = tensor_values(model.backbone.stages[3][0].pwconv1.weight.val());
    let deviation =
        |weights: &[f32]| (weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32).sqrt();
    assert!((deviation(&weights) - 0.02).abs() < 2e-4, "{}", deviation(&weights));
    let config = ModelConfig { classes: 1000, ..micro("micro", 1) };
    let model = ConvNext::with_head_init(&config, 0.001, Seed(1), &device).unwrap();
    let head = deviation(&tensor_values(model.head.unwrap().weight.val()));
    assert!((head - 2e-5).abs() < 2e-7, "{head}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let device = test_device();
    let model = ConvNext::new(&micro("micro", 4), Seed(0), &device).unwrap();
    let message = |result: Result<Tensor<2>, convnext_nn::ModelError>| result.unwrap_err().to_string();
    let grey = message(model.forward(Tensor::zeros([1, 1, 64, 64], &device), &DropPath::none()));
    assert!(grey.contains("3 channels, found 1"), "{grey}");
    let small = message(model.forward(Tensor::zeros([1, 3, 31, 64], &device), &DropPath::none()));
    assert!(small.contains("at least 32 pixels"), "{small}");

    let auto = Fcmae::new(&fcmae("micro", EncoderKind::Sparse), Seed(0), &device).unwrap();
    let pixels: Tensor<4> = Tensor::zeros([2, 3, 24, 24], &device);
    let grid = PatchGrid { rows: 3, columns: 3 };
    let encode = |masks: &[Mask]| message(auto.encode(pixels.clone(), masks));
    assert!(encode(&masks(grid, 1)).contains("2 images came with 1 masks"));
    assert!(encode(&masks(PatchGrid { rows: 2, columns: 3 }, 2)).contains("the images 3x3"));
    let unequal = [Mask::from_kept(grid, vec![0]).unwrap(), Mask::from_kept(grid, vec![0, 1]).unwrap()];
    assert!(encode(&unequal).contains("image 1 keeps 2 tiles"));
}
