use convnext_core::{
    DecoderConfig, DecoderKind, FcmaeConfig, FcmaeObjective, LAYER_SCALE_INIT, MODELS, ModelConfig,
    Preprocessing, Tagged, WeightMetadata, backbone_tensors, classifier_tensors, find_model,
};

use super::*;
use crate::test_files::{arrays_of, arrays_of_shapes, by_name, foreign_file, speck};
use crate::{read_header, read_weights};

fn classifier(model: ModelConfig) -> WeightMetadata {
    let preprocessing = Preprocessing::for_size(model.patch_size(), model.input_channels);
    WeightMetadata::of_classifier(&model, ClassNames::default(), preprocessing)
}

/// Description of a file, apart from its preprocessing.
fn kind(metadata: &WeightMetadata) -> (&Tagged, &Tagged) {
    (&metadata.backbone, &metadata.task)
}

fn small() -> ModelConfig {
    ModelConfig { depths: [1, 2, 3, 1], widths: [2, 4, 5, 7], input_channels: 3, ..speck() }
}

/// An autoencoder of which nothing but the tensors is known.
fn of_paper(fcmae: FcmaeConfig) -> WeightMetadata {
    let preprocessing = Preprocessing::for_size(fcmae.encoder.patch_size(), fcmae.encoder.input_channels);
    WeightMetadata::of_fcmae(&fcmae, FcmaeObjective::default(), preprocessing)
}

/// A foreign file of these tensors is refused by both readers with each of the words.
fn check_refused(arrays: &[NamedArray], words: &[&str]) {
    let (_folder, path) = foreign_file(arrays);
    for error in [read_weights(&path).unwrap_err(), read_header(&path).unwrap_err()] {
        let message = error.to_string();
        for word in words.iter().copied().chain([path.to_str().unwrap()]) {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    }
}

fn find<'a>(arrays: &'a mut [NamedArray], name: &str) -> &'a mut NamedArray {
    arrays.iter_mut().find(|array| array.name == name).unwrap()
}

#[test]
fn the_configuration_is_inferred_and_the_tensors_are_unchanged() {
    let v1 = ModelConfig { response_norm: None, layer_scale: Some(LAYER_SCALE_INIT), ..small() };
    let both = ModelConfig { layer_scale: Some(LAYER_SCALE_INIT), ..small() };
    let neither = ModelConfig { response_norm: None, ..small() };
    let decoder = DecoderConfig {
        kind: DecoderKind::ConvNext,
        depth: 3,
        width: 6,
        response_norm: None,
        layer_scale: Some(LAYER_SCALE_INIT),
    };
    let fcmae = FcmaeConfig { decoder, ..FcmaeConfig::new(ModelConfig { input_channels: 2, ..small() }) };
    let cases = [
        (classifier(small()), 32),
        (classifier(ModelConfig { classes: 0, ..small() }), 32),
        (classifier(ModelConfig { classes: 1, input_channels: 1, ..small() }), 32),
        (classifier(ModelConfig { stem_stride: 2, ..v1.clone() }), 112),
        (classifier(ModelConfig { stem_stride: 4, ..both }), 224),
        (classifier(neither), 32),
        (of_paper(fcmae.clone()), 32),
        (of_paper(FcmaeConfig::new(ModelConfig { stem_stride: 2, ..v1 })), 112),
    ];
    for (expected, image_size) in cases {
        let arrays = arrays_of(&expected);
        let (_folder, path) = foreign_file(&arrays);
        let read = read_weights(&path).unwrap();
        assert_eq!(kind(&read.metadata), kind(&expected));
        assert_eq!(read.metadata.preprocessing.image_size(), Some(image_size.into()));
        assert!(read.metadata.class_names().is_empty());
        let header = read_header(&path).unwrap();
        assert_eq!((header.metadata, header.foreign), (Some(read.metadata), true));
        assert_eq!(header.tensors.len(), arrays.len());
        assert_eq!(read.arrays, by_name(arrays));
    }
}

