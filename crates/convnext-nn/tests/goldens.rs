//! Comparison with PyTorch in f64: `goldens/` has the values and the scripts that generate them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use burn::prelude::*;
use common::device::test_device;
use common::golden::{self, ClassifierGolden, FcmaeGolden, Sketch};
use common::{gradients_by_name, images, masks_keeping, model_config, ruled};
use convnext_core::{
    DecoderConfig, DecoderKind, EncoderKind, FcmaeConfig, FcmaeObjective, LAYER_SCALE_INIT, ResponseNorm,
    Seed,
};
use convnext_nn::{ConvNext, DropPath, Fcmae, tensor_values};

fn check_gradients(case: &str, found: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Sketch>) {
    let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(found.keys().collect()), names(expected.keys().collect()), "{case}");
    for (name, sketch) in expected {
        sketch.check(&format!("{case}: gradient of {name}"), &found[name]);
    }
}

#[test]
fn classifiers_agree_with_timm() {
    let device = test_device().autodiff();
    for case in golden::all::<ClassifierGolden>("classifier") {
        let name = &case.name;
        let model = ruled(ConvNext::new(&model_config(&case.config), Seed(0), &device).unwrap());
        let pixels = images(case.image_shape(), &device).require_grad();

        let features = model.features(pixels.clone().inner(), &DropPath::none()).unwrap();
        for (stage, (map, sketch)) in features.into_iter().zip(&case.features).enumerate() {
            assert_eq!(map.dims().to_vec(), sketch.shape, "{name}: stage {stage}");
            sketch.check(&format!("{name}: features of stage {stage}"), &tensor_values(map));
        }

        let logits = model.forward(pixels.clone(), &DropPath::none()).unwrap();
        case.check_logits(&tensor_values(logits.clone()));
        let [batch, classes] = logits.dims();
        let cotangent = golden::cotangent(batch * classes);
        let cotangent = Tensor::<2>::from_data(TensorData::new(cotangent, [batch, classes]), &device);
        let gradients = (logits * cotangent).sum().backward();
        case.input_gradient.check(
            &format!("{name}: gradient of the images"),
            &tensor_values(pixels.grad(&gradients).unwrap()),
        );
        check_gradients(name, &gradients_by_name(&model, &gradients), &case.gradients);
    }
}

#[test]
fn masked_autoencoders_agree_with_pytorch() {
    let device = test_device().autodiff();
    for case in golden::all::<FcmaeGolden>("fcmae") {
        let name = &case.name;
        let decoder = DecoderConfig {
            kind: DecoderKind::ConvNext,
            depth: case.decoder.depth,
            width: case.decoder.width,
            response_norm: case.decoder.grn.then_some(ResponseNorm::Grn),
            layer_scale: case.decoder.layer_scale.then_some(LAYER_SCALE_INIT),
        };
        let mut config =
            FcmaeConfig { encoder: model_config(&case.config), encoder_kind: EncoderKind::Sparse, decoder };
        let objective =
            FcmaeObjective { mask_ratio: case.mask_ratio, normalize_target: case.normalize_target };
        let masks = masks_keeping(&case.kept, &config.encoder, [case.height, case.width]);
        // The slow reference runs on the small cases only.
        let kinds: &[EncoderKind] = if case.width < 200 {
            &[EncoderKind::Sparse, EncoderKind::MaskedDense]
        } else {
            &[EncoderKind::Sparse]
        };
        for &kind in kinds {
            config.encoder_kind = kind;
            let model = ruled(Fcmae::new(&config, Seed(0), &device).unwrap());
            let output = model.forward(images(case.image_shape(), &device), &masks, objective).unwrap();
            case.check_loss(output.loss.clone().into_scalar::<f32>());
            let case_name = format!("{name}, {kind:?}");
            case.prediction.check(&format!("{case_name}: predictions"), &tensor_values(output.predictions));
            let gradients = output.loss.backward();
            check_gradients(&case_name, &gradients_by_name(&model, &gradients), &case.gradients);
        }
    }
}
