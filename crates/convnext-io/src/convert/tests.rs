use std::fs;

use convnext_core::{
    ClassNames, ClassificationTask, ENCODER_PREFIX, FcmaeConfig, FcmaeObjective, Fit, Geometry, ImageSize,
    Interpolation, LAYER_SCALE_INIT, Preprocessing, ValueRange, classifier_tensors, find_model,
};

use super::*;
use crate::test_files::{arrays_of, arrays_of_shapes, by_name, foreign_file, speck};
use crate::{ElementType, PackageConfig, read_header, read_weights};

const CONVENTIONS: [Naming; 3] = [Naming::Official, Naming::Timm, Naming::HuggingFace];

fn preprocessing() -> Preprocessing {
    Preprocessing { mean: vec![0.25], std: vec![0.5], ..Preprocessing::for_size(32, 1) }
}

fn convert(out: &Path, weights: &WeightFile, naming: Naming) -> Result<Vec<PathBuf>, IoError> {
    match weights.metadata.task.read::<FcmaeTask>() {
        Ok(task) => write_converted(out, weights, &task, naming),
        Err(_) => {
            let task = ClassificationTask { classes: weights.metadata.class_names() };
            write_converted(out, weights, &task, naming)
        }
    }
}

fn weights(model: &ModelConfig, names: &[&str]) -> WeightFile {
    let classes = ClassNames(names.iter().map(|&name| name.to_owned()).collect());
    let metadata = WeightMetadata::of_classifier(model, classes, preprocessing());
    // Some models need other images, which does not matter here.
    let arrays = classifier_tensors(model);
    WeightFile { arrays: by_name(arrays_of_shapes(arrays)), metadata }
}

/// The same model, with the stem that the official code has if it is for that.
fn original_for(original: &WeightFile, naming: Naming) -> WeightFile {
    let model = original.metadata.convnext().unwrap();
    let stem_stride = if naming == Naming::Official { 4 } else { model.stem_stride };
    let names = original.metadata.class_names();
    let names: Vec<&str> = names.0.iter().map(String::as_str).collect();
    weights(&ModelConfig { stem_stride, ..model }, &names)
}

/// A small model, in timm with linear layers or with convolutions.
fn model(name: &str) -> ModelConfig {
    ModelConfig { name: name.into(), depths: [1, 2, 1, 1], ..speck() }
}

#[test]
fn every_convention_and_form_gives_the_tensors_back() {
    let folder = tempfile::tempdir().unwrap();
    let v1 = ModelConfig { response_norm: None, layer_scale: Some(LAYER_SCALE_INIT), ..model("custom") };
    for model in [model("custom"), model("atto"), v1, ModelConfig { classes: 0, ..model("custom") }] {
        let names: &[&str] = if model.classes > 0 { &["cat", "dog"] } else { &[] };
        let original = weights(&model, names);
        for naming in CONVENTIONS {
            let original = original_for(&original, naming);
            for extension in ["safetensors", "pt", "bin"] {
                let out = folder.path().join(format!("weights.{extension}"));
                assert_eq!(convert(&out, &original, naming).unwrap(), std::slice::from_ref(&out));
                let read = read_weights(&out).unwrap();
                assert_eq!(read.arrays, original.arrays, "{naming:?} {extension}");
                if extension == "safetensors" {
                    assert_eq!(read.metadata, original.metadata);
                }
            }
        }
    }
}

