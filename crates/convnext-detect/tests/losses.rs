//! The losses and their gradients against torch in f64. `goldens/logic.py` made the numbers.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use burn::prelude::*;
use burn::tensor::DType;
use convnext_core::BoundingBox;
use convnext_detect::{
    AnchorTargets, MapLevel, MaskTargets, RegionTarget, RpnOutput, SampledAnchors, SampledRegion,
    TrainingObject, box_loss, mask_loss,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rpn: Vec<RpnCase>,
    #[serde(rename = "box")]
    boxes: Vec<BoxCase>,
    mask: Vec<MaskCase>,
}

#[derive(Deserialize)]
struct RpnCase {
    images: usize,
    objectness: Vec<Vec<f64>>,
    deltas: Vec<Vec<f64>>,
    targets: Vec<Anchors>,
    losses: [f64; 2],
    objectness_gradients: Vec<Vec<f64>>,
    deltas_gradients: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Anchors {
    positives: Vec<(usize, [f64; 4])>,
    negatives: Vec<usize>,
}

#[derive(Deserialize)]
struct BoxCase {
    classes: usize,
    labels: Vec<usize>,
    targets: Vec<[f64; 4]>,
    logits: Vec<f64>,
    deltas: Vec<f64>,
    losses: [f64; 2],
    logits_gradient: Vec<f64>,
    deltas_gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct MaskCase {
    classes: usize,
    labels: Vec<usize>,
    side: usize,
    targets: Vec<u8>,
    logits: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
}

/// Types with the largest difference of a loss or a gradient.
const TYPES: [(DType, f64); 2] = [(DType::F64, 1e-12), (DType::F32, 1e-6)];

fn golden() -> Golden {
    serde_json::from_str(include_str!("goldens/logic/losses.json")).unwrap()
}

/// A tensor with a gradient.
fn leaf(values: &[f64], columns: usize, dtype: DType) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / columns, columns]).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
}

fn values<const D: usize>(of: Tensor<D>, dtype: DType) -> Vec<f64> {
    assert_eq!(of.dtype(), dtype);
    of.into_data().convert::<f64>().try_into_vec().unwrap()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "at {at}: {found} {expected}");
    }
}

#[test]
fn the_losses_of_anchors_are_those_of_mmdet() {
    for (dtype, tolerance) in TYPES {
        for case in golden().rpn {
            let maps: Vec<[Tensor<2>; 2]> = (case.objectness.iter().zip(&case.deltas))
                .map(|(objectness, deltas)| [leaf(objectness, 3, dtype), leaf(deltas, 12, dtype)])
                .collect();
            let targets = case.targets.into_iter();
            let targets: Vec<AnchorTargets> = targets
                .map(|Anchors { positives, negatives }| AnchorTargets { positives, negatives })
                .collect();
            assert_eq!(targets.len(), case.images);
            // The width of a level does not matter.
            let level = |maps: &[Tensor<2>; 2]| MapLevel::new(4, [maps[0].dims()[0] / case.images, 1]);
            let sampled = SampledAnchors::new(&maps.iter().map(level).collect::<Vec<_>>(), &targets);
            let loss = sampled.loss(&outputs_at(&maps, &sampled.places));
            let gradients = (loss.objectness.clone() + loss.boxes.clone()).backward();
            assert_near(&values(loss.objectness, dtype), &case.losses[..1], tolerance);
            assert_near(&values(loss.boxes, dtype), &case.losses[1..], tolerance);
            for (level, maps) in maps.iter().enumerate() {
                let expected = [&case.objectness_gradients[level], &case.deltas_gradients[level]];
                for (outputs, expected) in maps.iter().zip(expected) {
                    assert_near(&values(outputs.grad(&gradients).unwrap(), dtype), expected, tolerance);
                }
            }
        }
    }
}

/// The rows of the outputs of each level at some of its places.
fn outputs_at(maps: &[[Tensor<2>; 2]], places: &[Vec<usize>]) -> RpnOutput {
    let [objectness, deltas] = [0, 1].map(|of| {
        let rows = |(maps, places): (&[Tensor<2>; 2], &Vec<usize>)| {
            let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
            let places =
                Tensor::from_data(TensorData::new(places.clone(), [places.len()]), &maps[of].device());
            maps[of].clone().select(0, places)
        };
        Tensor::cat(maps.iter().zip(places).map(rows).collect(), 0)
    });
    RpnOutput { objectness, deltas }
}

