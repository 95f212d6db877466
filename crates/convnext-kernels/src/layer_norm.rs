//! LayerNorm over the channels of rows, forward and backward (facts A1).
//!
//! Letters: R rows, C channels.

use pulp::{Simd, WithSimd};

use crate::EPSILON;
use crate::lanes::{add, load, store};

/// `(x - mean) / sqrt(variance + 1e-6) * weight + bias`, row by row, with the biased variance.
pub(crate) struct LayerNorm<'a> {
    /// `[R, C]`.
    pub(crate) rows: &'a [f32],
    /// `[C]`.
    pub(crate) weight: &'a [f32],
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// `[R, C]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, weight, bias, out } = self;
        let channels = weight.len();
        for (row, out) in rows.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            let Statistics { mean, inverse_deviation } = Statistics::of(simd, row);
            let (mean, inverse) = (simd.splat_f32s(mean), simd.splat_f32s(inverse_deviation));
            for at in (0..channels).step_by(S::F32_LANES) {
                let normal = simd.mul_f32s(simd.sub_f32s(load(simd, row, at), mean), inverse);
                let value = simd.mul_add_e_f32s(normal, load(simd, weight, at), load(simd, bias, at));
                store(simd, out, at, value);
            }
        }
    }
}

/// The gradients of [`LayerNorm`].
pub(crate) struct LayerNormGradient<'a> {
    /// What went in, `[R, C]`.
    pub(crate) rows: &'a [f32],
    /// `[C]`.
    pub(crate) weight: &'a [f32],
    /// The gradient of the output, `[R, C]`.
    pub(crate) dout: &'a [f32],
    /// Becomes the gradient of the input, `[R, C]`.
    pub(crate) drows: &'a mut [f32],
    /// The gradient of the weight is added, `[C]`.
    pub(crate) dweight: &'a mut [f32],
    /// The gradient of the bias is added, `[C]`.
    pub(crate) dbias: &'a mut [f32],
}

impl WithSimd for LayerNormGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, weight, dout, drows, dweight, dbias } = self;
        let channels = weight.len();
        let share = 1.0 / channels as f32;
        let lines = rows.chunks_exact(channels).zip(dout.chunks_exact(channels));
        for ((row, dout), drow) in lines.zip(drows.chunks_exact_mut(channels)) {
            let Statistics { mean, inverse_deviation } = Statistics::of(simd, row);
            let (mean, inverse) = (simd.splat_f32s(mean), simd.splat_f32s(inverse_deviation));
            let (mut sum, mut product) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for at in (0..channels).step_by(S::F32_LANES) {
                let normal = simd.mul_f32s(simd.sub_f32s(load(simd, row, at), mean), inverse);
                let gradient = load(simd, dout, at);
                add(simd, dweight, at, simd.mul_f32s(gradient, normal));
                add(simd, dbias, at, gradient);
                // Past the last channel the weight is 0, and so is this.
                let gradient = simd.mul_f32s(gradient, load(simd, weight, at));
                sum = simd.add_f32s(sum, gradient);
                product = simd.mul_add_e_f32s(gradient, normal, product);
            }
            let sum = simd.splat_f32s(share * simd.reduce_sum_f32s(sum));
            let product = simd.splat_f32s(share * simd.reduce_sum_f32s(product));
            for at in (0..channels).step_by(S::F32_LANES) {
                let normal = simd.mul_f32s(simd.sub_f32s(load(simd, row, at), mean), inverse);
                let gradient = simd.mul_f32s(load(simd, dout, at), load(simd, weight, at));
                let centred = simd.sub_f32s(simd.sub_f32s(gradient, sum), simd.mul_f32s(normal, product));
                store(simd, drow, at, simd.mul_f32s(centred, inverse));
            }
        }
    }
}

/// What a row is normalised with.
struct Statistics {
    mean: f32,
    inverse_deviation: f32,
}

impl Statistics {
    #[inline(always)]
    fn of<S: Simd>(simd: S, row: &[f32]) -> Self {
        let share = 1.0 / row.len() as f32;
        let mut sum = simd.splat_f32s(0.0);
        for at in (0..row.len()).step_by(S::F32_LANES) {
            sum = simd.add_f32s(sum, load(simd, row, at));
        }
        let mean = share * simd.reduce_sum_f32s(sum);
        let lanes = simd.splat_f32s(mean);
        let mut squares = simd.splat_f32s(0.0);
        let whole = row.len() - row.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let centred = simd.sub_f32s(load(simd, row, at), lanes);
            squares = simd.mul_add_e_f32s(centred, centred, squares);
        }
        // Past the end there would be zeros, which are no deviation of 0.
        let rest: f32 = row[whole..].iter().map(|value| (value - mean) * (value - mean)).sum();
        let variance = share * (simd.reduce_sum_f32s(squares) + rest);
        Self { mean, inverse_deviation: 1.0 / (variance + EPSILON).sqrt() }
    }
}
