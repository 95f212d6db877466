//! LayerNorm over the channels of rows, forward and backward.
//!
//! Notation: R rows, C channels.

use pulp::{Simd, WithSimd};

use crate::buffer::Buffer;
use crate::epsilon::EPSILON;
use crate::isa::isa;
use crate::lanes::{add, load, store};
use crate::parallel::{self, TASK_ROWS};
use crate::profile::{Kernel, timed};
use crate::split::add_to;

/// LayerNorm of each row: `[R, C]` to `[R, C]`, with weight and bias `[C]`.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn layer_norm_forward(rows: &[f32], weight: &[f32], bias: &[f32]) -> Buffer {
    let values = TASK_ROWS * check(rows, weight, bias.len());
    let mut out = Buffer::take(rows.len());
    parallel::for_each(out.chunks_mut(values).zip(rows.chunks(values)), |(out, rows)| {
        timed(Kernel::LayerNorm, || isa().dispatch(LayerNorm { rows, weight, bias, out }));
    });
    out
}

/// The gradients of rows, weight and bias of [`layer_norm_forward`] for an output gradient, `[R, C]`. The
/// sums over rows are partial sums of 256 rows each, added in order.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn layer_norm_backward(rows: &[f32], weight: &[f32], dout: &[f32]) -> (Buffer, [Vec<f32>; 2]) {
    let channels = check(rows, weight, weight.len());
    assert_eq!(dout.len(), rows.len(), "there is an output gradient for each row");
    let values = TASK_ROWS * channels;
    let mut out = Buffer::take(rows.len());
    let tasks = rows.chunks(values).zip(dout.chunks(values)).zip(out.chunks_mut(values));
    let partial = parallel::map(tasks, |((rows, dout), drows)| {
        let [mut dweight, mut dbias] = [vec![0.0; channels], vec![0.0; channels]];
        let sums = (&mut dweight[..], &mut dbias[..]);
        let work = LayerNormGradient { rows, weight, dout, drows, dweight: sums.0, dbias: sums.1 };
        timed(Kernel::LayerNormGradient, || isa().dispatch(work));
        [dweight, dbias]
    });
    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
    for partial in &partial {
        for (sums, values) in sums.iter_mut().zip(partial) {
            add_to(sums, values);
        }
    }
    (out, sums)
}

fn check(rows: &[f32], weight: &[f32], bias: usize) -> usize {
    let channels = weight.len();
    assert!(channels > 0 && bias == channels, "weight and bias have a value for each channel");
    assert!(rows.len().is_multiple_of(channels), "the rows are [R, features]");
    channels
}

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
    /// The input, `[R, C]`.
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
        let inverse_count = 1.0 / channels as f32;
        let input_rows = rows.chunks_exact(channels).zip(dout.chunks_exact(channels));
        for ((row, dout), drow) in input_rows.zip(drows.chunks_exact_mut(channels)) {
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
            let sum = simd.splat_f32s(inverse_count * simd.reduce_sum_f32s(sum));
            let product = simd.splat_f32s(inverse_count * simd.reduce_sum_f32s(product));
            for at in (0..channels).step_by(S::F32_LANES) {
                let normal = simd.mul_f32s(simd.sub_f32s(load(simd, row, at), mean), inverse);
                let gradient = simd.mul_f32s(load(simd, dout, at), load(simd, weight, at));
                let centred = simd.sub_f32s(simd.sub_f32s(gradient, sum), simd.mul_f32s(normal, product));
                store(simd, drow, at, simd.mul_f32s(centred, inverse));
            }
        }
    }
}

/// Mean and inverse standard deviation of a row.
struct Statistics {
    mean: f32,
    inverse_deviation: f32,
}

impl Statistics {
    #[inline(always)]
    fn of<S: Simd>(simd: S, row: &[f32]) -> Self {
        let inverse_count = 1.0 / row.len() as f32;
        let mut sum = simd.splat_f32s(0.0);
        for at in (0..row.len()).step_by(S::F32_LANES) {
            sum = simd.add_f32s(sum, load(simd, row, at));
        }
        let mean = inverse_count * simd.reduce_sum_f32s(sum);
        let lanes = simd.splat_f32s(mean);
        let mut squares = simd.splat_f32s(0.0);
        let whole = row.len() - row.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let centred = simd.sub_f32s(load(simd, row, at), lanes);
            squares = simd.mul_add_e_f32s(centred, centred, squares);
        }
        // A partial load pads with zeros, whose deviation from the mean is not 0.
        let rest: f32 = row[whole..].iter().map(|value| (value - mean) * (value - mean)).sum();
        let variance = inverse_count * (simd.reduce_sum_f32s(squares) + rest);
        Self { mean, inverse_deviation: 1.0 / (variance + EPSILON).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::testing::noise;

    fn reference(rows: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let channels = weight.len();
        let normal = |row: &[f64]| -> Vec<f64> {
            let mean = row.iter().sum::<f64>() / channels as f64;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / channels as f64;
            row.iter().map(|value| (value - mean) / (variance + 1e-6).sqrt()).collect()
        };
        let scaled = |row: &[f64]| -> Vec<f64> {
            normal(row).iter().zip(weight.iter().zip(bias)).map(|(x, (w, b))| x * w + b).collect()
        };
        rows.chunks(channels).flat_map(scaled).collect()
    }

    #[test]
    fn forward_and_every_gradient_match_the_reference() {
        for (count, channels) in [(1, 1), (3, 5), (2, 16), (700, 19)] {
            let [rows, dout] = [1, 2].map(|seed| noise(count * channels, seed));
            let [weight, bias] = [3, 4].map(|seed| noise(channels, seed));
            let in_f64 = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
            let inputs = [in_f64(&rows), in_f64(&weight), in_f64(&bias)];
            let forward = |inputs: &[Vec<f64>; 3]| reference(&inputs[0], &inputs[1], &inputs[2]);
            let loss = |inputs: &[Vec<f64>; 3]| -> f64 {
                forward(inputs).iter().zip(&dout).map(|(out, dout)| out * f64::from(*dout)).sum()
            };
            let found = layer_norm_forward(&rows, &weight, &bias);
            for (found, expected) in found.iter().zip(forward(&inputs)) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{count} x {channels}");
            }
            for (name, arch) in isa_levels() {
                let mut out = vec![0.0; rows.len()];
                arch.dispatch(LayerNorm { rows: &rows, weight: &weight, bias: &bias, out: &mut out });
                assert!(out.iter().zip(&found[..]).all(|(a, b)| (a - b).abs() < 1e-5), "{name}");
            }
            let (drows, [dweight, dbias]) = layer_norm_backward(&rows, &weight, &dout);
            for (which, gradient) in [&drows[..], &dweight, &dbias].into_iter().enumerate() {
                let norm = gradient.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-2);
                for place in (0..gradient.len()).step_by((gradient.len() / 5).max(1)) {
                    let at = |step: f64| {
                        let mut moved = inputs.clone();
                        moved[which][place] += step;
                        loss(&moved)
                    };
                    let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                    let error = (difference - f64::from(gradient[place])).abs() / f64::from(norm);
                    assert!(error < 1e-4, "{count} x {channels}, input {which} at {place}: {error}");
                }
            }
        }
    }
}
