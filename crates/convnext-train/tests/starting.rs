//! What a run takes over from weights, and what weights are refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use convnext_core::{
    ClassNames, DecoderConfig, FcmaeConfig, FcmaeObjective, ModelConfig, Preprocessing, Seed, WeightMetadata,
    find_model,
};
use convnext_nn::{ConvNext, Fcmae, for_each_parameter, tensor_values};
use convnext_train::{are_same_classes, load_classifier, read_metadata, save_weights, start_from};

fn values<M: Module>(model: &M) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        found.insert(parameter.name(), tensor_values(parameter.values()));
    });
    found
}

fn names(list: &[&str]) -> ClassNames {
    ClassNames(list.iter().map(|&name| name.to_owned()).collect())
}

fn micro(classes: usize) -> ModelConfig {
    ModelConfig { classes, stem_stride: 1, ..find_model("micro").unwrap().config() }
}

fn classifier(classes: usize, seed: u64) -> ConvNext {
    ConvNext::new(&micro(classes), Seed(seed), &Device::flex()).unwrap()
}

fn autoencoder(width: usize, seed: u64) -> Fcmae {
    let mut config = FcmaeConfig::new(micro(0));
    config.decoder = DecoderConfig { width, ..config.decoder };
    Fcmae::new(&config, Seed(seed), &Device::flex()).unwrap()
}

fn of_autoencoder(model: &Fcmae) -> WeightMetadata {
    let preprocessing = Preprocessing::for_size(32, model.config().encoder.input_channels);
    WeightMetadata::of_fcmae(model.config(), FcmaeObjective::default(), preprocessing)
}

fn of_classifier(classes: &[&str]) -> WeightMetadata {
    WeightMetadata::of_classifier(&micro(3), names(classes), Preprocessing::for_size(32, 3))
}

/// Writes a model and returns where.
fn write<M: Module>(folder: &Path, model: &M, metadata: &WeightMetadata) -> PathBuf {
    let path = folder.join("weights.safetensors");
    save_weights(&path, model, metadata).unwrap();
    path
}

/// Weights whose head never goes on.
fn never(_metadata: &WeightMetadata) -> bool {
    false
}

#[test]
fn a_classifier_takes_the_encoder_of_an_autoencoder_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let source = autoencoder(24, 1);
    let path = write(folder.path(), &source, &of_autoencoder(&source));
    let fresh = values(&classifier(3, 2));
    let started = values(&start_from(classifier(3, 2), &path, &never).unwrap());
    let source = values(&source);
    for (name, found) in &started {
        match source.get(&format!("encoder.{name}")) {
            Some(expected) => assert_eq!(found, expected, "{name}"),
            None => {
                assert!(name.starts_with("norm.") || name.starts_with("head."), "{name}");
                assert_eq!(found, &fresh[name], "{name}");
            }
        }
    }
}

#[test]
fn an_autoencoder_goes_on_whole_and_a_new_decoder_starts_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let source = autoencoder(24, 1);
    let path = write(folder.path(), &source, &of_autoencoder(&source));
    let same = start_from(autoencoder(24, 2), &path, &never).unwrap();
    assert_eq!(values(&same), values(&source));
    let wider = values(&start_from(autoencoder(32, 2), &path, &never).unwrap());
    let (source, fresh) = (values(&source), values(&autoencoder(32, 2)));
    assert_eq!(wider["encoder.stages.2.1.pwconv1.weight"], source["encoder.stages.2.1.pwconv1.weight"]);
    assert_eq!(wider["decoder.0.pwconv1.weight"], fresh["decoder.0.pwconv1.weight"]);
}

#[test]
fn a_head_is_kept_only_for_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let source = classifier(3, 1);
    let path = write(folder.path(), &source, &of_classifier(&["a", "b", "c"]));
    let head = |classes: &[&str]| {
        let keeps = |metadata: &WeightMetadata| are_same_classes(&metadata.class_names(), &names(classes));
        values(&start_from(classifier(3, 2), &path, &keeps).unwrap())["head.weight"].clone()
    };
    assert_eq!(head(&["a", "b", "c"]), values(&source)["head.weight"]);
    for others in [["p", "q", "r"], ["c", "b", "a"]] {
        assert_eq!(head(&others), values(&classifier(3, 2))["head.weight"]);
    }
}