/// Regions of these labels; those of the last label are background.
fn regions(case: &BoxCase) -> Vec<SampledRegion> {
    let region = |(&class, &deltas): (&usize, &[f64; 4])| {
        let bounds = BoundingBox::default();
        let object = TrainingObject { instance: 0, class, bounds };
        SampledRegion { bounds, target: (class < case.classes).then_some(RegionTarget { object, deltas }) }
    };
    case.labels.iter().zip(&case.targets).map(region).collect()
}

#[test]
fn the_losses_of_boxes_are_those_of_mmdet() {
    for (dtype, tolerance) in TYPES {
        for case in golden().boxes {
            let logits = leaf(&case.logits, case.classes + 1, dtype);
            let deltas = leaf(&case.deltas, 4 * case.classes, dtype);
            let loss = box_loss(logits.clone(), deltas.clone(), &regions(&case));
            let gradients = (loss.classes.clone() + loss.boxes.clone()).backward();
            assert_near(&values(loss.classes, dtype), &case.losses[..1], tolerance);
            assert_near(&values(loss.boxes, dtype), &case.losses[1..], tolerance);
            let gradient = |of: Tensor<2>| values(of.grad(&gradients).unwrap(), dtype);
            assert_near(&gradient(logits), &case.logits_gradient, tolerance);
            // Without an object in any region it is there and 0.
            assert_near(&gradient(deltas), &case.deltas_gradient, tolerance);
        }
    }
}

#[test]
fn the_loss_of_masks_is_that_of_mmdet() {
    for (dtype, tolerance) in TYPES {
        for case in golden().mask {
            let mut targets = MaskTargets::default();
            for (&class, target) in case.labels.iter().zip(case.targets.chunks(case.side * case.side)) {
                targets.push(class, &target.iter().map(|&inside| inside == 1).collect::<Vec<_>>());
            }
            let logits = leaf(&case.logits, case.classes, dtype);
            let loss = mask_loss(logits.clone(), &targets);
            let gradients = loss.backward();
            assert_near(&values(loss, dtype), &[case.loss], tolerance);
            assert_near(&values(logits.grad(&gradients).unwrap(), dtype), &case.gradient, tolerance);
        }
    }
}

#[test]
fn losses_of_nothing_are_zero_and_connected() {
    let [logits, deltas, masks] = [(4, 3), (8, 3), (3, 0)].map(|(columns, rows)| {
        let leaf = leaf(&vec![1.0; columns * rows], columns, DType::F32);
        // As behind a layer.
        (leaf.clone(), leaf * 2.0)
    });
    let loss = box_loss(logits.1, deltas.1, &[]);
    let masks_loss = mask_loss(masks.1, &MaskTargets::default());
    let total = loss.classes + loss.boxes + masks_loss;
    let gradients = total.backward();
    assert_eq!(values(total, DType::F32), [0.0]);
    for leaf in [logits.0, deltas.0] {
        assert!(values(leaf.grad(&gradients).unwrap(), DType::F32).iter().all(|&value| value == 0.0));
    }
    assert_eq!(masks.0.grad(&gradients).unwrap().dims(), [0, 3]);

    // A batch without objects has a gradient of its boxes, too.
    let maps = [leaf(&[0.5; 6], 3, DType::F32), leaf(&[0.5; 24], 12, DType::F32)];
    let level = MapLevel::new(4, [1, 2]);
    for (negatives, is_learned) in [(vec![0, 4], true), (vec![], false)] {
        let targets = AnchorTargets { positives: Vec::new(), negatives };
        let sampled = SampledAnchors::new(&[level], &[targets]);
        let loss = sampled.loss(&outputs_at(std::slice::from_ref(&maps), &sampled.places));
        let gradients = (loss.objectness + loss.boxes.clone()).backward();
        let of = |maps: &Tensor<2>| values(maps.grad(&gradients).unwrap(), DType::F32);
        assert_eq!(values(loss.boxes, DType::F32), [0.0]);
        assert_eq!(of(&maps[1]), [0.0; 24]);
        assert_eq!(of(&maps[0]).iter().any(|&value| value != 0.0), is_learned);
    }
}