#[test]
fn an_encoder_alone_has_neither_norm_nor_head() {
    let model = ModelConfig { classes: 0, ..small() };
    let mut arrays = arrays_of(&classifier(model.clone()));
    arrays.retain(|array| !array.name.starts_with("norm."));
    let (_folder, path) = foreign_file(&arrays);
    assert_eq!(kind(&read_weights(&path).unwrap().metadata), kind(&classifier(model)));
}

#[test]
fn rows_of_the_table_are_found_whatever_their_stem() {
    for size in MODELS {
        let model = ModelConfig { stem_stride: 2, classes: 0, ..size.config() };
        let tensors: Vec<TensorInfo> = (backbone_tensors("", &model).into_iter())
            .map(|(name, shape)| TensorInfo { name, dtype: "F32".into(), shape })
            .collect();
        let foreign = Foreign::recognise(Path::new("x"), &tensors, &BTreeMap::new(), None).unwrap();
        assert_eq!(kind(&foreign.metadata), kind(&classifier(model)));
    }
}

#[test]
fn grn_may_have_any_shape_of_its_size() {
    let arrays = arrays_of(&classifier(small()));
    for shape in [vec![8], vec![1, 8], vec![8, 1, 1], vec![1, 1, 1, 1, 8]] {
        let mut changed = arrays.clone();
        find(&mut changed, "stages.0.0.grn.beta").shape = shape;
        let (_folder, path) = foreign_file(&changed);
        assert_eq!(read_weights(&path).unwrap().arrays, by_name(arrays.clone()));
        let header = read_header(&path).unwrap();
        let beta = header.tensors.iter().find(|tensor| tensor.name == "stages.0.0.grn.beta").unwrap();
        assert_eq!(beta.shape, [1, 1, 1, 8]);
    }
    let mut changed = arrays;
    *find(&mut changed, "stages.0.0.grn.beta") =
        NamedArray::from_f32("stages.0.0.grn.beta", [1, 4], &[0.0; 4]);
    check_refused(&changed, &["stages.0.0.grn.beta (expected [1, 1, 1, 8], found [1, 1, 1, 4])"]);
}

#[test]
fn a_file_that_is_no_whole_model_is_refused_by_tensor() {
    let arrays = arrays_of(&classifier(small()));
    let without = |name: &str| arrays.iter().filter(|array| array.name != name).cloned().collect::<Vec<_>>();
    let with = |name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        [without(name), vec![NamedArray::from_f32(name, shape, &values)]].concat()
    };
    check_refused(&without("norm.bias"), &["names of a ConvNeXt", "missing: norm.bias [7]"]);
    check_refused(&without("stages.2.1.dwconv.weight"), &["unexpected: stages.2.1.dwconv.bias [5]"]);
    check_refused(&without("stages.1.0.dwconv.weight"), &["stages.1.0.dwconv.weight", "is missing", "whole"]);
    check_refused(&without("downsample_layers.2.1.weight"), &["downsample_layers.2.1.weight", "is missing"]);
    check_refused(&with("stages.0.0.attn.weight", &[1]), &["unexpected: stages.0.0.attn.weight [1]"]);
    check_refused(&with("head.weight", &[3, 7]), &["head.bias (expected [3], found [2])"]);
    check_refused(&with("head.weight", &[0, 7]), &["head.weight", "no empty one"]);
    check_refused(&with("downsample_layers.0.0.weight", &[2, 3, 3, 3]), &["stem of 3 x 3 pixels", "4 x 4"]);
    check_refused(&with("downsample_layers.0.0.weight", &[2, 3, 16]), &["needs 4 axes"]);
    check_refused(&with("stages.0.0.dwconv.kernel", &[49, 2]), &["stages.0.0.dwconv.weight", "remove one"]);
    let tall = 1_usize << 60;
    check_refused(&with("downsample_layers.0.0.weight", &[tall, 0, 1, 1]), &["no empty one"]);
}

