//! Masked images against dense ones.

use burn::prelude::*;
use convnext_core::{EncoderKind, FcmaeObjective, PatchGrid, STAGES, Seed};
use convnext_kernels::Sites;
use convnext_nn::{ConvNext, DropPath, Fcmae, SitePyramid, forward_masked_dense, tensor_values};

use crate::common::device::test_device;
use crate::common::{assert_close, gradients_by_name, relative_error, ruled};
use crate::{fcmae, images, masks, micro};

#[test]
fn sparse_equals_masked_dense_forward_and_every_gradient() {
    let device = test_device().autodiff();
    let pixels = images([3, 3, 24, 32], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 4 }, 3);
    for name in ["micro", "v1-micro"] {
        let run = |kind| {
            let model = ruled(Fcmae::new(&fcmae(name, kind), Seed(0), &device).unwrap());
            let encoded = tensor_values(model.encode(pixels.clone(), &masks).unwrap());
            let output = model.forward(pixels.clone(), &masks, FcmaeObjective::default()).unwrap();
            let gradients = gradients_by_name(&model, &output.loss.backward());
            (encoded, output.loss.into_scalar::<f32>(), gradients)
        };
        let (sparse, sparse_loss, sparse_gradients) = run(EncoderKind::Sparse);
        let (dense, dense_loss, dense_gradients) = run(EncoderKind::MaskedDense);
        assert_close("features of kept patches", &sparse, &dense, 1e-5);
        assert!((sparse_loss - dense_loss).abs() < 1e-5 * dense_loss, "{sparse_loss} {dense_loss}");
        assert_eq!(sparse_gradients.len(), dense_gradients.len());
        for (parameter, gradient) in &sparse_gradients {
            assert_close(parameter, gradient, &dense_gradients[parameter], 1e-4);
        }
    }
}

#[test]
fn no_encoder_sees_removed_pixels() {
    let device = test_device();
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 1);
    let original = images([1, 3, 24, 24], &device);
    let removed = masks[0].upsample(8).into_iter().map(|kept| if kept { 0.0 } else { 1.0 });
    let change = Tensor::<1>::from_floats(removed.collect::<Vec<f32>>().as_slice(), &device);
    let changed = original.clone() + change.reshape([1, 1, 24, 24]);
    for kind in [EncoderKind::Sparse, EncoderKind::MaskedDense, EncoderKind::Leaky] {
        let model = ruled(Fcmae::new(&fcmae("micro", kind), Seed(0), &device).unwrap());
        let encode = |pixels: &Tensor<4>| tensor_values(model.encode(pixels.clone(), &masks).unwrap());
        assert_eq!(encode(&original), encode(&changed), "{kind:?}");
    }
}

#[test]
fn the_leaky_encoder_computes_at_removed_sites() {
    let device = test_device();
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 1);
    let pixels = images([1, 3, 24, 24], &device);
    let encode = |kind| {
        let model = ruled(Fcmae::new(&fcmae("micro", kind), Seed(0), &device).unwrap());
        tensor_values(model.encode(pixels.clone(), &masks).unwrap())
    };
    let difference = relative_error(&encode(EncoderKind::Leaky), &encode(EncoderKind::Sparse));
    assert!(difference > 1e-2, "{difference}");
}

#[test]
fn with_nothing_removed_the_rows_equal_the_plain_network() {
    let device = test_device();
    for (name, stride, height, width) in [("micro", 4, 75, 97), ("v1-micro", 2, 47, 32), ("micro", 1, 19, 23)]
    {
        let model = ruled(ConvNext::new(&micro(name, stride), Seed(0), &device).unwrap());
        let pixels = images([2, 3, height, width], &device);
        let rows = model.features(pixels.clone(), &DropPath::none()).unwrap();
        let maps = forward_masked_dense(&model.backbone, pixels, &[]).unwrap();
        for (stage, (row, map)) in rows.into_iter().zip(maps).enumerate() {
            assert_eq!(row.dims(), map.dims());
            assert_close(&format!("{name} stage {stage}"), &tensor_values(row), &tensor_values(map), 1e-5);
        }
    }
}

#[test]
fn sites_of_other_images_are_refused_and_spoil_no_later_batch() {
    let device = test_device();
    let model = ruled(ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap());
    let pixels = images([2, 3, 16, 24], &device);
    let forward = |sites: &SitePyramid| model.backbone.forward(pixels.clone(), sites, &DropPath::none());
    let dense = |count, [height, width]: [usize; 2]| {
        SitePyramid::dense(model.config(), count, height, width, &device).unwrap()
    };
    let kept = SitePyramid::masked(&masks(PatchGrid { rows: 3, columns: 3 }, 2), &device).unwrap();
    for other in [dense(1, [16, 24]), dense(2, [24, 16]), dense(3, [16, 24]), kept] {
        let error = forward(&other).unwrap_err().to_string();
        assert!(error.contains("the images are 2 with 16x24 each"), "{error}");
    }
    let [found, ..] = forward(&dense(2, [16, 24])).unwrap();
    let [expected, ..] = model.features(pixels.clone(), &DropPath::none()).unwrap();
    let expected = tensor_values(expected.permute([0, 2, 3, 1]));
    assert_close("the first stage", &tensor_values(found), &expected, 1e-6);
}

#[test]
fn all_patches_kept_as_tiles_equals_one_dense_tile() {
    let device = test_device();
    let model = ruled(ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap());
    let pixels = images([2, 3, 16, 24], &device);
    let dense = SitePyramid::dense(model.config(), 2, 16, 24, &device).unwrap();
    let whole = model.backbone.forward(pixels.clone(), &dense, &DropPath::none()).unwrap();
    // A mask never keeps everything, so the tiles are made by hand.
    let tiles = Sites::tiled([2, 3], 8, vec![(0..6).collect(); 2]).unwrap();
    let tiled = SitePyramid::from_sites(tiles, &device).unwrap();
    let by_tile = model.backbone.forward(pixels, &tiled, &DropPath::none()).unwrap();
    for stage in 0..STAGES {
        let order = tiled.stage(stage).sites().positions();
        let whole = tensor_values(whole[stage].clone());
        let channels = model.config().widths[stage];
        let expected: Vec<f32> =
            order.iter().flat_map(|&place| whole[place * channels..][..channels].to_vec()).collect();
        assert_close(&format!("stage {stage}"), &tensor_values(by_tile[stage].clone()), &expected, 1e-5);
    }
}
