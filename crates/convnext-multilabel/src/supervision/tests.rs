//! Loss and gradient against PyTorch.

use convnext_data::LabelMix;
use convnext_nn::tensor_values;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    smoothing: f64,
    own: f32,
    logits: Vec<Vec<f32>>,
    sets: Vec<Vec<usize>>,
    mixed_loss: f64,
    mixed_gradient: Vec<Vec<f64>>,
}

/// Classes of each set.
fn members(sets: &[Vec<usize>], classes: usize) -> Vec<Vec<bool>> {
    sets.iter().map(|set| (0..classes).map(|class| set.contains(&class)).collect()).collect()
}

#[test]
fn loss_and_gradient_of_mixed_images_are_those_of_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/goldens/multi_label.json")).unwrap();
    let [images, classes] = [golden.logits.len(), golden.logits[0].len()];
    let names = (0..classes).map(|class| class.to_string()).collect();
    // Each image has a label of its own.
    let supervision = MultiLabel {
        classes: ClassNames(names),
        sets: members(&golden.sets, classes),
        smoothing: golden.smoothing,
    };
    let batch = ImageBatch {
        images: Vec::new(),
        channels: 3,
        height: 1,
        width: 1,
        labels: (0..images).map(Some).collect(),
        samples: (0..images).collect(),
        epoch: 0,
        mix: Some(LabelMix { lam: golden.own }),
    };
    let device = Device::flex().autodiff();
    let data = TensorData::new(golden.logits.concat(), [images, classes]);
    let logits = Tensor::<2>::from_data(data, &device).require_grad();
    let loss = supervision.loss(logits.clone(), &batch);
    let found = f64::from(tensor_values(loss.clone().inner())[0]);
    assert!((found - golden.mixed_loss).abs() < 1e-6, "{found} instead of {}", golden.mixed_loss);
    let gradient = tensor_values(logits.grad(&loss.backward()).unwrap().reshape([images * classes]));
    for (found, expected) in gradient.into_iter().zip(golden.mixed_gradient.concat()) {
        assert!((f64::from(found) - expected).abs() < 1e-7, "{found} instead of {expected}");
    }
}

#[test]
fn an_output_beyond_all_numbers_has_a_finite_loss() {
    let supervision = MultiLabel {
        classes: ClassNames(vec!["a".into()]),
        sets: members(&[vec![], vec![0]], 1),
        smoothing: 0.0,
    };
    let batch = ImageBatch {
        images: Vec::new(),
        channels: 3,
        height: 1,
        width: 1,
        labels: vec![Some(0), Some(1)],
        samples: vec![0, 1],
        epoch: 0,
        mix: None,
    };
    let logits = Tensor::<2>::from_data([[200.0_f32], [-200.0]], &Device::flex());
    assert_eq!(tensor_values(supervision.loss(logits, &batch)), [200.0]);
}
