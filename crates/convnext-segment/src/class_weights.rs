//! Weights of classes in the loss, by how many pixels they have.

use convnext_train::ClassWeights;

/// Added to the share of a class, so that the weight of a rare one is bounded: it is at most
/// ln(2.02) / ln(1.02), 35.5 times, that of a class that is everywhere.
const OFFSET: f64 = 1.02;

/// The weight of the pixels of each class, by its labelled pixels in the training images; their mean over these pixels is 1.
///
/// Balanced weights are those of ENet (Paszke et al. 2016, section 5.2): 1 / ln(1.02 + share). In inverse proportion to the
/// pixels, a class of a few pixels would outweigh all others: in street scenes the largest class has a thousand times the
/// pixels of the smallest. A class without pixels counts as the rarest.
pub fn class_weights(weights: ClassWeights, pixels: &[u64]) -> Vec<f32> {
    let all = pixels.iter().sum::<u64>();
    if weights == ClassWeights::Equal || all == 0 {
        return vec![1.0; pixels.len()];
    }
    let share = |&pixels: &u64| pixels as f64 / all as f64;
    let weight = |pixels: &u64| 1.0 / (OFFSET + share(pixels)).ln();
    let mean: f64 = pixels.iter().map(|pixels| share(pixels) * weight(pixels)).sum();
    pixels.iter().map(|pixels| (weight(pixels) / mean) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_count_more_but_not_without_bound() {
        let pixels = [900_000, 99_999, 1, 0];
        let weights = class_weights(ClassWeights::Balanced, &pixels);
        assert!(weights.is_sorted() && weights[3] / weights[0] < 35.6, "{weights:?}");
        let sum: f64 =
            weights.iter().zip(pixels).map(|(weight, pixels)| f64::from(*weight) * pixels as f64).sum();
        assert!((sum / 1e6 - 1.0).abs() < 1e-6, "{sum}");
        // By hand: 1 / ln(1.92), 1 / ln(1.119999), 1 / ln(1.020001).
        assert!((weights[1] / weights[0] - 1.92_f32.ln() / 1.119_999_f32.ln()).abs() < 1e-4);
        assert_eq!(class_weights(ClassWeights::Equal, &pixels), [1.0; 4]);
        assert_eq!(class_weights(ClassWeights::Balanced, &[0, 0]), [1.0; 2]);
    }
}
