//! From logits to probabilities.

/// The logarithm of the softmax of one row of logits, in f64; `None` when a logit is not finite.
pub fn log_probabilities(logits: &[f32]) -> Option<Vec<f64>> {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return None;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |logit: f32| f64::from(logit) - f64::from(largest);
    let total = logits.iter().map(|&logit| above(logit).exp()).sum::<f64>().ln();
    Some(logits.iter().map(|&logit| above(logit) - total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_at_any_scale() {
        for logits in [[1.0, 2.0, 3.0], [1e4, 1e4 - 1.0, -1e30], [-3e38, 3e38, 0.0]] {
            let sum: f64 = log_probabilities(&logits).unwrap().iter().map(|log| log.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{logits:?}: {sum}");
        }
        let expected = (1.0_f64.exp() / (1.0_f64.exp() + 1.0)).ln();
        assert!((log_probabilities(&[1.0, 0.0]).unwrap()[0] - expected).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_finite_is_no_probability() {
        assert_eq!(log_probabilities(&[0.0, f32::NAN]), None);
        assert_eq!(log_probabilities(&[f32::INFINITY, 0.0]), None);
    }
}
