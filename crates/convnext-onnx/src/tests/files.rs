//! The structure of the files.

use std::collections::BTreeSet;
use std::fs;

use convnext_core::{DetectionTask, Fit, Geometry, MaskRcnnConfig, ModelConfig, Tagged, WeightMetadata};
use convnext_io::ElementType;

use super::*;
use crate::export::{write_limited, write_onnx};
use crate::messages::{EXTERNAL, FLOAT, Tensor};

#[track_caller]
fn written(weights: &WeightFile, output: OnnxOutput) -> Model {
    let (_folder, path) = folder();
    write_onnx(&path, weights, &CORE_TASKS, &options(weights, output)).unwrap();
    read(&path)
}

/// Checks of `onnx.checker`: values are made before they are used, once, and all outputs are made.
#[test]
fn nodes_come_in_order() {
    let both = ModelConfig { layer_scale: Some(1.0), ..small() };
    for (weights, output) in [
        (classifier(both.clone()), OnnxOutput::Logits),
        (classifier(both), OnnxOutput::Features),
        (autoencoder(), OnnxOutput::Features),
    ] {
        let graph = written(&weights, output).graph.unwrap();
        let inputs = graph.input.iter().map(|input| input.name.clone());
        let tensors = graph.initializer.iter().map(|tensor| tensor.name.clone());
        let mut known: BTreeSet<String> = inputs.chain(tensors).collect();
        let mut used = BTreeSet::new();
        let mut nodes = BTreeSet::new();
        for node in graph.node {
            assert!(node.input.iter().all(|input| known.contains(input)), "{}", node.name);
            used.extend(node.input);
            assert!(known.insert(node.output[0].clone()), "{} is duplicated", node.output[0]);
            assert!(nodes.insert(node.name));
        }
        used.extend(graph.output.into_iter().map(|output| output.name));
        assert_eq!(known, used);
    }
}

#[test]
fn tensors_have_official_names_and_shapes() {
    let weights = classifier(small());
    let graph = written(&weights, OnnxOutput::Logits).graph.unwrap();
    let is_weight = |tensor: &&Tensor| !tensor.name.starts_with("constants.");
    let found: Vec<(String, Vec<usize>)> = (graph.initializer.iter().filter(is_weight))
        .map(|tensor| (tensor.name.clone(), tensor.dims.iter().map(|&side| side as usize).collect()))
        .collect();
    assert_eq!(found, weights.metadata.tensors(&CORE_TASKS).unwrap());
    for tensor in graph.initializer.iter().filter(is_weight) {
        assert_eq!((tensor.data_type, &tensor.raw_data), (FLOAT, &weights.arrays[&tensor.name].bytes));
    }
}

#[test]
fn inputs_and_outputs_have_names_and_shapes() {
    let shape = |value: &crate::messages::ValueInfo| {
        let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
        let sides = tensor.shape.unwrap().dim.into_iter();
        let text = |side: crate::messages::Dimension| {
            side.dim_param.unwrap_or_else(|| side.dim_value.unwrap().to_string())
        };
        format!("{} {}", value.name, sides.map(text).collect::<Vec<_>>().join("x"))
    };
    let weights = classifier(small());
    let graph = written(&weights, OnnxOutput::Logits).graph.unwrap();
    assert_eq!(shape(&graph.input[0]), "images batchx3x32x32");
    assert_eq!(shape(&graph.output[0]), "logits batchx5");
    let graph = written(&weights, OnnxOutput::Features).graph.unwrap();
    let outputs: Vec<String> = graph.output.iter().map(shape).collect();
    let expected = ["stage1 batchx4x8x8", "stage2 batchx6x4x4", "stage3 batchx10x2x2", "stage4 batchx8x1x1"];
    assert_eq!(outputs, expected);

    let (_folder, path) = folder();
    let options = OnnxOptions { batch: OnnxBatch::Fixed(7), ..OnnxOptions::of(&weights.metadata) };
    write_onnx(&path, &weights, &CORE_TASKS, &options).unwrap();
    assert_eq!(shape(&read(&path).graph.unwrap().input[0]), "images 7x3x32x32");
}

