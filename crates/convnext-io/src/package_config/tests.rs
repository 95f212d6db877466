//! Tests with the files of timm and transformers, and with some that are nobody's.

use std::path::PathBuf;

use convnext_core::{
    ClassNames, Geometry, IMAGENET_MEAN, IMAGENET_STD, ImageSize, Interpolation, Preprocessing,
};
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
    let config = PackageConfig::read(&fixture("hub_timm_384.json"), None).unwrap();
    let expected = PackageConfig {
        image_size: Some(384.into()),
        crop: Some(PackageCrop::Whole),
        mean: Some(IMAGENET_MEAN.into()),
        std: Some(IMAGENET_STD.into()),
        interpolation: Some(Interpolation::Bicubic),
        classes: Some(1000),
        class_names: None,
        licence: Some("cc-by-nc-4.0".into()),
        remarks: vec![],
    };
    assert_eq!(config, expected);
    assert_eq!(config.preprocessing(Preprocessing::for_size(32, 3)), Preprocessing::for_size(384, 3));
}

#[test]
fn timm_config_of_an_own_model_has_its_classes() {
    let config = PackageConfig::read(&fixture("hub_timm_own.json"), None).unwrap();
    assert_eq!(config.class_names, Some(ClassNames(vec!["cat".into(), "dog".into()])));
    assert_eq!((config.classes, config.crop), (Some(2), Some(PackageCrop::Centre(0.875))));
}

#[test]
fn transformers_files_are_understood_together() {
    let processor = fixture("hub_transformers_preprocessor.json");
    let config = PackageConfig::read(&fixture("hub_transformers.json"), Some(&processor)).unwrap();
    let names = ClassNames(vec!["cat".into(), "dog".into(), "owl".into()]);
    let expected = PackageConfig {
        image_size: Some(224.into()),
        crop: Some(PackageCrop::Centre(0.875)),
        mean: Some(IMAGENET_MEAN.into()),
        std: Some(IMAGENET_STD.into()),
        interpolation: Some(Interpolation::Bicubic),
        classes: Some(3),
        class_names: Some(names),
        licence: None,
        remarks: vec![],
    };
    assert_eq!(config, expected);
}

