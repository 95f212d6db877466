//! The loss of classification.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

/// Cross-entropy with label smoothing, averaged over the batch (facts D1):
/// `(1 - s) (-log p_label) + s mean_k(-log p_k)`.
///
/// # Shapes
/// - logits: `[N, classes]`
/// - labels: N indices below `classes`
/// - output: `[1]`
pub fn smoothed_cross_entropy(logits: Tensor<2>, labels: &[usize], smoothing: f64) -> Tensor<1> {
    let [count, classes] = logits.dims();
    let mut targets = vec![(smoothing / classes as f64) as f32; count * classes];
    for (row, &label) in labels.iter().enumerate() {
        targets[row * classes + label] += (1.0 - smoothing) as f32;
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [count, classes]), &logits.device());
    // Summed dimension by dimension: the order of additions then never depends on threads.
    (log_softmax(logits, 1) * targets).sum_dim(1).sum_dim(0).reshape([1]) / -(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_formula() {
        let logits = [[1.0_f32, 2.0, 0.5], [0.0, -1.0, 3.0]];
        let labels = [1, 0];
        let expected: f64 = logits
            .iter()
            .zip(labels)
            .map(|(row, label)| {
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                let surprise: Vec<f64> = row.iter().map(|&x| total.ln() - f64::from(x)).collect();
                0.9 * surprise[label] + 0.1 * surprise.iter().sum::<f64>() / 3.0
            })
            .sum::<f64>()
            / 2.0;
        let found = smoothed_cross_entropy(Tensor::from_data(logits, &Device::flex()), &labels, 0.1);
        assert!((f64::from(found.into_scalar::<f32>()) - expected).abs() < 1e-6);
    }
}
