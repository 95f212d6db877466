//! Weight files of timm and transformers, made by these packages (`fixtures/make_fixtures.py`): what they hold, and
//! that we write the same.

#![allow(clippy::unwrap_used, reason = "test helpers fail the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use convnext_core::CORE_TASKS;
use convnext_io::{Naming, WeightFile, read_header, read_weights, write_converted};
use safetensors::SafeTensors;

/// File, convention, and whether its model has GRN (V2).
const FILES: [(&str, Naming, bool); 5] = [
    ("timm_v2.safetensors", Naming::Timm, true),
    ("timm_v2_convolutions.safetensors", Naming::Timm, true),
    ("timm_v1.safetensors", Naming::Timm, false),
    ("transformers_v2.safetensors", Naming::HuggingFace, true),
    ("transformers_v1.bin", Naming::HuggingFace, false),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn official_of(name: &str) -> WeightFile {
    let (stem, _) = name.split_once('.').unwrap();
    read_weights(&fixture(&format!("{stem}_official.safetensors"))).unwrap()
}

fn convert(out: &Path, weights: &WeightFile, naming: Naming) {
    let task = weights.metadata.task_of(&CORE_TASKS).unwrap();
    write_converted(out, weights, task.as_ref(), naming).unwrap();
}

#[test]
fn files_of_the_packages_hold_what_official_files_hold() {
    for (name, _, grn) in FILES {
        let read = read_weights(&fixture(name)).unwrap();
        let official = official_of(name);
        assert_eq!(read.arrays, official.arrays, "{name}");
        assert_eq!(read.metadata, official.metadata, "{name}");
        let model = &read.metadata.convnext().unwrap();
        assert_eq!((model.has_grn(), model.layer_scale.is_some()), (grn, !grn), "{name}");
        assert_eq!((model.depths, model.widths, model.classes), ([1, 2, 1, 1], [2, 3, 4, 5], 3), "{name}");
        let header = read_header(&fixture(name)).unwrap();
        assert_eq!((header.metadata, header.foreign), (Some(read.metadata), true), "{name}");
    }
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect()
}

/// A model with convolutions is known by its size in the table, which this one has not.
#[test]
fn what_is_written_is_what_the_packages_write() {
    let folder = tempfile::tempdir().unwrap();
    for (name, naming, _) in FILES.into_iter().filter(|(name, ..)| !name.contains("convolutions")) {
        let out = folder.path().join("out.safetensors");
        convert(&out, &official_of(name), naming);
        match name.strip_suffix(".bin") {
            None => assert_eq!(tensors(&out), tensors(&fixture(name)), "{name}"),
            Some(_) => {
                let found = tensors(&out);
                assert!(found.contains_key("convnext.encoder.stages.1.layers.1.layer_scale_parameter"));
                let again = folder.path().join("again.bin");
                convert(&again, &read_weights(&out).unwrap(), naming);
                assert_eq!(read_weights(&again).unwrap().arrays, official_of(name).arrays);
            }
        }
    }
}

#[test]
fn a_tensor_of_another_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let bytes = fs::read(fixture("timm_v2.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let renamed =
        file.tensors().into_iter().map(|(name, view)| (name.replace("head.norm", "norm_pre"), view));
    fs::write(&path, safetensors::serialize(renamed, None).unwrap()).unwrap();
    let message = read_weights(&path).unwrap_err().to_string();
    for word in ["missing: norm.weight [5], norm.bias [5]", "unexpected: norm_pre.bias [5]"] {
        assert!(message.contains(word), "{message}");
    }
}