#[test]
fn names_and_shapes_are_those_of_the_other_program() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = |name: &str, naming| {
        let out = folder.path().join("weights.safetensors");
        let original = weights(&model(name), &[]);
        convert(&out, &original, naming).unwrap();
        let bytes = fs::read(&out).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        header
            .tensors()
            .into_iter()
            .map(|(name, info)| (name, info.shape.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let timm = shapes("atto", Naming::Timm);
    assert_eq!(timm["stages.1.blocks.1.mlp.fc1.weight"], [4, 1, 1, 1]);
    assert_eq!(timm["stages.1.blocks.1.mlp.grn.bias"], [4]);
    assert_eq!(shapes("custom", Naming::Timm)["stages.1.blocks.1.mlp.fc1.weight"], [4, 1]);
    let transformers = shapes("atto", Naming::HuggingFace);
    assert_eq!(transformers["convnextv2.encoder.stages.1.layers.1.grn.weight"], [1, 1, 1, 4]);
    assert_eq!(transformers["convnextv2.encoder.stages.1.layers.1.pwconv1.weight"], [4, 1]);
}

#[test]
fn of_an_autoencoder_the_encoder_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = ModelConfig { classes: 0, stem_stride: 4, ..model("custom") };
    let config = FcmaeConfig::new(encoder.clone());
    let metadata = WeightMetadata::of_fcmae(&config, FcmaeObjective::default(), preprocessing());
    let original = WeightFile { arrays: by_name(arrays_of(&metadata)), metadata };
    for naming in CONVENTIONS {
        let out = folder.path().join("encoder.safetensors");
        convert(&out, &original, naming).unwrap();
        let mut read = read_weights(&out).unwrap();
        assert_eq!(read.metadata.task_as(), Ok(ClassificationTask::default()));
        assert_eq!(read.metadata.convnext(), Ok(encoder.clone()));
        let norm = ["norm.weight", "norm.bias"].map(|name| read.arrays.remove(name));
        match naming {
            Naming::Official => assert_eq!(norm, [None, None]),
            _ => assert_eq!(norm.map(|array| array.unwrap().to_f32().unwrap()), [vec![1.0], vec![0.0]]),
        }
        let encoder = original.arrays.iter().filter(|(name, _)| name.starts_with(ENCODER_PREFIX));
        let expected: Vec<_> = encoder.map(|(name, array)| (without_encoder(name), &array.bytes)).collect();
        let found: Vec<_> = read.arrays.iter().map(|(name, array)| (name.as_str(), &array.bytes)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn integers_are_refused_by_name_where_a_network_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let model = ModelConfig { stem_stride: 4, ..model("custom") };
    let mut original = weights(&model, &["cat", "dog"]);
    let bias = original.arrays.get_mut("head.bias").unwrap();
    *bias = NamedArray { element_type: ElementType::I64, bytes: vec![0; 8 * bias.shape[0]], ..bias.clone() };
    for (naming, name) in CONVENTIONS.into_iter().zip(["head.bias", "head.fc.bias", "classifier.bias"]) {
        let out = folder.path().join("out.safetensors");
        let message = convert(&out, &original, naming).unwrap_err().to_string();
        assert!(message.contains(&format!("tensor {name}: holds integers (I64)")), "{message}");
        assert!(!out.exists());
    }
    // Of others' files it is refused when they are read.
    let arrays: Vec<NamedArray> = original.arrays.into_values().collect();
    let (_folder, path) = foreign_file(&arrays);
    let message = read_weights(&path).unwrap_err().to_string();
    assert!(message.contains("tensor head.bias of") && message.contains("type I64"), "{message}");
}

#[test]
fn folders_hold_what_the_packages_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let original = weights(&model("custom"), &["cat", "dog"]);
    for (naming, count) in [(Naming::Timm, 2), (Naming::HuggingFace, 3)] {
        let out = folder.path().join(format!("{naming:?}"));
        let written = convert(&out, &original, naming).unwrap();
        assert_eq!(written.len(), count);
        let header = read_header(&written[0]).unwrap();
        assert_eq!((header.metadata, header.foreign), (Some(original.metadata.clone()), false));
        let config: Value = serde_json::from_slice(&fs::read(&written[1]).unwrap()).unwrap();
        match naming {
            Naming::Timm => {
                assert_eq!(config["label_names"], serde_json::json!(["cat", "dog"]));
                assert_eq!(config["model_args"]["depths"], serde_json::json!([1, 2, 1, 1]));
            }
            _ => assert_eq!(config["id2label"]["1"], "dog"),
        }
    }
}

#[test]
fn what_the_other_program_does_not_have_is_refused() {
    let both = ModelConfig { layer_scale: Some(LAYER_SCALE_INIT), ..model("custom") };
    let both = weights(&both, &[]);
    let refused = |weights: &WeightFile, out: &str, naming| {
        convert(Path::new(out), weights, naming).unwrap_err().to_string()
    };
    assert!(refused(&both, "x.safetensors", Naming::HuggingFace).contains("--to timm"));
    let of_stem = |stem_stride, layer_scale: bool| {
        let layer_scale = layer_scale.then_some(LAYER_SCALE_INIT);
        let model = ModelConfig { stem_stride, layer_scale, ..model("custom") };
        weights(&model, &[])
    };
    for out in ["x.safetensors", "x.pt", "x"] {
        assert!(refused(&of_stem(2, false), out, Naming::Timm).contains("--to hf"));
        assert!(refused(&of_stem(2, true), out, Naming::Timm).contains("convnext export"));
    }
    for out in ["x.safetensors", "x.pt"] {
        assert!(refused(&of_stem(2, false), out, Naming::Official).contains("stems of 4 pixels"));
        assert!(refused(&of_stem(1, false), out, Naming::Official).contains("--to timm or --to hf"));
        assert!(refused(&of_stem(4, true), out, Naming::Official).contains("both GRN and LayerScale"));
    }
    let plain = weights(&find_model("micro").unwrap().config(), &[]);
    assert!(refused(&plain, "folder", Naming::Official).contains(".pt"));
    assert!(refused(&plain, "no/such/folder/x.pt", Naming::Official).contains("no/such/folder/x.pt"));
}

#[test]
fn preprocessing_comes_back_from_the_files_of_the_packages() {
    let folder = tempfile::tempdir().unwrap();
    let model = ModelConfig { classes: 2, stem_stride: 4, input_channels: 3, ..model("custom") };
    for (number, interpolation) in Interpolation::PILLOW.into_iter().enumerate() {
        for (image_size, crop) in [(64, None), (64, Some(0.95)), (448, None), (448, Some(0.9))] {
            let size = ImageSize::square(image_size);
            let of_crop = |crop: Option<f64>| {
                crop.map_or(Geometry::Warp { size }, |crop| Geometry::CentreCrop { size, crop })
            };
            let own = Preprocessing {
                geometry: of_crop(crop),
                mean: vec![0.25, 0.5, 0.75],
                std: vec![0.5, 0.25, 0.125],
                interpolation,
                range: ValueRange::Unstated,
            };
            let mut original = weights(&model, &["cat", "dog"]);
            original.metadata.preprocessing = own.clone();
            for naming in [Naming::Timm, Naming::HuggingFace] {
                let out = folder.path().join(format!("{naming:?}-{number}-{image_size}-{crop:?}"));
                let written = convert(&out, &original, naming).unwrap();
                let config = PackageConfig::read(&written[1], written.get(2).map(PathBuf::as_path)).unwrap();
                assert_eq!(config.remarks, Vec::<String>::new());
                let mut found = config.preprocessing(Preprocessing::for_size(32, 3));
                // A fraction of the size comes back as pixels.
                if naming == Naming::HuggingFace && image_size == 448 && crop.is_some() {
                    let Geometry::CentreCrop { crop: share, .. } = found.geometry else {
                        panic!("{found:?}")
                    };
                    assert_eq!((448.0 / share).floor(), (448.0_f64 / 0.9).floor());
                    found.geometry = of_crop(crop);
                }
                assert_eq!(found, own, "{naming:?}");
            }
        }
    }
}

#[test]
fn rectangles_come_back_and_what_cannot_be_told_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = ModelConfig { classes: 2, stem_stride: 4, input_channels: 3, ..model("custom") };
    let size = ImageSize::from([64, 96]);
    let fit = Fit { long: 64, short: 64, pad: 32 };
    for (number, (geometry, told_to_timm, told_to_transformers)) in [
        (Geometry::Warp { size }, true, true),
        (Geometry::CentreCrop { size, crop: 0.9 }, true, false),
        (Geometry::Fit(fit), false, false),
        (Geometry::None { pad: 32 }, false, false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut original = weights(&model, &["cat", "dog"]);
        original.metadata.preprocessing = Preprocessing { geometry, ..Preprocessing::for_size(32, 3) };
        for (naming, is_told) in [(Naming::Timm, told_to_timm), (Naming::HuggingFace, told_to_transformers)] {
            let out = folder.path().join(format!("{naming:?}-{number}"));
            match convert(&out, &original, naming) {
                Ok(written) => {
                    let files = (&written[1], written.get(2).map(PathBuf::as_path));
                    let config = PackageConfig::read(files.0, files.1).unwrap();
                    let found = config.preprocessing(Preprocessing::for_size(32, 3));
                    assert_eq!((found.geometry, is_told), (geometry, true), "{naming:?}");
                }
                Err(error) => {
                    assert!(!is_told && error.to_string().contains(".safetensors"), "{geometry}: {error}");
                    // Our own metadata has words for it.
                    let file = folder.path().join("whole.safetensors");
                    convert(&file, &original, naming).unwrap();
                    assert_eq!(read_header(&file).unwrap().metadata, Some(original.metadata.clone()));
                }
            }
        }
    }
}
