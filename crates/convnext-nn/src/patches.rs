//! Images as rows of patches, and the pixels that FCMAE predicts.
//!
//! Notation: N images, P patches of an image, V = p * p * channels values of a patch in the order
//! (y, x, channel).

use burn::prelude::*;

use crate::ops::reference::EPSILON;

/// Cuts images into patches, row by row.
///
/// # Shapes
/// - images: `[N, channels, rows * patch, columns * patch]`
/// - output: `[N * P, V]`
pub fn images_to_patches(images: Tensor<4>, patch: usize) -> Tensor<2> {
    let [count, channels, height, width] = images.dims();
    let (rows, columns) = (height / patch, width / patch);
    images
        .reshape([count, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 3, 5, 1])
        .reshape([count * rows * columns, patch * patch * channels])
}

/// Assembles patches into images: the inverse of [`images_to_patches`].
///
/// # Shapes
/// - patches: `[N * P, V]`
/// - output: `[N, channels, rows * patch, columns * patch]`
pub fn patches_to_images(patches: Tensor<2>, grid: [usize; 2], patch: usize) -> Tensor<4> {
    let [count, values] = patches.dims();
    let [rows, columns] = grid;
    let images = count / (rows * columns);
    let channels = values / (patch * patch);
    patches.reshape([images, rows, columns, patch, patch, channels]).permute([0, 5, 1, 3, 2, 4]).reshape([
        images,
        channels,
        rows * patch,
        columns * patch,
    ])
}

/// Mean and standard deviation of each patch, to invert the normalisation of targets.
pub(crate) struct PatchStatistics {
    /// `[rows, 1]`.
    mean: Tensor<2>,
    /// Root of (unbiased variance + 1e-6), `[rows, 1]`.
    deviation: Tensor<2>,
}

impl PatchStatistics {
    /// The statistics of each row of `patches`, `[rows, V]`.
    pub(crate) fn of(patches: Tensor<2>) -> Self {
        let values = patches.dims()[1];
        let mean = patches.clone().mean_dim(1);
        let squares = (patches - mean.clone()).square().sum_dim(1);
        let deviation = (squares / (values - 1) as f64 + EPSILON).sqrt();
        Self { mean, deviation }
    }

    /// Normalised values to pixels, `[rows, V]`.
    pub(crate) fn restore(self, values: Tensor<2>) -> Tensor<2> {
        values * self.deviation + self.mean
    }
}
