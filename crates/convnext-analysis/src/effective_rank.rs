//! Effective rank of features (Roy and Vetterli 2007).

use crate::centred::centred;

/// The exponential of the entropy of the singular values of the features, centred over the images: the number of
/// directions that the features really use, between 1 and the lower of images - 1 and width. 0 where all features are the
/// same.
///
/// # Shapes
/// - features: `[images, width]`
pub fn effective_rank(features: &[f32], width: usize) -> f64 {
    let matrix = centred(features, width);
    // Eigenvalues of the smaller product are the squares of the singular values.
    let product =
        if width <= matrix.nrows() { matrix.transpose() * &matrix } else { &matrix * matrix.transpose() };
    let largest = product.diagonal().max();
    let singular: Vec<f64> = product
        .symmetric_eigenvalues()
        .iter()
        // Rounding leaves eigenvalues of this size where there should be none.
        .filter(|&&value| value > largest * 1e-12)
        .map(|value| value.sqrt())
        .collect();
    let sum: f64 = singular.iter().sum();
    let entropy: f64 = singular.iter().map(|value| value / sum).map(|share| -share * share.ln()).sum();
    if singular.is_empty() { 0.0 } else { entropy.exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_directions_count_fully() {
        // Centred already, two orthogonal directions of the same length.
        let features = [1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0];
        assert!((effective_rank(&features, 3) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn one_direction_is_one_and_none_is_none() {
        let line: Vec<f32> = (0..10).flat_map(|index| [index as f32, 2.0 * index as f32, 1.0]).collect();
        assert!((effective_rank(&line, 3) - 1.0).abs() < 1e-6);
        assert!(effective_rank(&[0.1; 12], 3).abs() < 1e-12);
    }

    #[test]
    fn more_values_than_images_give_the_same_as_fewer() {
        let features: Vec<f32> = (0..12).map(|index| ((index * 7 % 5) as f32).sin()).collect();
        // Columns of zeros add no direction.
        let padded: Vec<f32> = features.chunks_exact(3).flat_map(|row| [row, &[0.0; 5]].concat()).collect();
        assert!((effective_rank(&features, 3) - effective_rank(&padded, 8)).abs() < 1e-9);
    }
}