#[test]
fn transformers_warps_large_images() {
    let (_folder, config) = written(r#"{"image_size": [224, 224], "unknown": {"a": 1}}"#);
    let (_other, processor) = written(r#"{"size": 384, "crop_pct": 0.875}"#);
    let config = PackageConfig::read(&config, Some(&processor)).unwrap();
    assert_eq!((config.image_size, config.crop), (Some(384.into()), Some(PackageCrop::Whole)));
}

#[test]
fn old_timm_files_are_not_nested() {
    let (_folder, path) = written(r#"{"architecture": "x", "input_size": [3, 64, 64], "crop_pct": 1}"#);
    let config = PackageConfig::read(&path, None).unwrap();
    assert_eq!((config.image_size, config.crop), (Some(64.into()), Some(PackageCrop::Centre(1.0))));
}

#[test]
fn what_is_not_said_stays_as_it_is() {
    let (_folder, path) = written("{}");
    let config = PackageConfig::read(&path, None).unwrap();
    assert_eq!(config, PackageConfig::default());
    let otherwise = Preprocessing::for_size(64, 1);
    assert_eq!(config.preprocessing(otherwise.clone()), otherwise);
}

#[test]
fn labels_with_gaps_are_no_names() {
    let (_folder, path) = written(r#"{"num_classes": 2, "label_names": {"0": "cat", "2": "dog"}}"#);
    let config = PackageConfig::read(&path, None).unwrap();
    assert_eq!((config.classes, config.class_names), (Some(2), Some(ClassNames::default())));
    assert!(config.remarks[0].contains("do not go from 0 on"), "{:?}", config.remarks);
}

#[test]
fn nonsense_is_refused_by_the_name_of_the_file() {
    for text in ["", "[]", "{\"pretrained_cfg\": 1}", "{\"pretrained_cfg\": {\"input_size\": [3, 224]}}"] {
        let (_folder, path) = written(text);
        let error = PackageConfig::read(&path, None).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{text}: {error}");
    }
}

fn processor(text: &str) -> PackageConfig {
    let (_folder, config) = written("{}");
    let (_other, processor) = written(text);
    PackageConfig::read(&config, Some(&processor)).unwrap()
}

#[test]
fn every_filter_of_pillow_is_known_by_number_and_name() {
    for (number, filter) in Interpolation::PILLOW.into_iter().enumerate() {
        assert_eq!(processor(&format!("{{\"resample\": {number}}}")).interpolation, Some(filter));
        let (_folder, path) = written(&format!("{{\"interpolation\": \"{}\"}}", filter.name()));
        assert_eq!(PackageConfig::read(&path, None).unwrap().interpolation, Some(filter));
    }
}

#[test]
fn rescaling_and_normalising_become_mean_and_deviation() {
    let statistics = |text: &str| {
        let config = processor(text);
        (config.mean.unwrap(), config.std.unwrap())
    };
    let own = r#""image_mean": [0.25, 0.5, 0.75], "image_std": [0.5, 0.5, 0.25]"#;
    let plain = (vec![0.25, 0.5, 0.75], vec![0.5, 0.5, 0.25]);
    assert_eq!(statistics(&format!("{{{own}}}")), plain);
    assert_eq!(statistics(&format!("{{{own}, \"rescale_factor\": 0.00392156862745098}}")), plain);
    assert_eq!(statistics(&format!("{{{own}, \"do_normalize\": false}}")), (vec![0.0], vec![1.0]));
    // level * 2 / 255 - mean, over std, is (level / 255 - mean / 2) / (std / 2).
    let halves = (vec![0.125, 0.25, 0.375], vec![0.25, 0.25, 0.125]);
    let double = 2.0 / 255.0;
    assert_eq!(statistics(&format!("{{{own}, \"rescale_factor\": {double}}}")), halves);
    let levels = r#"{"image_mean": 127.5, "image_std": 255, "do_rescale": false, "rescale_factor": 0.1}"#;
    assert_eq!(statistics(levels), (vec![0.5], vec![1.0]));
    let neither = r#"{"do_rescale": false, "do_normalize": false}"#;
    assert_eq!(statistics(neither), (vec![0.0], vec![(1.0 / 255.0) as f32]));
}

#[test]
fn what_a_convnext_processor_leaves_out_is_as_in_transformers() {
    let config = processor(
        r#"{"image_processor_type": "ConvNextImageProcessorFast", "size": {"shortest_edge": 224}}"#,
    );
    assert_eq!(config.crop, Some(PackageCrop::Centre(0.875)));
    assert_eq!((config.mean, config.std), (Some(vec![0.5]), Some(vec![0.5])));
    let other = processor(r#"{"size": {"shortest_edge": 224}}"#);
    assert_eq!((other.crop, other.mean), (None, None));
}

#[test]
fn rectangles_are_warped_by_transformers_and_cut_by_timm() {
    let size = ImageSize::from([96, 224]);
    let config = processor(r#"{"size": {"height": 96, "width": 224}}"#);
    assert_eq!((config.image_size, config.crop), (Some(size), Some(PackageCrop::Whole)));
    let (_folder, path) = written(r#"{"pretrained_cfg": {"input_size": [3, 96, 224], "crop_pct": 0.9}}"#);
    let found = PackageConfig::read(&path, None).unwrap().preprocessing(Preprocessing::for_size(32, 3));
    assert_eq!(found.geometry, Geometry::CentreCrop { size, crop: 0.9 });
    let (_other, config) = written("{}");
    for text in [
        r#"{"size": {"shortest_edge": 256}, "do_center_crop": true, "crop_size": {"height": 96, "width": 224}}"#,
        r#"{"size": [96, 224], "crop_pct": 0.9}"#,
    ] {
        let (_folder, path) = written(text);
        let error = PackageConfig::read(&config, Some(&path)).unwrap_err().to_string();
        assert!(error.contains("is not square"), "{text}: {error}");
    }
}

#[test]
fn every_way_to_a_square_is_understood() {
    let (whole, centre) = (PackageCrop::Whole, PackageCrop::Centre);
    for (text, side, crop) in [
        (r#"{"size": {"height": 224, "width": 224}}"#, 224, whole),
        (r#"{"size": {"shortest_edge": 383}, "crop_pct": 0.9}"#, 383, centre(0.9)),
        (r#"{"size": {"shortest_edge": 384}, "crop_pct": 0.9}"#, 384, whole),
        (r#"{"size": 224, "crop_pct": 0.9}"#, 224, centre(0.9)),
        (
            r#"{"size": {"shortest_edge": 256}, "do_center_crop": true, "crop_size": {"height": 224, "width": 224}}"#,
            224,
            centre(0.875),
        ),
        (r#"{"size": {"shortest_edge": 512}, "do_center_crop": true, "crop_size": 448}"#, 448, centre(0.875)),
        (r#"{"size": {"height": 96, "width": 96}, "do_center_crop": true, "crop_size": 96}"#, 96, whole),
    ] {
        let config = processor(text);
        assert_eq!(
            (config.image_size, config.crop, config.remarks),
            (Some(side.into()), Some(crop), vec![]),
            "{text}"
        );
    }
    // No share gives 235 pixels when it is divided by and rounded down, unless it is chosen for that.
    for side in 225..400_usize {
        let text = format!("{{\"size\": {side}, \"do_center_crop\": true, \"crop_size\": 224}}");
        let Some(PackageCrop::Centre(share)) = processor(&text).crop else { panic!("{text}") };
        assert_eq!((224.0 / share).floor(), side as f64, "{side}");
    }
}

#[test]
fn what_is_not_done_is_remarked_by_the_name_of_the_field() {
    for (text, field) in [
        (r#"{"do_resize": false}"#, "do_resize"),
        (r#"{"resample": 9}"#, "resample 9"),
        (r#"{"resample": "bicubic"}"#, "resample"),
        (r#"{"size": 224, "do_center_crop": false}"#, "do_center_crop"),
        (r#"{"size": {"height": 256, "width": 256}, "do_center_crop": true, "crop_size": 224}"#, "crop_size"),
        (r#"{"rescale_offset": true}"#, "rescale_offset"),
        (r#"{"do_flip_channel_order": true}"#, "do_flip_channel_order"),
        (r#"{"do_pad": true}"#, "do_pad"),
        (r#"{"size": {"shortest_edge": 224, "longest_edge": 512}}"#, "longest_edge 512"),
    ] {
        let remarks = processor(text).remarks;
        assert!(remarks.len() == 1 && remarks[0].contains(field), "{text}: {remarks:?}");
    }
    for (text, field) in [
        (r#"{"interpolation": "random"}"#, "interpolation random"),
        (r#"{"crop_mode": "border", "crop_pct": 0.9}"#, "crop_mode border"),
        (r#"{"crop_mode": "squash", "crop_pct": 0.9}"#, "crop_pct"),
    ] {
        let (_folder, path) = written(text);
        let remarks = PackageConfig::read(&path, None).unwrap().remarks;
        assert!(remarks.len() == 1 && remarks[0].contains(field), "{text}: {remarks:?}");
    }
}

#[test]
fn another_computation_is_remarked_by_field_and_value() {
    let remarks = |text: &str| {
        let (_folder, path) = written(text);
        PackageConfig::read(&path, None).unwrap().remarks
    };
    for (text, field, instead) in [
        (r#"{"hidden_act": "relu"}"#, "hidden_act is relu", "GELU is used"),
        (r#"{"hidden_act": "gelu_new"}"#, "hidden_act is gelu_new", "GELU is used"),
        (r#"{"hidden_act": ["gelu"]}"#, "hidden_act is [\"gelu\"]", "GELU is used"),
        (r#"{"global_pool": "max"}"#, "global_pool is max", "global average pooling"),
        (
            r#"{"global_pool": "max", "model_args": {"global_pool": "max"}}"#,
            "model_args.global_pool is max",
            "global average pooling",
        ),
        (r#"{"model_args": {"act_layer": "silu"}}"#, "model_args.act_layer is silu", "GELU is used"),
        (r#"{"model_args": {"norm_eps": 0.001}}"#, "model_args.norm_eps is 0.001", "1e-6"),
        (
            r#"{"model_args": {"head_norm_first": true}}"#,
            "model_args.head_norm_first is true",
            "after global average pooling",
        ),
        (r#"{"model_args": {"output_stride": 16}}"#, "model_args.output_stride is 16", "downsamples by 2"),
        (r#"{"model_args": {"new_trick": 1}}"#, "model_args.new_trick is 1", "as in the paper"),
    ] {
        let found = remarks(text);
        assert!(
            found.len() == 1 && found[0].contains(field) && found[0].contains(instead),
            "{text}: {found:?}"
        );
    }
    for text in [
        r#"{"hidden_act": "gelu", "global_pool": "avg"}"#,
        r#"{"hidden_act": null, "global_pool": "", "model_args": null}"#,
        r#"{"model_args": {"depths": [1, 2, 1, 1], "dims": [4, 8, 12, 16], "conv_mlp": true, "use_grn": true,
            "drop_path_rate": 0.1, "ls_init_value": null, "act_layer": null, "norm_eps": 1e-6}}"#,
    ] {
        assert!(remarks(text).is_empty(), "{text}: {:?}", remarks(text));
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let (_folder, path) = written("\u{feff}{\"num_classes\": 2}");
    assert_eq!(PackageConfig::read(&path, None).unwrap().classes, Some(2));
}

#[test]
fn statistics_of_colours_fit_other_channels() {
    let config = processor(r#"{"image_mean": [0.25, 0.5, 0.75], "image_std": [0.5, 0.5, 0.5]}"#);
    assert_eq!(config.preprocessing(Preprocessing::for_size(64, 1)).mean, [0.5]);
    let one = processor(r#"{"image_mean": 0.25, "image_std": [0.5]}"#);
    assert_eq!(one.preprocessing(Preprocessing::for_size(64, 5)).mean, [0.25; 5]);
}
