use convnext_core::{
    ClassNames, DetectionTask, Fit, Geometry, MaskRcnnConfig, ModelConfig, Preprocessing, WeightMetadata,
};

use super::*;
use crate::array::NamedArray;
use crate::test_files::{arrays_of, by_name, foreign_file, speck};
use crate::{read_header, read_weights};

/// A small detector of two classes.
fn detector(masks: bool) -> WeightMetadata {
    let model = ModelConfig {
        depths: [1, 2, 1, 1],
        widths: [2, 4, 5, 7],
        input_channels: 3,
        stem_stride: 4,
        classes: 2,
        ..speck()
    };
    let head = MaskRcnnConfig { head_width: 3, box_width: 4, masks, ..MaskRcnnConfig::PAPER };
    let task = DetectionTask { classes: ClassNames::default(), head };
    WeightMetadata::new(&model, &task, Preprocessing::for_size(800, 3))
}

/// Arrays as in MMDetection, with the official names in the blocks.
fn of_mmdetection(masks: bool) -> Vec<NamedArray> {
    let is_of_heads = |name: &str| DETECTOR_PARTS.iter().any(|part| name.starts_with(part));
    let renamed = |array: NamedArray| {
        let place = if is_of_heads(&array.name) { "" } else { "backbone." };
        NamedArray { name: format!("state_dict.{place}{}", array.name), ..array }
    };
    arrays_of(&detector(masks)).into_iter().map(renamed).collect()
}

fn task(metadata: &WeightMetadata) -> DetectionTask {
    metadata.task_as().unwrap()
}

#[test]
fn a_network_of_mmdetection_is_read_whole() {
    for masks in [true, false] {
        for arrays in [of_mmdetection(masks), arrays_of(&detector(masks))] {
            let (_folder, path) = foreign_file(&arrays);
            let read = read_weights(&path).unwrap();
            assert_eq!(read.arrays, by_name(arrays_of(&detector(masks))));
            assert_eq!(task(&read.metadata), task(&detector(masks)));
            assert_eq!(read.metadata.class_count(), 2);
            let fit = Fit { long: 1333, short: 800, pad: 32 };
            assert_eq!(read.metadata.preprocessing.geometry, Geometry::Fit(fit));
            let origin = read_header(&path).unwrap().origin.unwrap();
            assert!(origin.left_out.is_empty() && origin.other_detector.is_none(), "{origin:?}");
        }
    }
}

fn with(name: &str) -> Vec<NamedArray> {
    let mut arrays = of_mmdetection(true);
    arrays.push(NamedArray::from_f32(format!("state_dict.{name}"), [1], &[0.5]));
    arrays
}

#[test]
fn other_detectors_are_named_and_their_backbone_is_read() {
    for (name, words) in [
        ("roi_head.bbox_head.0.fc_cls.weight", "a Cascade R-CNN"),
        ("rpn_head.init_proposal_bboxes.weight", "a Sparse R-CNN"),
        ("roi_head.mask_head.0.conv_logits.weight", "a Cascade Mask R-CNN"),
        ("roi_head.semantic_head.convs.0.conv.weight", "a Hybrid Task Cascade"),
        ("bbox_head.retina_cls.weight", "a RetinaNet"),
        ("neck.downsample_convs.0.conv.weight", "lacks, as neck.downsample_convs.0.conv.weight"),
        ("roi_head.bbox_head.shared_convs.0.conv.weight", "lacks, as roi_head.bbox_head.shared_convs.0"),
    ] {
        let (_folder, path) = foreign_file(&with(name));
        let header = read_header(&path).unwrap();
        assert_eq!(header.metadata.unwrap().class_count(), 0, "{name}");
        let origin = header.origin.unwrap();
        assert!(origin.other_detector.as_ref().unwrap().contains(words), "{name}: {origin:?}");
        assert!(origin.left_out.iter().any(|left_out| left_out.ends_with(name)));
        assert!(read_weights(&path).unwrap().arrays.contains_key("stages.1.1.dwconv.weight"));
    }
}

#[test]
fn what_is_no_whole_network_is_refused_by_tensor() {
    for (part, words) in [
        ("rpn_head.rpn_cls.bias", "missing: rpn_head.rpn_cls.bias [3]"),
        ("roi_head.mask_head.convs.2.conv.weight", "missing: roi_head.mask_head.convs.2.conv.weight"),
        ("backbone.norm", "missing: norm0.weight [2]"),
        ("roi_head.bbox_head.fc_cls.weight", "roi_head.bbox_head.fc_cls.weight"),
    ] {
        let mut arrays = of_mmdetection(true);
        arrays.retain(|array| !array.name.starts_with(&format!("state_dict.{part}")));
        let (_folder, path) = foreign_file(&arrays);
        let message = read_weights(&path).unwrap_err().to_string();
        assert!(message.contains(words), "{part}: {message}");
    }
}

/// One box for all classes; three sizes of anchors at each place.
#[test]
fn of_detectors_of_other_shapes_the_backbone_is_read() {
    for (name, shape, words) in [
        ("roi_head.bbox_head.fc_reg.bias", 4, "is [4] and not [8]"),
        ("rpn_head.rpn_cls.bias", 9, "is [9] and not [3]"),
    ] {
        let mut arrays = of_mmdetection(true);
        arrays.retain(|array| array.name != format!("state_dict.{name}"));
        arrays.push(NamedArray::from_f32(format!("state_dict.{name}"), [shape], &vec![0.0; shape]));
        let (_folder, path) = foreign_file(&arrays);
        let header = read_header(&path).unwrap();
        assert_eq!(header.metadata.unwrap().class_count(), 0, "{name}");
        let other = header.origin.unwrap().other_detector.unwrap();
        assert!(other.contains(name) && other.contains(words), "{other}");
        assert!(read_weights(&path).unwrap().arrays.contains_key("stages.1.1.dwconv.weight"));
    }
}

#[test]
fn places_go_outwards() {
    assert_eq!(places("a.b.").collect::<Vec<_>>(), ["a.b.", "a.", ""]);
    assert_eq!(places("").collect::<Vec<_>>(), [""]);
}