#[test]
fn properties_tell_how_images_are_prepared() {
    let mut weights = classifier(small());
    weights.metadata.preprocessing = Preprocessing::for_size(224, 3);
    let property = |model: &Model, key: &str| {
        model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    };
    let model = written(&weights, OnnxOutput::Logits);
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    assert_eq!(model.producer_name, "convnext");
    assert_eq!(property(&model, "model").unwrap(), "small");
    assert_eq!(property(&model, "image_size").unwrap(), "224");
    assert_eq!(property(&model, "crop").unwrap(), "0.875");
    let numbers = |key| serde_json::from_str::<Vec<f32>>(&property(&model, key).unwrap()).unwrap();
    assert_eq!((numbers("mean"), numbers("std")), (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]));
    let names: ClassNames = serde_json::from_str(&property(&model, "class_names").unwrap()).unwrap();
    assert_eq!(names, weights.metadata.class_names());
    let text = property(&model, "preprocessing").unwrap();
    assert!(text.contains("short side to 256 pixels, cut out the central 224x224"), "{text}");

    assert_eq!(property(&written(&weights, OnnxOutput::Features), "class_names"), None);
    let (_folder, path) = folder();
    let larger = OnnxOptions { image_size: Some(384.into()), ..OnnxOptions::of(&weights.metadata) };
    write_onnx(&path, &weights, &CORE_TASKS, &larger).unwrap();
    let model = read(&path);
    assert_eq!(property(&model, "crop").unwrap(), "null");
    assert!(
        property(&model, "preprocessing").unwrap().contains("resize to 384x384, whatever the proportions")
    );

    let wide = OnnxOptions { image_size: Some([224, 320].into()), ..OnnxOptions::of(&weights.metadata) };
    write_onnx(&path, &weights, &CORE_TASKS, &wide).unwrap();
    let model = read(&path);
    assert_eq!(property(&model, "image_size").unwrap(), "[224,320]");
    let text = property(&model, "preprocessing").unwrap();
    assert!(text.contains("until 256x365 pixels are covered, cut out the central 224x320"), "{text}");
}

/// Bug: the feature maps of segmentation networks and detectors at another size were said to be those of a centre crop.
#[test]
fn whole_images_stay_whole_at_another_size() {
    let mut detector = classifier(small());
    let task = DetectionTask { classes: ClassNames::default(), head: MaskRcnnConfig::PAPER };
    detector.metadata.task = Tagged::new(&task);
    let mut padded = classifier(small());
    padded.metadata.preprocessing.geometry = Geometry::Fit(Fit { long: 96, short: 96, pad: 32 });
    for weights in [detector, padded] {
        let (_folder, path) = folder();
        let at_size = OnnxOptions { image_size: Some(64.into()), ..options(&weights, OnnxOutput::Features) };
        write_onnx(&path, &weights, &CORE_TASKS, &at_size).unwrap();
        let properties = read(&path).metadata_props;
        let value = |key: &str| &properties.iter().find(|entry| entry.key == key).unwrap().value;
        assert_eq!(value("crop"), "null");
        let text = value("preprocessing");
        assert!(text.contains("resize to 64x64, whatever the proportions"), "{text}");
    }
}

#[test]
fn all_weights_become_single_precision() {
    let mut weights = classifier(small());
    let expected = written(&weights, OnnxOutput::Logits);
    for array in weights.arrays.values_mut() {
        let values = array.to_f32().unwrap();
        array.bytes = values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        array.element_type = ElementType::F64;
    }
    assert_eq!(written(&weights, OnnxOutput::Logits), expected);
}

#[test]
fn equal_weights_give_equal_bytes() {
    let weights = classifier(small());
    let bytes = |limit| {
        let (_folder, path) = folder();
        let files =
            write_limited(&path, &weights, &CORE_TASKS, &OnnxOptions::of(&weights.metadata), limit).unwrap();
        files.into_iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    let whole = bytes(u64::MAX);
    assert_eq!(whole, bytes(u64::MAX));
    assert_eq!(bytes(0), bytes(0));
    // The limit is exact.
    let length = whole[0].len() as u64;
    assert_eq!((bytes(length).len(), bytes(length - 1).len()), (1, 2));
}

#[test]
fn the_second_file_holds_the_same_tensors() {
    let weights = classifier(small());
    let mut expected = written(&weights, OnnxOutput::Logits);
    let (_folder, path) = folder();
    let files = write_limited(&path, &weights, &CORE_TASKS, &OnnxOptions::of(&weights.metadata), 0).unwrap();
    let data = fs::read(&files[1]).unwrap();
    let mut found = read(&path);
    for tensor in &mut found.graph.as_mut().unwrap().initializer {
        if tensor.data_location == EXTERNAL {
            let [location, offset, length] = tensor.external_data.as_slice() else { panic!("{tensor:?}") };
            assert_eq!((location.key.as_str(), location.value.as_str()), ("location", "model.onnx.data"));
            let [offset, length] = [offset, length].map(|entry| entry.value.parse::<usize>().unwrap());
            assert_eq!(offset % 4096, 0);
            tensor.raw_data = data[offset..][..length].to_vec();
            tensor.external_data.clear();
            tensor.data_location = 0;
        }
    }
    let by_name = |model: &mut Model| {
        model.graph.as_mut().unwrap().initializer.sort_by(|one, other| one.name.cmp(&other.name));
    };
    by_name(&mut found);
    by_name(&mut expected);
    assert_eq!(found, expected);
}

#[test]
fn logits_are_put_out_where_there_is_a_head() {
    let output = |metadata: &WeightMetadata| OnnxOptions::of(metadata).output;
    assert_eq!(output(&classifier(small()).metadata), OnnxOutput::Logits);
    assert_eq!(output(&autoencoder().metadata), OnnxOutput::Features);
    let encoder = classifier(ModelConfig { classes: 0, ..small() });
    assert_eq!(output(&encoder.metadata), OnnxOutput::Features);
}
