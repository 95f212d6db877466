//! Mask R-CNN's network: against PyTorch in float64 with transformers' backbone and torchvision's pyramid and random heads
//! (`tests/goldens/README.md`), its first weights, and its files.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::Gradients;
use common::{GOLDENS, loss, read};
use convnext_core::{
    BOX_MAP_SIDE, ClassNames, DetectionTask, MASK_MAP_SIDE, MaskRcnnConfig, ModelConfig, Preprocessing, Seed,
    TaskMetadata, WeightMetadata, find_model,
};
use convnext_detect::{MaskRcnn, extract, load_detector};
use convnext_nn::{DropPath, for_each_parameter, tensor_shapes, tensor_values};
use convnext_train::{TrainError, load_classifier, save_weights};

/// Every gradient by its name; a parameter without one fails the test.
fn gradients_by_name(model: &MaskRcnn, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        found.insert(parameter.name(), tensor_values(parameter.gradient(gradients).unwrap()));
    });
    found
}

#[test]
fn outputs_and_gradients_are_those_of_pytorch() {
    for name in GOLDENS {
        let golden = read(name);
        let device = Device::flex().autodiff();
        let model = golden.network(&device);
        let images = golden.images(&device).require_grad();
        let outputs = golden.run(&model, images.clone());
        assert_eq!(outputs.keys().collect::<Vec<_>>(), golden.outputs.keys().collect::<Vec<_>>());
        for (output, sketch) in &golden.outputs {
            sketch.check(&format!("{name}: {output}"), &tensor_values(outputs[output].clone()));
        }
        let gradients = loss(&outputs).backward();
        golden.input_gradient.check("images", &tensor_values(images.grad(&gradients).unwrap()));
        let found = gradients_by_name(&model, &gradients);
        assert_eq!(found.keys().collect::<Vec<_>>(), golden.gradients.keys().collect::<Vec<_>>());
        for (parameter, sketch) in &golden.gradients {
            sketch.check(&format!("{name}: {parameter}"), &found[parameter]);
        }
    }
}

/// Inference has other kernels than training, with packed weights.
#[test]
fn inference_gives_the_same_outputs() {
    let golden = read(GOLDENS[0]);
    let device = Device::flex();
    let model = golden.network(&device);
    for _ in 0..2 {
        let outputs = golden.run(&model, golden.images(&device));
        for (output, sketch) in &golden.outputs {
            sketch.check(output, &tensor_values(outputs[output].clone()));
        }
    }
}

fn small(masks: bool) -> (ModelConfig, MaskRcnnConfig) {
    let config = ModelConfig { classes: 3, ..find_model("micro").unwrap().config() };
    (config, MaskRcnnConfig { head_width: 8, box_width: 12, masks, ..MaskRcnnConfig::PAPER })
}

/// An image without positives, and an evaluation without proposals.
#[test]
fn no_regions_give_no_rows() {
    let (config, head) = small(true);
    let device = Device::flex();
    let model = MaskRcnn::new(&config, &head, Seed(0), &device).unwrap();
    let pyramid = model.pyramid(Tensor::zeros([1, 3, 32, 64], &device), &DropPath::none()).unwrap();
    let boxes = model.box_head.forward(&extract(&pyramid, &[], [BOX_MAP_SIDE; 2], head.rules));
    assert_eq!((boxes.scores.dims(), boxes.deltas.dims()), ([0, 4], [0, 12]));
    let masks =
        model.mask_head.as_ref().unwrap().forward(&extract(&pyramid, &[], [MASK_MAP_SIDE; 2], head.rules));
    assert_eq!((masks.rows.dims(), masks.size()), ([0, 3], [28, 28]));
}

