//! The loss of classification.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use convnext_data::LabelMix;

/// Soft target distributions of a batch of images, weighted by class.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Probabilities `[N, classes]`, times how much the image counts.
    values: Vec<f32>,
    classes: usize,
}

impl Targets {
    /// Labels with smoothing (facts D1): `1 - s + s / K` for the class, `s / K` for the others. The images of a class
    /// count as its weight says.
    ///
    /// # Panics
    /// When a label has no weight.
    pub fn new(labels: &[usize], class_weights: &[f32], smoothing: f64) -> Self {
        let classes = class_weights.len();
        let mut values = Vec::with_capacity(labels.len() * classes);
        for &label in labels {
            let weight = class_weights[label];
            let others = (smoothing / classes as f64) as f32;
            let own = others + (1.0 - smoothing) as f32;
            values.extend((0..classes).map(|class| weight * if class == label { own } else { others }));
        }
        Self { values, classes }
    }

    /// The targets of a batch whose images were mixed so, if they were.
    #[must_use]
    pub fn mixed(self, mix: Option<LabelMix>) -> Self {
        match mix {
            None => self,
            Some(mix) => Self { values: mix.apply(&self.values, self.classes), ..self },
        }
    }

    /// `mean_n(sum_k(-target_nk log p_nk))`.
    ///
    /// # Shapes
    /// - logits: `[N, classes]`
    /// - output: `[1]`
    pub fn cross_entropy(self, logits: Tensor<2>) -> Tensor<1> {
        let shape = logits.dims();
        let targets = Tensor::<2>::from_data(TensorData::new(self.values, shape), &logits.device());
        // Summed dimension by dimension: the order of additions then never depends on threads.
        (log_softmax(logits, 1) * targets).sum_dim(1).sum_dim(0).reshape([1]) / -(shape[0] as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 3]; 2] = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]];

    /// `-log p` of each class of each image.
    fn surprises() -> Vec<Vec<f64>> {
        let of_row = |row: &[f32; 3]| {
            let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            row.iter().map(|&x| total.ln() - f64::from(x)).collect()
        };
        LOGITS.iter().map(of_row).collect()
    }

    fn loss(targets: Targets) -> f64 {
        f64::from(targets.cross_entropy(Tensor::from_data(LOGITS, &Device::flex())).into_scalar::<f32>())
    }

    #[test]
    fn the_loss_is_the_formula() {
        let labels = [1, 0];
        let smoothed = |(surprise, label): (&Vec<f64>, usize)| {
            0.9 * surprise[label] + 0.1 * surprise.iter().sum::<f64>() / 3.0
        };
        let each: Vec<f64> = surprises().iter().zip(labels).map(smoothed).collect();
        let found = loss(Targets::new(&labels, &[1.0; 3], 0.1));
        assert!((found - (each[0] + each[1]) / 2.0).abs() < 1e-6, "{found}");
        let weighted = loss(Targets::new(&labels, &[0.5, 2.0, 9.0], 0.1));
        assert!((weighted - (2.0 * each[0] + 0.5 * each[1]) / 2.0).abs() < 1e-6, "{weighted}");
    }

    #[test]
    fn mixed_images_are_what_both_are() {
        let [first, second] = <[Vec<f64>; 2]>::try_from(surprises()).unwrap();
        let found = loss(Targets::new(&[1, 0], &[1.0; 3], 0.0).mixed(Some(LabelMix { lam: 0.75 })));
        let expected = (0.75 * first[1] + 0.25 * first[0] + 0.75 * second[0] + 0.25 * second[1]) / 2.0;
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        let plain = Targets::new(&[1, 0], &[0.5, 2.0, 1.0], 0.1);
        assert_eq!(plain.clone().mixed(Some(LabelMix { lam: 1.0 })), plain);
    }
}
