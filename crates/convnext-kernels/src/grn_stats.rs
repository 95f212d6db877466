//! Global Response Normalization's statistics (paper section 3.3, equations 1 to 3), image by image.
//!
//! With h the activations of one image, G_c = sqrt(sum over its kept sites of h_c^2),
//! N_c = G_c / (mean over channels of G + 1e-6) and the scale s_c = 1 + gamma_c N_c; variants have another N or no 1
//! ([`GrnVariant`]). Never over the batch: that is a known bug of the public release.
//!
//! Notation: E channels.

use crate::blocking::ImageBlock;
use crate::grn_variant::GrnVariant;
use crate::split::add_to;

/// Added under the root of G, so that its derivative at an all-zero channel is 0 and not undefined. Far below
/// f32 rounding of any real norm.
const TINY: f32 = 1e-30;

/// The statistics of an image block's images.
#[derive(Debug)]
pub(crate) struct GrnStats {
    variant: GrnVariant,
    width: usize,
    /// G, `[images, E]`.
    norms: Vec<f32>,
    /// N, `[images, E]`.
    factors: Vec<f32>,
    /// What N was divided by, such as the mean of G with its epsilon, `[images]`.
    divisors: Vec<f32>,
    /// s, `[images, E]`.
    scales: Vec<f32>,
}

impl GrnStats {
    /// The statistics for the sums of squares of each segment, `[segments, E]`, added in order.
    pub(crate) fn new(
        image_block: &ImageBlock,
        width: usize,
        squares: &[f32],
        variant: GrnVariant,
        gamma: &[f32],
    ) -> Self {
        let mut norms = sum_segments(image_block, width, squares);
        norms.iter_mut().for_each(|value| *value = (*value + TINY).sqrt());
        let mut factors = vec![0.0; norms.len()];
        let images = norms.chunks_exact(width).zip(factors.chunks_exact_mut(width));
        let divisors =
            images.map(|(norms, factors)| variant.normalisation.normalise(norms, factors)).collect();
        let gammas = gamma.iter().cycle();
        let scales =
            factors.iter().zip(gammas).map(|(factor, gamma)| variant.scale(*gamma, *factor)).collect();
        Self { variant, width, norms, factors, divisors, scales }
    }

    /// s of an image, by its index in the image block.
    pub(crate) fn scale(&self, place: usize) -> &[f32] {
        &self.scales[place * self.width..][..self.width]
    }

    /// The factor of h in its own gradient through G: dG / G, `[images, E]`. Adds gamma's gradient to
    /// `dgamma`.
    ///
    /// `products` are the sums of h times the gradient of y over each segment, `[segments, E]`. With a their sum over an
    /// image, dN = gamma a and dgamma += N a.
    pub(crate) fn backward(
        &self,
        image_block: &ImageBlock,
        products: &[f32],
        gamma: &[f32],
        dgamma: &mut [f32],
    ) -> Vec<f32> {
        let width = self.width;
        // a, and then dN.
        let mut sums = sum_segments(image_block, width, products);
        let mut through_norm = vec![0.0; sums.len()];
        for (image, through) in through_norm.chunks_exact_mut(width).enumerate() {
            let of_image = image * width..(image + 1) * width;
            let (sums, factors) = (&mut sums[of_image.clone()], &self.factors[of_image.clone()]);
            for ((sum, factor), (gamma, dgamma)) in
                sums.iter_mut().zip(factors).zip(gamma.iter().zip(&mut *dgamma))
            {
                *dgamma += factor * *sum;
                *sum *= gamma;
            }
            let known = [&self.norms[of_image], factors];
            self.variant.normalisation.backward(sums, known, self.divisors[image], through);
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
