//! FCMAE's other decoders and encoders (paper Table 1) against PyTorch in f64: `goldens/decoders` and `make_decoders.py`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use burn::prelude::*;
use common::device::test_device;
use common::golden::{self, ModelGolden, Sketch};
use common::{assert_close, gradients_by_name, images, masks_keeping, model_config, ruled};
use convnext_core::{
    DecoderConfig, DecoderKind, EncoderKind, FcmaeConfig, FcmaeObjective, Mask, ModelConfig, PatchGrid, Seed,
    decoder_tensors, find_model,
};
use convnext_nn::{Fcmae, ModelError, for_each_parameter, tensor_shapes, tensor_values};
use serde::Deserialize;

/// A file of `goldens/decoders`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    config: ModelGolden,
    encoder_kind: EncoderKind,
    decoder: DecoderConfig,
    normalize_target: bool,
    mask_ratio: f64,
    batch: usize,
    height: usize,
    width: usize,
    /// The patches of each image that are kept.
    kept: Vec<Vec<usize>>,
    loss: f64,
    loss_float32_error: f64,
    /// Of removed patches, `[N R, V]`.
    prediction: Sketch,
    /// Of every learned parameter.
    gradients: BTreeMap<String, Sketch>,
    /// Mean and unbiased variance that batch norms see.
    statistics: BTreeMap<String, [Sketch; 2]>,
    /// The prediction of batch norms by their running statistics, from the features of the same encoder.
    running_prediction: Sketch,
}

impl Case {
    fn fcmae(&self) -> FcmaeConfig {
        let encoder = model_config(&self.config);
        FcmaeConfig { encoder, encoder_kind: self.encoder_kind, decoder: self.decoder }
    }

    fn model(&self, device: &Device) -> Fcmae {
        ruled(Fcmae::new(&self.fcmae(), Seed(0), device).unwrap())
    }

    fn check(&self, device: &Device) {
        let name = &self.name;
        let shape = [self.batch, self.config.input_channels, self.height, self.width];
        let masks = masks_keeping(&self.kept, &self.fcmae().encoder, [self.height, self.width]);
        let objective =
            FcmaeObjective { mask_ratio: self.mask_ratio, normalize_target: self.normalize_target };

        let tracking = device.clone().autodiff();
        let model = self.model(&tracking);
        let output = model.forward(images(shape, &tracking), &masks, objective).unwrap();
        let loss = f64::from(output.loss.clone().into_scalar::<f32>());
        let allowed = self.loss * 1e-5_f64.max(2.0 * self.loss_float32_error);
        assert!((loss - self.loss).abs() <= allowed, "{name}: loss {loss}, PyTorch {}", self.loss);
        self.prediction.check(&format!("{name}: predictions"), &tensor_values(output.predictions));

        let found = gradients_by_name(&model, &output.loss.backward());
        assert!(found.keys().eq(self.gradients.keys()), "{name}: {:?}", found.keys());
        for (parameter, sketch) in &self.gradients {
            sketch.check(&format!("{name}: gradient of {parameter}"), &found[parameter]);
        }
        self.check_batch_norms(&model);

        let output = self.model(device).forward(images(shape, device), &masks, objective).unwrap();
        let predicted = output.predictions;
        self.running_prediction.check(&format!("{name}: by running statistics"), &tensor_values(predicted));
    }

    fn check_batch_norms(&self, model: &Fcmae) {
        let found = model.take_statistics();
        assert_eq!(found.len(), self.statistics.len(), "{}", self.name);
        for statistics in found {
            let [mean, variance] = &self.statistics[&statistics.name];
            let what = |which| format!("{}: {which} of {}", self.name, statistics.name);
            mean.check(&what("mean"), &tensor_values(statistics.mean));
            variance.check(&what("variance"), &tensor_values(statistics.variance));
        }
        assert!(model.take_statistics().is_empty(), "they are taken once");
    }
}

#[test]
fn every_decoder_and_encoder_agrees_with_pytorch() {
    for case in golden::all::<Case>("decoders") {
        case.check(&test_device());
    }
}

const KINDS: [DecoderKind; 4] = [
    DecoderKind::ConvNext,
    DecoderKind::UNet,
    DecoderKind::UNetNoSkip,
    DecoderKind::Transformer { heads: 2 },
];

/// An autoencoder of patches of 8 pixels.
fn micro(kind: DecoderKind, encoder_kind: EncoderKind) -> FcmaeConfig {
    let encoder = ModelConfig { stem_stride: 1, ..find_model("micro").unwrap().config() };
    let mut config = FcmaeConfig { encoder_kind, ..FcmaeConfig::new(encoder) };
    config.decoder = DecoderConfig { depth: 1, width: 16, ..DecoderConfig::new(kind, &config.encoder) };
    config
}

fn inputs(device: &Device) -> (Tensor<4>, Vec<Mask>) {
    let grid = PatchGrid { rows: 3, columns: 4 };
    let masks = (0..2).map(|image| Mask::random(grid, 0.6, Seed(5), 0, image).unwrap());
    (images([2, 3, 24, 32], device), masks.collect())
}

#[test]
fn sparse_equals_masked_dense_with_every_decoder() {
    let device = Device::flex().autodiff();
    let (images, masks) = inputs(&device);
    for kind in KINDS {
        let run = |encoder_kind| {
            let model = ruled(Fcmae::new(&micro(kind, encoder_kind), Seed(0), &device).unwrap());
            let output = model.forward(images.clone(), &masks, FcmaeObjective::default()).unwrap();
            let mut values = gradients_by_name(&model, &output.loss.clone().backward());
            values.insert("the loss".to_owned(), tensor_values(output.loss.inner()));
            values
        };
        let [sparse, dense] = [EncoderKind::Sparse, EncoderKind::MaskedDense].map(run);
        for ((name, found), (same, expected)) in sparse.iter().zip(&dense) {
            assert_eq!(name, same);
            assert_close(&format!("{kind:?}: {name}"), found, expected, 1e-4);
        }
    }
}

