//! Tests with the files of timm and transformers, and with some that are nobody's.

use std::path::PathBuf;

use convnext_core::{IMAGENET_MEAN, IMAGENET_STD};
use tempfile::TempDir;

use super::*;

/// Files that `tests/fixtures/hub_configs.py` made with timm and transformers.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn written(text: &str) -> (TempDir, PathBuf) {
    crate::test_files::file_with(text.as_bytes())
}

#[test]
fn timm_config_is_understood() {
    let config = HubConfig::read(&fixture("hub_timm_384.json"), None).unwrap();
    let expected = HubConfig {
        image_size: Some(384),
        crop: Some(HubCrop::Whole),
        mean: Some(IMAGENET_MEAN.into()),
        std: Some(IMAGENET_STD.into()),
        interpolation: Some("bicubic".into()),
        classes: Some(1000),
        class_names: None,
        licence: Some("cc-by-nc-4.0".into()),
    };
    assert_eq!(config, expected);
    assert_eq!(config.preprocessing(Preprocessing::for_size(32, 3)), Preprocessing::for_size(384, 3));
}

#[test]
fn timm_config_of_an_own_model_has_its_classes() {
    let config = HubConfig::read(&fixture("hub_timm_own.json"), None).unwrap();
    assert_eq!(config.class_names, Some(ClassNames(vec!["cat".into(), "dog".into()])));
    assert_eq!((config.classes, config.crop), (Some(2), Some(HubCrop::Centre(0.875))));
}

#[test]
fn transformers_files_are_understood_together() {
    let processor = fixture("hub_transformers_preprocessor.json");
    let config = HubConfig::read(&fixture("hub_transformers.json"), Some(&processor)).unwrap();
    let names = ClassNames(vec!["cat".into(), "dog".into(), "owl".into()]);
    let expected = HubConfig {
        image_size: Some(224),
        crop: Some(HubCrop::Centre(0.875)),
        mean: Some(IMAGENET_MEAN.into()),
        std: Some(IMAGENET_STD.into()),
        interpolation: Some("bicubic".into()),
        classes: Some(3),
        class_names: Some(names),
        licence: None,
    };
    assert_eq!(config, expected);
}

#[test]
fn transformers_warps_large_images() {
    let (_folder, config) = written(r#"{"image_size": [224, 224], "unknown": {"a": 1}}"#);
    let (_other, processor) = written(r#"{"size": 384, "crop_pct": 0.875}"#);
    let config = HubConfig::read(&config, Some(&processor)).unwrap();
    assert_eq!((config.image_size, config.crop), (Some(384), Some(HubCrop::Whole)));
}

#[test]
fn old_timm_files_are_not_nested() {
    let (_folder, path) = written(r#"{"architecture": "x", "input_size": [3, 64, 64], "crop_pct": 1}"#);
    let config = HubConfig::read(&path, None).unwrap();
    assert_eq!((config.image_size, config.crop), (Some(64), Some(HubCrop::Centre(1.0))));
}

#[test]
fn what_is_not_said_stays_as_it_is() {
    let (_folder, path) = written("{}");
    let config = HubConfig::read(&path, None).unwrap();
    assert_eq!(config, HubConfig::default());
    let otherwise = Preprocessing::for_size(64, 1);
    assert_eq!(config.preprocessing(otherwise.clone()), otherwise);
}

#[test]
fn labels_with_gaps_are_no_names() {
    let (_folder, path) = written(r#"{"num_classes": 2, "label_names": {"0": "cat", "2": "dog"}}"#);
    let config = HubConfig::read(&path, None).unwrap();
    assert_eq!((config.classes, config.class_names), (Some(2), None));
}

#[test]
fn nonsense_is_refused_by_the_name_of_the_file() {
    for text in ["", "[]", "{\"pretrained_cfg\": 1}", "{\"pretrained_cfg\": {\"input_size\": [3, 224, 192]}}"]
    {
        let (_folder, path) = written(text);
        let error = HubConfig::read(&path, None).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{text}: {error}");
    }
}
