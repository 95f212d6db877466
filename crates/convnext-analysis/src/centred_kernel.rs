//! Linear centred kernel alignment, CKA (Kornblith et al. 2019): how alike two layers see the same images.

use crate::centred::centred;

/// The kernel of a layer on N images: products of their features, centred over the images, scaled to length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct CentredKernel {
    images: usize,
    /// `[N, N]`, or nothing where all features are the same.
    values: Vec<f32>,
}

impl CentredKernel {
    /// From the features of N images.
    ///
    /// # Shapes
    /// - features: `[N, width]`
    pub fn of(features: &[f32], width: usize) -> Self {
        let matrix = centred(features, width);
        let kernel = &matrix * matrix.transpose();
        let norm = kernel.norm();
        let values = match norm > 0.0 {
            true => kernel.iter().map(|value| (value / norm) as f32).collect(),
            false => Vec::new(),
        };
        Self { images: matrix.nrows(), values }
    }

    /// Linear CKA of two layers on the same images, 0 to 1. 1 where the features are the same but for a rotation and one
    /// scale; with fewer images than features it tends to 1 whatever they are. `None` where they saw other numbers of images, or where one layer tells no two images apart.
    pub fn alignment(&self, other: &Self) -> Option<f64> {
        if self.images != other.images || self.values.is_empty() || other.values.is_empty() {
            return None;
        }
        Some(self.values.iter().zip(&other.values).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum())
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    fn features(seed: u32) -> Vec<f32> {
        (0..40_u32).map(|index| ((index * 29 + seed * 13) * (index + seed) % 31) as f32 / 10.0).collect()
    }

    #[test]
    fn a_layer_is_aligned_with_itself_rotated_shifted_and_scaled() {
        let plain = features(1);
        let turned: Vec<f32> =
            plain.chunks_exact(2).flat_map(|pair| [3.0 - 2.0 * pair[1], 1.0 + 2.0 * pair[0]]).collect();
        let (plain, turned) = (CentredKernel::of(&plain, 2), CentredKernel::of(&turned, 2));
        assert!((plain.alignment(&turned).unwrap() - 1.0).abs() < 1e-6);
    }

    /// `|Y' X|^2 / (|X' X| |Y' Y|)` of centred features, the form with products of features.
    #[test]
    fn it_is_the_ratio_of_products_of_features() {
        let (left, right) = (features(1), features(4));
        let centred = |values: &[f32], width: usize| {
            let matrix = DMatrix::from_row_iterator(
                values.len() / width,
                width,
                values.iter().map(|&value| f64::from(value)),
            );
            let means = matrix.row_mean();
            DMatrix::from_fn(matrix.nrows(), width, |row, column| matrix[(row, column)] - means[column])
        };
        let (x, y) = (centred(&left, 4), centred(&right, 4));
        let product = |x: &DMatrix<f64>, y: &DMatrix<f64>| (y.transpose() * x).norm();
        let expected = product(&x, &y).powi(2) / (product(&x, &x) * product(&y, &y));
        let found = CentredKernel::of(&left, 4).alignment(&CentredKernel::of(&right, 4)).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
    }

    #[test]
    fn a_constant_layer_is_aligned_with_nothing() {
        let constant = CentredKernel::of(&[2.0; 20], 2);
        assert_eq!(constant.alignment(&CentredKernel::of(&features(1)[..20], 2)), None);
        assert_eq!(CentredKernel::of(&features(1), 2).alignment(&CentredKernel::of(&features(1), 4)), None);
    }
}
