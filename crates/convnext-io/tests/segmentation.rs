//! Segmentation networks as transformers and mmsegmentation save them (`fixtures/make_upernet.py`): what they hold, and that
//! we write the same.

#![allow(clippy::unwrap_used, reason = "test helpers fail the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use convnext_core::{CORE_TASKS, Geometry, Interpolation, SegmentationTask, UperNetConfig};
use convnext_io::{Naming, read_header, read_weights, write_converted};
use safetensors::SafeTensors;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/upernet").join(name)
}

#[test]
fn transformers_folder_is_understood() {
    let read = read_weights(&fixture("model.safetensors")).unwrap();
    let model = read.metadata.convnext().unwrap();
    assert_eq!((model.depths, model.widths, model.classes), ([1, 2, 1, 1], [4, 6, 10, 8], 3));
    assert!(model.has_grn() && model.layer_scale.is_none());
    let task: SegmentationTask = read.metadata.task_as().unwrap();
    assert_eq!(task.classes.0, ["sky", "road", "car"]);
    assert_eq!(task.head, UperNetConfig { head_width: 6, auxiliary_width: Some(5) });
    let preprocessing = &read.metadata.preprocessing;
    assert_eq!(preprocessing.geometry, Geometry::Warp { size: 512.into() });
    assert_eq!(preprocessing.interpolation, Interpolation::Bilinear);
    assert_eq!(read.arrays["auxiliary_head.convs.0.bn.num_batches_tracked"].to_i64().unwrap(), 160_000);
}

/// A stream with the objects of a training, none of which is read.
#[test]
fn mmsegmentation_holds_the_same_tensors() {
    let path = fixture("mmsegmentation.pth");
    let read = read_weights(&path).unwrap();
    assert_eq!(read.arrays, read_weights(&fixture("model.safetensors")).unwrap().arrays);
    let task: SegmentationTask = read.metadata.task_as().unwrap();
    assert_eq!(task.classes.0, ["sky", "road", "car"]);
    assert_eq!(task.palette, [[0, 0, 255], [128, 64, 128], [255, 0, 0]]);
    let header = read_header(&path).unwrap();
    assert_eq!(header.metadata, Some(read.metadata));
    let origin = header.origin.unwrap();
    assert_eq!((origin.prefix.as_str(), origin.left_out), ("state_dict.backbone.", Vec::new()));
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    tensors.into_iter().map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec()))).collect()
}

#[test]
fn what_is_written_is_what_transformers_writes() {
    let folder = tempfile::tempdir().unwrap();
    let weights = read_weights(&fixture("mmsegmentation.pth")).unwrap();
    let task = weights.metadata.task_of(&CORE_TASKS).unwrap();
    let written =
        write_converted(&folder.path().join("hf"), &weights, task.as_ref(), Naming::HuggingFace).unwrap();
    assert_eq!(tensors(&written[0]), tensors(&fixture("model.safetensors")));
    let config = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let (ours, theirs) = (config(&written[1]), config(&fixture("config.json")));
    for key in [
        "architectures",
        "model_type",
        "hidden_size",
        "pool_scales",
        "use_auxiliary_head",
        "auxiliary_channels",
    ] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    for key in
        ["model_type", "depths", "hidden_sizes", "out_features", "out_indices", "patch_size", "num_channels"]
    {
        assert_eq!(ours["backbone_config"][key], theirs["backbone_config"][key], "{key}");
    }
}