#[test]
fn tensors_are_those_that_weights_of_the_task_have() {
    for (name, masks) in [("atto", true), ("tiny", true), ("v1-atto", false)] {
        let config = ModelConfig { classes: 80, ..find_model(name).unwrap().config() };
        let head = MaskRcnnConfig { masks, ..MaskRcnnConfig::of_backbone(&config) };
        let task = DetectionTask { classes: ClassNames::default(), head };
        task.validate(&config, &Preprocessing::for_size(64, 3)).unwrap();
        let expected: BTreeMap<_, _> = task.tensors(&config).into_iter().collect();
        let model = MaskRcnn::new(&config, &head, Seed(0), &Device::flex()).unwrap();
        let found: BTreeMap<_, _> = tensor_shapes(&model).into_iter().collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// docs/facts.md, "E. Detection": the distributions of MMDetection's first weights; uniform ones have a largest value.
#[test]
fn first_weights_are_those_of_mmdetection() {
    let config = ModelConfig { classes: 40, ..find_model("micro").unwrap().config() };
    let head = MaskRcnnConfig { head_width: 48, box_width: 64, ..MaskRcnnConfig::PAPER };
    let model = MaskRcnn::new(&config, &head, Seed(1), &Device::flex()).unwrap();
    let convolution = 9.0 * 48.0_f64;
    let uniform = |fans: f64| ((2.0 / fans).sqrt(), Some((6.0 / fans).sqrt()));
    let normal = |std: f64| (std, None);
    let expected: BTreeMap<&str, (f64, Option<f64>)> = BTreeMap::from([
        ("neck.lateral_convs.3.conv.weight", uniform(48.0 + config.widths[3] as f64)),
        ("neck.fpn_convs.2.conv.weight", uniform(2.0 * convolution)),
        ("rpn_head.rpn_conv.weight", normal(0.01)),
        ("rpn_head.rpn_reg.weight", normal(0.01)),
        ("roi_head.bbox_head.shared_fcs.0.weight", uniform(49.0 * 48.0 + 64.0)),
        ("roi_head.bbox_head.shared_fcs.1.weight", uniform(128.0)),
        ("roi_head.bbox_head.fc_cls.weight", normal(0.01)),
        ("roi_head.bbox_head.fc_reg.weight", normal(0.001)),
        ("roi_head.mask_head.convs.1.conv.weight", normal((2.0 / convolution).sqrt())),
        ("roi_head.mask_head.upsample.weight", normal((2.0_f64 / (4.0 * 48.0)).sqrt())),
        ("roi_head.mask_head.conv_logits.weight", normal((2.0_f64 / 40.0).sqrt())),
    ]);
    let mut checked = 0;
    for_each_parameter(&model, |parameter| {
        let name = parameter.name();
        if let Some(&(std, bound)) = expected.get(name.as_str()) {
            let values = tensor_values(parameter.values());
            let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let found = (squares / values.len() as f64).sqrt();
            assert!((found / std - 1.0).abs() < 0.1, "{name}: {found}, expected {std}");
            let largest = values.iter().fold(0.0, |most, &value| f64::from(value.abs()).max(most));
            let fits = match bound {
                Some(bound) => largest <= bound * 1.0001 && largest > 0.98 * bound,
                None => largest > 2.0 * std,
            };
            assert!(fits, "{name}: {largest}");
            checked += 1;
        } else if name.ends_with(".bias") {
            assert!(tensor_values(parameter.values()).iter().all(|&value| value == 0.0), "{name}");
        }
    });
    assert_eq!(checked, expected.len());
}

#[test]
fn weights_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let device = Device::flex();
    let images = || Tensor::ones([1, 3, 32, 32], &device);
    for masks in [true, false] {
        let (config, head) = small(masks);
        let model = MaskRcnn::new(&config, &head, Seed(5), &device).unwrap();
        let classes = ClassNames(["cell", "nucleus", "debris"].map(str::to_owned).to_vec());
        let task = DetectionTask { classes, head };
        let metadata = WeightMetadata::new(&config, &task, Preprocessing::for_size(64, 3));
        save_weights(&path, &model, &metadata).unwrap();
        let (read, found) = load_detector(&path, &device).unwrap();
        assert_eq!((&found, read.head(), read.config()), (&metadata, &head, &config));
        let values = |model: &MaskRcnn| {
            let pyramid = model.pyramid(images(), &DropPath::none()).unwrap();
            tensor_values(model.rpn_head.forward(&pyramid[0]).deltas)
        };
        assert_eq!(values(&read), values(&model));
        assert_eq!(read.mask_head.is_some(), masks);
    }
    let message = load_classifier(&path, &device).unwrap_err().to_string();
    assert!(message.contains("detection"), "{message}");
}

#[test]
fn weights_of_another_task_or_without_their_masks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let device = Device::flex();
    let (config, head) = small(false);
    let model = MaskRcnn::new(&config, &head, Seed(5), &device).unwrap();
    let preprocessing = || Preprocessing::for_size(64, 3);
    let classifier = WeightMetadata::of_classifier(&config, ClassNames::default(), preprocessing());
    save_weights(&path, &model, &classifier).unwrap();
    let found = load_detector(&path, &device).unwrap_err();
    assert!(matches!(found, TrainError::WrongKind { .. }), "{found}");
    let with_masks =
        DetectionTask { classes: ClassNames::default(), head: MaskRcnnConfig { masks: true, ..head } };
    let metadata = WeightMetadata::new(&config, &with_masks, preprocessing());
    save_weights(&path, &model, &metadata).unwrap();
    let found = load_detector(&path, &device).unwrap_err().to_string();
    assert!(found.contains("roi_head.mask_head."), "{found}");
}
