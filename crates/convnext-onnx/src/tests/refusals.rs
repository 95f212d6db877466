//! Refusals, before anything is written.

use std::fs;
use std::path::Path;

use convnext_core::{Geometry, ModelConfig, ResponseNorm, SegmentationTask, Tagged, UperNetConfig};
use convnext_io::{ElementType, IoError};

use super::*;
use crate::OnnxError;
use crate::export::{write_limited, write_onnx};

/// The error, which leaves nothing behind.
#[track_caller]
fn refused(weights: &WeightFile, options: OnnxOptions) -> OnnxError {
    let (folder, path) = folder();
    let error = write_onnx(&path, weights, &CORE_TASKS, &options).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    error
}

#[test]
fn logits_without_a_head() {
    let encoder = classifier(ModelConfig { classes: 0, ..small() });
    for (weights, what) in [(autoencoder(), "an autoencoder"), (encoder, "an encoder without a head")] {
        let error = refused(&weights, options(&weights, OnnxOutput::Logits));
        assert!(matches!(error, OnnxError::NoLogits { .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with(what) && message.contains("feature maps"), "{message}");
    }
}

#[test]
fn logits_of_a_task_without_classes_of_images() {
    let mut weights = classifier(small());
    let head = UperNetConfig { head_width: 6, auxiliary_width: None };
    let (classes, numbers, palette) = (ClassNames::default(), Vec::new(), Vec::new());
    let task = SegmentationTask { classes, numbers, palette, head };
    weights.metadata.task = Tagged::new(&task);
    let error = refused(&weights, options(&weights, OnnxOutput::Logits)).to_string();
    assert!(
        error.contains("the task 'segmentation' has no logits; give --features for its feature maps"),
        "{error}"
    );
}

#[test]
fn sizes_and_batches_out_of_range() {
    let weights = classifier(small());
    let good = OnnxOptions::of(&weights.metadata);
    for (bad, expected) in [
        (OnnxOptions { image_size: Some(31.into()), ..good }, "each side needs at least 32 pixels"),
        (OnnxOptions { image_size: Some(0.into()), ..good }, "image size is 0"),
        (OnnxOptions { image_size: Some(usize::MAX.into()), ..good }, "image size is"),
        (OnnxOptions { batch: OnnxBatch::Fixed(0), ..good }, "batch is 0, but must be from 1 to 1000000"),
        (OnnxOptions { batch: OnnxBatch::Fixed(OnnxBatch::MOST + 1), ..good }, "batch is 1000001"),
        (OnnxOptions { batch: OnnxBatch::Fixed(usize::MAX), ..good }, "batch is"),
    ] {
        let error = refused(&weights, bad);
        assert!(matches!(error, OnnxError::CannotExport { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(OnnxBatch::RANGE, format!("from 1 to {}, or dynamic", OnnxBatch::MOST));
}

#[test]
fn images_of_sizes_of_their_own() {
    let mut weights = classifier(small());
    weights.metadata.preprocessing.geometry = Geometry::None { pad: 32 };
    let options = OnnxOptions::of(&weights.metadata);
    let error = refused(&weights, options);
    assert!(matches!(error, OnnxError::CannotExport { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("of their own size") && message.contains("--image-size"), "{message}");
    let (_folder, path) = folder();
    write_onnx(&path, &weights, &CORE_TASKS, &OnnxOptions { image_size: Some([32, 64].into()), ..options })
        .unwrap();
}

#[test]
fn tensors_that_do_not_fit() {
    let change = |change: &dyn Fn(&mut WeightFile)| {
        let mut weights = classifier(small());
        change(&mut weights);
        refused(&weights, OnnxOptions::of(&weights.metadata)).to_string()
    };
    let missing = change(&|weights| drop(weights.arrays.remove("stages.1.1.grn.beta")));
    assert!(missing.contains("missing: stages.1.1.grn.beta [1, 1, 1, 24]"), "{missing}");
    let headless = change(&|weights| weights.arrays.retain(|name, _| !name.starts_with("head.")));
    assert!(headless.contains("missing: head.weight [5, 8], head.bias [5]"), "{headless}");
    let unexpected = change(&|weights| {
        weights
            .arrays
            .insert("stages.0.0.gamma".into(), NamedArray::from_f32("stages.0.0.gamma", [4], &[1.0; 4]));
    });
    assert!(unexpected.contains("unexpected: stages.0.0.gamma [4]"), "{unexpected}");
    let misshapen = change(&|weights| weights.arrays.get_mut("norm.bias").unwrap().shape = vec![2, 4]);
    assert!(misshapen.contains("norm.bias (expected [8], found [2, 4])"), "{misshapen}");
    let short = change(&|weights| weights.arrays.get_mut("norm.bias").unwrap().bytes.truncate(5));
    assert!(short.contains("norm.bias: 5 bytes do not make the shape [8]"), "{short}");
    let integers = change(&|weights| {
        let norm = weights.arrays.get_mut("norm.bias").unwrap();
        (norm.element_type, norm.bytes) = (ElementType::I64, vec![0; 64]);
    });
    assert!(integers.contains("norm.bias: holds integers (I64)"), "{integers}");
    let nameless = change(&|weights| {
        let mut names = weights.metadata.class_names();
        names.0.truncate(2);
        weights.metadata = weights.metadata.clone().with_class_names(names);
    });
    assert!(nameless.contains("2 names for 5 classes"), "{nameless}");
}

#[test]
fn alternatives_of_grn() {
    for norm in ResponseNorm::ALL.into_iter().filter(|&norm| norm != ResponseNorm::Grn) {
        let weights = classifier(ModelConfig { response_norm: Some(norm), ..small() });
        let error = refused(&weights, OnnxOptions::of(&weights.metadata)).to_string();
        assert!(error.contains(&format!("({}) in the place of GRN", norm.name())), "{error}");
    }
}

#[test]
fn feature_maps_need_no_head() {
    let mut weights = classifier(small());
    weights.arrays.retain(|name, _| !name.starts_with("head.") && !name.starts_with("norm."));
    let (_folder, path) = folder();
    write_onnx(&path, &weights, &CORE_TASKS, &options(&weights, OnnxOutput::Features)).unwrap();
    weights.arrays.remove("stages.3.0.norm.bias");
    let error = refused(&weights, options(&weights, OnnxOutput::Features));
    assert!(matches!(error, OnnxError::Io(IoError::Mismatch { .. })), "{error}");
}

#[test]
fn places_that_cannot_be_written() {
    let weights = classifier(small());
    let options = OnnxOptions::of(&weights.metadata);
    let (folder, _) = folder();
    let nowhere = folder.path().join("nowhere").join("model.onnx");
    let cases =
        [(nowhere.as_path(), u64::MAX), (&nowhere, 0), (folder.path(), u64::MAX), (Path::new("/"), 0)];
    for (path, limit) in cases {
        let error = write_limited(path, &weights, &CORE_TASKS, &options, limit).unwrap_err();
        assert!(matches!(error, OnnxError::Io(IoError::Write { .. })), "{error}");
        assert!(error.to_string().contains("cannot write"), "{error}");
    }
}