#[test]
fn a_backbone_of_another_shape_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = classifier(3, 1);
    let path = write(folder.path(), &source, &of_classifier(&[]));
    let deeper = ModelConfig { depths: [1, 1, 3, 1], ..micro(3) };
    let deeper = ConvNext::new(&deeper, Seed(0), &Device::flex()).unwrap();
    let message = start_from(deeper, &path, &never).unwrap_err().to_string();
    assert!(message.contains("stages.2.2.") && message.contains("weights.safetensors"), "{message}");
}

#[test]
fn metadata_without_sense_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let source = classifier(3, 1);
    let good = micro(3);
    let sizes = Preprocessing::for_size(32, 3);
    for (model, preprocessing, classes, what) in [
        (ModelConfig { stem_stride: 0, ..good.clone() }, sizes.clone(), names(&[]), "stem stride is 0"),
        (ModelConfig { depths: [1, 1, 1 << 60, 1], ..good.clone() }, sizes.clone(), names(&[]), "depths is"),
        (
            ModelConfig { widths: [16, 32, 64, 1 << 60], ..good.clone() },
            sizes.clone(),
            names(&[]),
            "widths is",
        ),
        (good.clone(), sizes.clone().at_size(0), names(&[]), "image size is 0"),
        (good.clone(), Preprocessing { std: vec![0.0; 3], ..sizes.clone() }, names(&[]), "std is"),
        (good.clone(), sizes, names(&["a", "b", "c", "d"]), "4 names for 3 classes"),
    ] {
        let path = folder.path().join("weights.safetensors");
        let metadata = WeightMetadata::of_classifier(&model, classes, preprocessing);
        save_weights(&path, &source, &metadata).unwrap();
        for message in [
            load_classifier(&path, &Device::flex()).unwrap_err().to_string(),
            read_metadata(&path).unwrap_err().to_string(),
        ] {
            assert!(message.contains(what) && message.contains("weights.safetensors"), "{message}");
        }
    }
}

#[test]
fn weights_that_are_not_finite_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let model = convnext_nn::replace_parameters(classifier(3, 1), |parameter| {
        (parameter.name() == "stages.1.0.norm.bias")
            .then(|| Tensor::from_floats([f32::NAN; 32], &parameter.device))
    });
    let message = save_weights(&path, &model, &of_classifier(&[])).unwrap_err().to_string();
    assert!(message.contains("stages.1.0.norm.bias"), "{message}");
    assert!(!path.exists());
}

#[test]
fn weights_for_colours_start_models_of_other_channels_and_no_others_do() {
    let folder = tempfile::tempdir().unwrap();
    let of = |channels: usize, seed| {
        let config = FcmaeConfig::new(ModelConfig { input_channels: channels, ..micro(0) });
        Fcmae::new(&config, Seed(seed), &Device::flex()).unwrap()
    };
    let write_of = |channels: usize| {
        let source = of(channels, 1);
        let path = folder.path().join(format!("{channels}.safetensors"));
        save_weights(&path, &source, &of_autoencoder(&source)).unwrap();
        (path, values(&source))
    };
    let (colours, source) = write_of(3);
    let stem = "encoder.downsample_layers.0.0.weight";
    let grey = values(&start_from(of(1, 2), &colours, &never).unwrap());
    let sums: Vec<f32> = source[stem].chunks(3).map(|colours| colours.iter().sum()).collect();
    assert_eq!(grey[stem], sums);
    assert_eq!(grey["encoder.stages.2.1.pwconv1.weight"], source["encoder.stages.2.1.pwconv1.weight"]);
    assert_eq!(grey["proj.weight"], source["proj.weight"]);
    assert_eq!(grey["pred.weight"], values(&of(1, 2))["pred.weight"], "what is predicted is drawn anew");

    let (five, _) = write_of(5);
    for channels in [1, 3] {
        let message = start_from(of(channels, 2), &five, &never).unwrap_err().to_string();
        assert!(message.contains("downsample_layers.0.0.weight"), "{message}");
    }
    // Plain loading takes what the file holds.
    assert_eq!(
        convnext_train::load_fcmae(&five, &Device::flex()).unwrap().0.config().encoder.input_channels,
        5
    );
}
