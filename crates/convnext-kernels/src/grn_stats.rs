//! Global Response Normalization's statistics (paper section 3.3, equations 1 to 3), image by image.
//!
//! With h the activations of one image, G_c = sqrt(sum over its kept sites of h_c^2),
//! N_c = G_c / (mean over channels of G + 1e-6) and the scale s_c = 1 + gamma_c N_c. Never over the
//! batch: that is a known bug of the public release.
//!
//! Notation: E channels.

use crate::blocking::ImageBlock;
use crate::epsilon::EPSILON;
use crate::split::add_to;

/// Added under the root of G, so that its derivative at an all-zero channel is 0 and not undefined. Far below
/// f32 rounding of any real norm.
const TINY: f32 = 1e-30;

/// The statistics of an image block's images.
#[derive(Debug)]
pub(crate) struct GrnStats {
    width: usize,
    /// G, `[images, E]`.
    norms: Vec<f32>,
    /// The mean of G with its epsilon, `[images]`.
    means: Vec<f32>,
    /// s, `[images, E]`.
    scales: Vec<f32>,
}

impl GrnStats {
    /// The statistics for the sums of squares of each segment, `[segments, E]`, added in order.
    pub(crate) fn new(image_block: &ImageBlock, width: usize, squares: &[f32], gamma: &[f32]) -> Self {
        let mut norms = sum_segments(image_block, width, squares);
        norms.iter_mut().for_each(|value| *value = (*value + TINY).sqrt());
        let mean = |norms: &[f32]| {
            (norms.iter().copied().map(f64::from).sum::<f64>() / width as f64) as f32 + EPSILON
        };
        let means: Vec<f32> = norms.chunks_exact(width).map(mean).collect();
        let mut scales = vec![0.0; norms.len()];
        for ((scales, norms), mean) in
            scales.chunks_exact_mut(width).zip(norms.chunks_exact(width)).zip(&means)
        {
            for ((scale, norm), gamma) in scales.iter_mut().zip(norms).zip(gamma) {
                *scale = 1.0 + gamma * (norm / mean);
            }
        }
        Self { width, norms, means, scales }
    }

    /// s of an image, by its index in the image block.
    pub(crate) fn scale(&self, place: usize) -> &[f32] {
        &self.scales[place * self.width..][..self.width]
    }

    /// The factor of h in its own gradient through G: dG / G, `[images, E]`. Adds gamma's gradient to
    /// `dgamma`.
    ///
    /// `products` are the sums of h times the gradient of y over each segment, `[segments, E]`. With
    /// a their sum over an image, M the mean with its epsilon and dN = gamma a:
    /// dgamma += N a, and dG = dN / M - (sum of dN G) / (E M^2).
    pub(crate) fn backward(
        &self,
        image_block: &ImageBlock,
        products: &[f32],
        gamma: &[f32],
        dgamma: &mut [f32],
    ) -> Vec<f32> {
        let sums = sum_segments(image_block, self.width, products);
        let mut through_norm = vec![0.0; sums.len()];
        let images = sums.chunks_exact(self.width).zip(self.norms.chunks_exact(self.width)).zip(&self.means);
        for (((sums, norms), mean), through) in images.zip(through_norm.chunks_exact_mut(self.width)) {
            let mut weighted = 0.0_f64;
            for ((sum, norm), (gamma, dgamma)) in sums.iter().zip(norms).zip(gamma.iter().zip(&mut *dgamma)) {
                *dgamma += norm / mean * sum;
                weighted += f64::from(gamma * sum * norm);
            }
            let common = (weighted / self.width as f64) as f32 / (mean * mean);
            for ((through, sum), (norm, gamma)) in through.iter_mut().zip(sums).zip(norms.iter().zip(gamma)) {
                *through = (gamma * sum / mean - common) / norm;
            }
        }
        through_norm
    }
}

/// Segment sum: `[segments, E]` to `[images of the image block, E]`.
fn sum_segments(image_block: &ImageBlock, width: usize, values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; image_block.images.len() * width];
    for (segment, values) in image_block.segments.iter().zip(values.chunks_exact(width)) {
        let sums = &mut sums[image_block.place_of(segment) * width..][..width];
        add_to(sums, values);
    }
    sums
}
