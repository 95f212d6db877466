//! Counts, fresh weights, and inputs that do not fit.

use burn::prelude::*;
use convnext_core::{
    EncoderKind, FcmaeConfig, FcmaeObjective, Mask, ModelConfig, PatchGrid, Seed, find_model,
};
use convnext_nn::{ConvNext, DropPath, Fcmae, images_to_patches, tensor_shapes, tensor_values};

use crate::common::device::test_device;
use crate::common::{assert_close, relative_error};
use crate::{fcmae, images, masks, micro};

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
fn a_perfect_prediction_gives_the_image_back() {
    let device = test_device();
    let grid = PatchGrid { rows: 2, columns: 3 };
    let masks = masks(grid, 2);
    let pixels = images([2, 3, 16, 24], &device);
    for normalize_target in [true, false] {
        let objective = FcmaeObjective { normalize_target, ..FcmaeObjective::default() };
        let model = Fcmae::new(&fcmae("micro", EncoderKind::Sparse), Seed(0), &device).unwrap();
        let removed: Vec<i32> = (0..2)
            .flat_map(|image| masks[image].removed().into_iter().map(move |patch| (image * 6 + patch) as i32))
            .collect();
        let removed = Tensor::<1, Int>::from_ints(removed.as_slice(), &device);
        let truth = images_to_patches(pixels.clone(), 8).select(0, removed);
        let (variance, mean) = truth.clone().var_mean(1);
        let perfect = if normalize_target { (truth - mean) / (variance + 1e-6).sqrt() } else { truth };
        let back = model.reconstruct(pixels.clone(), &masks, perfect.clone(), objective).unwrap();
        assert_close("image", &tensor_values(back), &tensor_values(pixels.clone()), 1e-6);
        let wrong = model.reconstruct(pixels.clone(), &masks, perfect + 1.0, objective).unwrap();
        assert!(relative_error(&tensor_values(wrong), &tensor_values(pixels.clone())) > 0.1);
    }
}

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

#[test]
fn masks_of_other_images_are_not_decoded() {
    let device = test_device();
    let pixels = images([2, 3, 24, 24], &device);
    let own = masks(PatchGrid { rows: 3, columns: 3 }, 2);
    let swapped = [own[1].clone(), own[0].clone()];
    assert_ne!(own, swapped);
    for kind in [EncoderKind::Sparse, EncoderKind::MaskedDense, EncoderKind::Leaky, EncoderKind::Tokens] {
        let auto = Fcmae::new(&fcmae("micro", kind), Seed(0), &device).unwrap();
        let encoded = auto.encode_stages(pixels.clone(), &own).unwrap();
        let message = |masks: &[Mask]| auto.decode(&encoded, masks).unwrap_err().to_string();
        assert!(auto.decode(&encoded, &own).is_ok(), "{kind:?}");
        assert!(message(&[]).contains("2 images came with 0 masks"), "{kind:?}");
        assert!(message(&own[..1]).contains("2 images came with 1 masks"), "{kind:?}");
        assert!(message(&masks(PatchGrid { rows: 2, columns: 3 }, 2)).contains("the images 3x3"), "{kind:?}");
        if kind.fills_removed_patches() {
            // Their features are those of whole images, whatever was removed.
            assert!(auto.decode(&encoded, &swapped).is_ok());
        } else {
            assert!(message(&swapped).contains("other patches"), "{kind:?}");
        }
    }
}
