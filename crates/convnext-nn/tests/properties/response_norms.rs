//! Rivals of GRN: sparse equals masked dense, and images are independent.

use burn::prelude::*;
use convnext_core::{EncoderKind, FcmaeConfig, FcmaeObjective, Mask, PatchGrid, ResponseNorm, Seed};
use convnext_nn::{Fcmae, ModelError, for_each_parameter, tensor_values};

use crate::common::{assert_close, ruled};
use crate::{fcmae, images, masks};

fn with_norm(norm: ResponseNorm, kind: EncoderKind) -> FcmaeConfig {
    let mut config = fcmae("micro", kind);
    config.encoder.response_norm = Some(norm);
    config.decoder.response_norm = Some(norm);
    config
}

#[test]
fn sparse_equals_masked_dense_with_every_norm() {
    let device = Device::flex().autodiff();
    let pixels = images([2, 3, 24, 24], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 2);
    for norm in ResponseNorm::ALL {
        let run = |kind| {
            let model = ruled(Fcmae::new(&with_norm(norm, kind), Seed(0), &device).unwrap());
            let output = model.forward(pixels.clone(), &masks, FcmaeObjective::default()).unwrap();
            let gradients = output.loss.clone().backward();
            let mut values = vec![("the loss".to_owned(), tensor_values(output.loss.inner()))];
            for_each_parameter(&model, |parameter| {
                let gradient = parameter.gradient(&gradients);
                assert_eq!(gradient.is_none(), parameter.is_state, "{norm:?}: {}", parameter.name());
                values.extend(gradient.map(|gradient| (parameter.name(), tensor_values(gradient))));
            });
            for statistics in model.take_statistics() {
                values.push((format!("{}, mean", statistics.name), tensor_values(statistics.mean)));
                values.push((format!("{}, variance", statistics.name), tensor_values(statistics.variance)));
            }
            values
        };
        let [sparse, dense] = [EncoderKind::Sparse, EncoderKind::MaskedDense].map(run);
        // What is divided by a mean that almost vanishes has no more digits.
        let tolerance = if norm == ResponseNorm::GrnNoPool { 1e-2 } else { 2e-4 };
        for ((name, found), (same, expected)) in sparse.iter().zip(&dense) {
            assert_eq!(name, same);
            assert_close(&format!("{norm:?}: {name}"), found, expected, tolerance);
        }
        assert_eq!(sparse.iter().any(|(name, _)| name.ends_with("bn, mean")), norm == ResponseNorm::Bn);
    }
}

#[test]
fn images_are_independent_but_for_batch_norm_in_training() {
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 2);
    let removed = masks[0].removed().len();
    for norm in ResponseNorm::ALL {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let model = ruled(Fcmae::new(&with_norm(norm, EncoderKind::Sparse), Seed(0), &device).unwrap());
            let pixels = images([2, 3, 24, 24], &device);
            let predict = |count: usize| {
                let pixels = pixels.clone().narrow(0, 0, count);
                let found = model.forward(pixels, &masks[..count], FcmaeObjective::default()).unwrap();
                tensor_values(found.predictions.narrow(0, 0, removed))
            };
            let [alone, together] = [predict(1), predict(2)];
            if norm == ResponseNorm::Bn && device.is_autodiff() {
                assert_ne!(alone, together);
            } else {
                let tolerance = if norm == ResponseNorm::GrnNoPool { 1e-3 } else { 1e-5 };
                assert_close(&format!("{norm:?}"), &alone, &together, tolerance);
            }
        }
    }
}

#[test]
fn batch_norm_learns_from_two_sites_at_least() {
    let device = Device::flex().autodiff();
    for kind in [EncoderKind::Sparse, EncoderKind::MaskedDense] {
        let model = Fcmae::new(&with_norm(ResponseNorm::Bn, kind), Seed(0), &device).unwrap();
        let masks = [Mask::from_kept(PatchGrid { rows: 1, columns: 2 }, vec![1]).unwrap()];
        let pixels = images([1, 3, 8, 16], &device);
        let error = model.forward(pixels, &masks, FcmaeObjective::default()).unwrap_err();
        assert!(
            matches!(&error, ModelError::OneValue { layer } if layer == "encoder.stages.3.0.bn"),
            "{error}"
        );
    }
}