#[test]
fn images_are_independent_but_for_the_batch_norms_of_a_unet_in_training() {
    for kind in KINDS {
        for encoder_kind in [EncoderKind::Sparse, EncoderKind::Tokens] {
            for device in [Device::flex(), Device::flex().autodiff()] {
                let model = ruled(Fcmae::new(&micro(kind, encoder_kind), Seed(0), &device).unwrap());
                let (images, masks) = inputs(&device);
                let removed = masks[0].removed().len();
                let predict = |count: usize| {
                    let images = images.clone().narrow(0, 0, count);
                    let found = model.forward(images, &masks[..count], FcmaeObjective::default()).unwrap();
                    tensor_values(found.predictions.narrow(0, 0, removed))
                };
                let [alone, together] = [predict(1), predict(2)];
                if kind.is_unet() && device.is_autodiff() {
                    assert_ne!(alone, together, "{kind:?}");
                } else {
                    assert_close(&format!("{kind:?}, {encoder_kind:?}"), &alone, &together, 1e-5);
                }
            }
        }
    }
}

#[test]
fn removed_pixels_do_not_matter_behind_tokens() {
    let device = Device::flex();
    let (images, masks) = inputs(&device);
    let model =
        ruled(Fcmae::new(&micro(DecoderKind::ConvNext, EncoderKind::Tokens), Seed(0), &device).unwrap());
    let predict = |images: Tensor<4>| {
        tensor_values(model.forward(images, &masks, FcmaeObjective::default()).unwrap().predictions)
    };
    let objective = FcmaeObjective { normalize_target: false, ..FcmaeObjective::default() };
    let found = model.forward(images.clone(), &masks, objective).unwrap().predictions;
    let changed = model.reconstruct(images.clone(), &masks, found * 3.0 + 1.0, objective).unwrap();
    assert_ne!(tensor_values(changed.clone()), tensor_values(images.clone()));
    assert_eq!(predict(changed), predict(images.clone()));
    assert_ne!(predict(images.clone() * 2.0), predict(images));
}

#[test]
fn the_tensors_are_those_that_the_configuration_tells() {
    for kind in KINDS {
        for encoder_kind in [EncoderKind::Sparse, EncoderKind::Tokens] {
            let config = micro(kind, encoder_kind);
            let model = Fcmae::new(&config, Seed(0), &Device::flex()).unwrap();
            let found = tensor_shapes(&model).into_iter().filter(|(name, _)| !name.starts_with("encoder."));
            let expected = decoder_tensors(&config, config.values_per_patch());
            assert_eq!(
                found.collect::<BTreeMap<_, _>>(),
                expected.into_iter().collect::<BTreeMap<_, _>>(),
                "{kind:?}, {encoder_kind:?}"
            );
        }
    }
}

/// Of many draws the deviation is within a few hundredths of that of the rule.
#[test]
fn fresh_layers_are_drawn_by_the_rule_of_their_kind() {
    let xavier = |inputs: f64, outputs: f64| (2.0 / (inputs + outputs)).sqrt();
    let of_unet = [
        ("decoder.steps.0.up.weight", (2.0_f64 / (64.0 * 16.0)).sqrt()),
        ("decoder.steps.0.conv1.conv.weight", 0.02),
        ("decoder.steps.0.conv2.conv.weight", 0.02),
        ("decoder.skips.0.proj.weight", 0.02),
        ("proj.weight", 0.02),
    ];
    let of_transformer = [
        ("decoder.blocks.0.attn.qkv.weight", xavier(64.0, 192.0)),
        ("decoder.blocks.0.attn.proj.weight", xavier(64.0, 64.0)),
        ("decoder.blocks.0.mlp.fc1.weight", xavier(64.0, 256.0)),
        ("decoder.blocks.0.mlp.fc2.weight", xavier(64.0, 256.0)),
        ("pred.weight", 0.02),
    ];
    let of_blocks = [("decoder.0.pwconv1.weight", 0.02), ("decoder.0.pwconv2.weight", 0.02)];
    for (kind, expected) in
        [(KINDS[0], &of_blocks[..]), (KINDS[1], &of_unet[..]), (KINDS[3], &of_transformer[..])]
    {
        let mut config = micro(kind, EncoderKind::Sparse);
        config.decoder.width = 64;
        let model = Fcmae::new(&config, Seed(0), &Device::flex()).unwrap();
        let mut found = BTreeMap::new();
        for_each_parameter(&model, |parameter| {
            let values = tensor_values(parameter.values());
            let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            found.insert(parameter.name(), (squares / values.len() as f64).sqrt());
        });
        for &(name, deviation) in expected {
            let error = found[name] / deviation - 1.0;
            assert!(error.abs() < 0.05, "{name}: deviation {}, not {deviation}", found[name]);
        }
    }
}

#[test]
fn a_removed_patch_without_a_mask_token_is_refused() {
    let device = Device::flex();
    let (images, masks) = inputs(&device);
    let mut model = Fcmae::new(&micro(DecoderKind::UNet, EncoderKind::Sparse), Seed(0), &device).unwrap();
    model.mask_token = None;
    let error = model.forward(images, &masks, FcmaeObjective::default()).unwrap_err();
    assert_eq!(error, ModelError::NoMaskToken { stage: 3 });
}
