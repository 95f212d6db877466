//! Detectors as torchvision and MMDetection save them (`fixtures/make_detectors.py`).

#![allow(clippy::unwrap_used, reason = "test helpers fail the test")]

use std::path::{Path, PathBuf};

use convnext_core::{DetectionTask, DetectorRules, Fit, Geometry, MaskRcnnConfig};
use convnext_io::{WeightFile, read_header, read_weights};

fn read(name: &str) -> (PathBuf, WeightFile, DetectionTask) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detectors").join(name);
    let weights = read_weights(&path).unwrap();
    let task = weights.metadata.task_as().unwrap();
    (path, weights, task)
}

const HEAD: MaskRcnnConfig = MaskRcnnConfig { head_width: 6, box_width: 12, ..MaskRcnnConfig::PAPER };

#[test]
fn detectors_of_torchvision_are_understood() {
    for (name, prefix, classes, masks) in
        [("mask_rcnn.pth", "backbone.body.", 3, true), ("faster_rcnn.pth", "model.backbone.", 2, false)]
    {
        let (path, weights, task) = read(name);
        let model = weights.metadata.convnext().unwrap();
        assert_eq!((model.depths, model.widths, model.classes), ([1, 2, 1, 1], [4, 6, 10, 8], classes));
        assert_eq!((model.has_grn(), model.layer_scale.is_some()), (masks, !masks), "{name}");
        let rules = DetectorRules::Torchvision;
        // timm's backbone has the norms that the script gave it; torchvision's has none.
        assert_eq!(task.head, MaskRcnnConfig { masks, stage_norms: masks, rules, ..HEAD }, "{name}");
        let fit = Fit { long: 1333, short: 800, pad: 32 };
        assert_eq!(weights.metadata.preprocessing.geometry, Geometry::Fit(fit));
        let origin = read_header(&path).unwrap().origin.unwrap();
        assert_eq!((origin.prefix.as_str(), origin.left_out), (prefix, Vec::new()));
        assert_eq!(origin.other_detector, None);
    }
}

/// The script moved the background by its own.
#[test]
fn mmdetection_holds_the_same_tensors_and_names_of_classes() {
    let (path, weights, task) = read("mmdetection.pth");
    assert_eq!(weights.arrays, read("mask_rcnn.pth").1.arrays);
    assert_eq!(task.head, HEAD);
    assert_eq!(task.classes.0, ["cat", "dog", "bird"]);
    let header = read_header(&path).unwrap();
    assert_eq!(header.metadata, Some(weights.metadata));
    assert_eq!(header.origin.unwrap().left_out, Vec::<String>::new());
}