#[test]
fn more_blocks_than_any_model_has_are_refused() {
    let model = ModelConfig { depths: [1, 1, 1001, 1], classes: 0, ..speck() };
    check_refused(
        &arrays_of_shapes(classifier_tensors(&model)),
        &["do not make a supported model", "depths", "1 to 1000"],
    );
}

#[test]
fn an_autoencoder_must_predict_its_patches() {
    let mut arrays = arrays_of(&of_paper(FcmaeConfig::new(small())));
    let stem = NamedArray::from_f32("encoder.downsample_layers.0.0.weight", [2, 3, 2, 2], &[0.0; 24]);
    *find(&mut arrays, "encoder.downsample_layers.0.0.weight") = stem;
    check_refused(&arrays, &["pred.weight", "predicts 192 values", "3 x 16 x 16"]);
    arrays.retain(|array| array.name != "pred.weight");
    check_refused(&arrays, &["pred.weight", "is missing"]);
}

#[test]
fn other_names_are_foreign() {
    for name in ["layers.0.weight", "features.0.0.weight", "convnextv2.layernorm.weight"] {
        let (_folder, path) = foreign_file(&[NamedArray::from_f32(name, [1], &[0.0])]);
        let header = read_header(&path).unwrap();
        assert_eq!((header.metadata, header.foreign, header.tensors.len()), (None, true, 1));
        let message = read_weights(&path).unwrap_err().to_string();
        assert!(message.contains("downsample_layers.0.0.weight") && message.contains("rename"), "{message}");
    }
}

/// The same tensors with something in front of every name.
fn prefixed(prefix: &str, arrays: &[NamedArray]) -> Vec<NamedArray> {
    let renamed =
        |array: &NamedArray| NamedArray { name: format!("{prefix}{}", array.name), ..array.clone() };
    arrays.iter().map(renamed).collect()
}

#[test]
fn every_prefix_is_found() {
    let arrays = arrays_of(&classifier(small()));
    for prefix in ["module.", "_orig_mod.module.", "model.", "backbone.", "encoder.", "net.model.encoder."] {
        let (_folder, path) = foreign_file(&prefixed(prefix, &arrays));
        let read = read_weights(&path).unwrap();
        assert_eq!(
            (kind(&read.metadata), read.arrays),
            (kind(&classifier(small())), by_name(arrays.clone())),
            "{prefix}"
        );
        let origin = read_header(&path).unwrap().origin.unwrap();
        assert_eq!(origin.prefix, prefix.replace("_orig_mod.", ""));
    }
    let fcmae = arrays_of(&of_paper(FcmaeConfig::new(small())));
    let (_folder, path) = foreign_file(&prefixed("module.", &fcmae));
    assert_eq!(read_weights(&path).unwrap().arrays, by_name(fcmae));
}

#[test]
fn of_a_model_and_its_average_the_average_is_read() {
    let plain = arrays_of(&classifier(small()));
    let average: Vec<NamedArray> = plain
        .iter()
        .cloned()
        .map(|array| NamedArray { bytes: array.bytes.iter().map(|byte| byte ^ 1).collect(), ..array })
        .collect();
    let both = [prefixed("model.", &plain), prefixed("model_ema.", &average)].concat();
    let (_folder, path) = foreign_file(&both);
    assert_eq!(read_weights(&path).unwrap().arrays, by_name(average.clone()));
    let origin = read_header(&path).unwrap().origin.unwrap();
    assert!(origin.average && origin.left_out.is_empty(), "{origin:?}");
    assert_eq!(origin.other_models, ["model."]);
    // What an optimiser keeps of each weight is no model.
    let state = [prefixed("model.", &plain), prefixed("optimizer.exp_avg.", &average)].concat();
    let (_folder, path) = foreign_file(&state);
    assert_eq!(read_weights(&path).unwrap().arrays, by_name(plain.clone()));
    let two = [prefixed("left.", &plain), prefixed("right.", &average)].concat();
    check_refused(&two, &["several models", "`left.`, `right.`"]);
    for student in ["model.", "student_model."] {
        let distilled = [prefixed(student, &plain), prefixed("teacher_model.", &average)].concat();
        check_refused(&distilled, &["several models", "`teacher_model.`", student]);
    }
    let pair = [prefixed("student.module.", &plain), prefixed("teacher.", &average)].concat();
    let (_folder, path) = foreign_file(&pair);
    assert_eq!(read_weights(&path).unwrap().arrays, by_name(average));
}

#[test]
fn one_part_of_several_is_refused_as_such() {
    let arrays = arrays_of(&classifier(small()));
    let (first, second): (Vec<_>, Vec<_>) =
        arrays.into_iter().partition(|array| array.name.starts_with("downsample_layers."));
    for part in [first, second] {
        let (folder, path) = foreign_file(&part);
        let named = folder.path().join("model-00001-of-00002.safetensors");
        std::fs::rename(path, &named).unwrap();
        let message = read_weights(&named).unwrap_err().to_string();
        let missing = "their index model.safetensors.index.json is missing";
        assert!(message.contains("one part of several") && message.contains(missing), "{message}");
        assert_eq!(read_header(&named).unwrap().tensors.len(), part.len());
        std::fs::write(folder.path().join("model.safetensors.index.json"), "{}").unwrap();
        let message = read_weights(&named).unwrap_err().to_string();
        assert!(message.contains("name their index model.safetensors.index.json"), "{message}");
    }
}

#[test]
fn what_lies_beside_a_backbone_is_left_out_by_name() {
    let mut arrays = prefixed("backbone.", &arrays_of(&classifier(ModelConfig { classes: 0, ..small() })));
    let layer =
        |name: &str, shape: &[usize]| NamedArray::from_f32(name, shape, &vec![0.5; shape.iter().product()]);
    arrays.extend([layer("neck.0.weight", &[2, 7]), layer("neck.0.bias", &[2])]);
    let (_folder, path) = foreign_file(&arrays);
    let header = read_header(&path).unwrap();
    assert_eq!(header.origin.unwrap().left_out, ["neck.0.bias", "neck.0.weight"]);
    assert_eq!(header.metadata.unwrap().class_count(), 0);
    // One linear layer that fits is a head; more layers, or one of another width, are none.
    arrays.extend([layer("head.fc.weight", &[4, 7]), layer("head.fc.bias", &[4])]);
    let (_folder, path) = foreign_file(&arrays);
    assert_eq!(read_weights(&path).unwrap().metadata.class_count(), 4);
    for (name, shape) in [("head.fc.scale", vec![1]), ("classifier.weight", vec![3, 7])] {
        let mut more = arrays.clone();
        more.extend([layer(name, &shape), layer("classifier.bias", &[3])]);
        let (_folder, path) = foreign_file(&more);
        let classes = read_weights(&path).unwrap().metadata.class_count();
        assert_eq!(classes, 0, "{name}");
    }
}

#[test]
fn names_that_stand_for_none_are_none() {
    let (folder, path) = foreign_file(&arrays_of(&classifier(small())));
    for (labels, names) in [
        (r#""LABEL_0", "1": "LABEL_1""#, 0),
        (r#""class_0", "1": "class_1""#, 0),
        (r#""a", "1": "LABEL_1""#, 2),
    ] {
        std::fs::write(folder.path().join("config.json"), format!(r#"{{"id2label": {{"0": {labels}}}}}"#))
            .unwrap();
        assert_eq!(read_weights(&path).unwrap().metadata.class_names().len(), names, "{labels}");
    }
}

#[test]
fn a_micro_model_of_the_table_is_called_so() {
    let model = find_model("v1-micro").unwrap().config();
    let (_folder, path) = foreign_file(&arrays_of(&classifier(model.clone())));
    assert_eq!(read_weights(&path).unwrap().metadata.convnext(), Ok(model));
}
