//! Batch norm with the statistics of the batch, with ReLU behind it or without, forward and backward.
//!
//! Sums over rows are partial sums of row blocks, cut by shapes alone and added in order, in f64. The ReLU's mask is
//! computed again in the backward, so that only the input is saved.
//!
//! Notation: R rows, C channels.

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::isa::isa;
use crate::lanes::{add, load, relu, store};
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// Values of a row block: few enough to stay in the L2 cache, which is read twice for the statistics.
const BLOCK_VALUES: usize = 1 << 15;

/// Mean and variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStatistics {
    /// `[C]`.
    pub mean: Vec<f32>,
    /// The biased variance, `[C]`.
    pub variance: Vec<f32>,
}

/// Weight and bias of a batch norm, and what stands behind it.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormLayer<'a> {
    /// Scale, `[C]`.
    pub weight: &'a [f32],
    /// Shift, `[C]`.
    pub bias: &'a [f32],
    /// `true` if values below 0 become 0.
    pub has_relu: bool,
}

/// `(rows - mean) / sqrt(variance + 1e-5) * weight + bias`, and its ReLU if there is one, `[R, C]` to `[R, C]`, with mean and
/// biased variance of each channel over all rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn batch_norm_forward(rows: &[f32], layer: &BatchNormLayer<'_>) -> (Buffer, BatchStatistics) {
    forward_on(isa(), rows, layer)
}

fn forward_on(arch: Arch, rows: &[f32], layer: &BatchNormLayer<'_>) -> (Buffer, BatchStatistics) {
    let channels = check(rows, layer);
    let statistics = statistics(arch, rows, channels);
    let norm = Norm::new(layer, &statistics);
    let mut out = Buffer::take(rows.len());
    let values = block_values(channels);
    parallel::for_each(out.chunks_mut(values).zip(rows.chunks(values)), |(out, rows)| {
        timed(Kernel::BatchNorm, || arch.dispatch(Normalize { rows, norm: &norm, out }));
    });
    (out, statistics)
}

/// The gradients of rows, weight and bias of [`batch_norm_forward`] for an output gradient, `[R, C]`.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn batch_norm_backward(
    rows: &[f32],
    layer: &BatchNormLayer<'_>,
    statistics: &BatchStatistics,
    dout: &[f32],
) -> (Buffer, [Vec<f32>; 2]) {
    backward_on(isa(), (rows, dout), layer, statistics)
}

fn backward_on(
    arch: Arch,
    (rows, dout): (&[f32], &[f32]),
    layer: &BatchNormLayer<'_>,
    statistics: &BatchStatistics,
) -> (Buffer, [Vec<f32>; 2]) {
    let (channels, values) = (check(rows, layer), block_values(layer.weight.len()));
    assert_eq!(dout.len(), rows.len(), "there is an output gradient for each row");
    let norm = Norm::new(layer, statistics);
    let partial = parallel::map(rows.chunks(values).zip(dout.chunks(values)), |(rows, dout)| {
        let [mut dweight, mut dbias] = [(); 2].map(|()| vec![0.0; channels]);
        let work = SumGradients { rows, norm: &norm, dout, dweight: &mut dweight, dbias: &mut dbias };
        timed(Kernel::BatchNormGradient, || arch.dispatch(work));
        [dweight, dbias]
    });
    let sums = [0, 1].map(|which| {
        let sum = |channel: usize| partial.iter().map(|sums| f64::from(sums[which][channel])).sum::<f64>();
        (0..channels).map(sum).collect::<Vec<f64>>()
    });
    let count = (rows.len() / channels) as f64;
    let means = [0, 1].map(|which| sums[which].iter().map(|sum| (sum / count) as f32).collect::<Vec<f32>>());
    let mut drows = Buffer::take(rows.len());
    let blocks = rows.chunks(values).zip(dout.chunks(values)).zip(drows.chunks_mut(values));
    parallel::for_each(blocks, |((rows, dout), drows)| {
        let work = RowGradients { rows, norm: &norm, dout, means: [&means[0], &means[1]], drows };
        timed(Kernel::BatchNormGradient, || arch.dispatch(work));
    });
    (drows, sums.map(|sums| sums.into_iter().map(|sum| sum as f32).collect()))
}

fn check(rows: &[f32], BatchNormLayer { weight, bias, .. }: &BatchNormLayer<'_>) -> usize {
    assert!(
        !weight.is_empty() && bias.len() == weight.len(),
        "weight and bias have a value for each channel"
    );
    assert!(rows.len().is_multiple_of(weight.len()), "the rows are [R, C]");
    weight.len()
}

/// Values of a row block: whole rows.
fn block_values(channels: usize) -> usize {
    (BLOCK_VALUES / channels).max(1) * channels
}

/// Mean and variance over all rows: those of row blocks, merged in order (Chan et al. 1979).
fn statistics(arch: Arch, rows: &[f32], channels: usize) -> BatchStatistics {
    let blocks = rows.chunks(block_values(channels));
    let partial = parallel::map(blocks.clone(), |rows| {
        let [mut mean, mut squares] = [(); 2].map(|()| vec![0.0; channels]);
        let work = BlockStatistics { rows, mean: &mut mean, squares: &mut squares };
        timed(Kernel::BatchNorm, || arch.dispatch(work));
        [mean, squares]
    });
    let [mut mean, mut squares] = [(); 2].map(|()| vec![0.0_f64; channels]);
    let mut count = 0.0;
    for (rows, [block_mean, block_squares]) in blocks.zip(&partial) {
        let of_block = (rows.len() / channels) as f64;
        let total = count + of_block;
        for channel in 0..channels {
            let step = f64::from(block_mean[channel]) - mean[channel];
            mean[channel] += step * of_block / total;
            squares[channel] += f64::from(block_squares[channel]) + step * step * count * of_block / total;
        }
        count = total;
    }
    let variance = squares.iter().map(|squares| (squares / count.max(1.0)) as f32).collect();
    BatchStatistics { mean: mean.iter().map(|mean| *mean as f32).collect(), variance }
}

/// The normalisation of each channel: `(x - mean) * inverse * weight + bias`, each `[C]`, and whether ReLU follows.
struct Norm<'a> {
    mean: &'a [f32],
    inverse: Vec<f32>,
    weight: &'a [f32],
    bias: &'a [f32],
    has_relu: bool,
}

impl<'a> Norm<'a> {
    fn new(layer: &BatchNormLayer<'a>, statistics: &'a BatchStatistics) -> Self {
        let BatchStatistics { mean, variance } = statistics;
        let &BatchNormLayer { weight, bias, has_relu } = layer;
        assert!(
            mean.len() == weight.len() && variance.len() == mean.len(),
            "there are statistics of each channel"
        );
        let inverse = variance.iter().map(|variance| (1.0 / (f64::from(*variance) + EPSILON).sqrt()) as f32);
        Self { mean, inverse: inverse.collect(), weight, bias, has_relu }
    }

    /// A register of a row with zero mean and unit variance, and with scale and shift.
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, row: &[f32], at: usize) -> [S::f32s; 2] {
        let centred = simd.sub_f32s(load(simd, row, at), load(simd, self.mean, at));
        let normal = simd.mul_f32s(centred, load(simd, &self.inverse, at));
        [normal, simd.mul_add_e_f32s(normal, load(simd, self.weight, at), load(simd, self.bias, at))]
    }

    /// A register of normal values, and of the gradient before ReLU. Without ReLU a value of exactly 0 has a gradient, too.
    #[inline(always)]
    fn gradient<S: Simd>(&self, simd: S, row: &[f32], dout: &[f32], at: usize) -> [S::f32s; 2] {
        let ([normal, value], gradient) = (self.apply(simd, row, at), load(simd, dout, at));
        if !self.has_relu {
            return [normal, gradient];
        }
        let zero = simd.splat_f32s(0.0);
        [normal, simd.select_f32s(simd.less_than_or_equal_f32s(value, zero), zero, gradient)]
    }
}

/// Mean and sum of squared differences from it, of a row block.
struct BlockStatistics<'a> {
    rows: &'a [f32],
    mean: &'a mut [f32],
    squares: &'a mut [f32],
}

impl WithSimd for BlockStatistics<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, mean, squares } = self;
        let channels = mean.len();
        for row in rows.chunks_exact(channels) {
            for at in (0..channels).step_by(S::F32_LANES) {
                add(simd, mean, at, load(simd, row, at));
            }
        }
        let inverse_count = channels as f32 / rows.len() as f32;
        for mean in mean.iter_mut() {
            *mean *= inverse_count;
        }
        for row in rows.chunks_exact(channels) {
            for at in (0..channels).step_by(S::F32_LANES) {
                let centred = simd.sub_f32s(load(simd, row, at), load(simd, mean, at));
                let sum = simd.mul_add_e_f32s(centred, centred, load(simd, squares, at));
                store(simd, squares, at, sum);
            }
        }
    }
}

/// The output of a row block.
struct Normalize<'a> {
    rows: &'a [f32],
    norm: &'a Norm<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, norm, out } = self;
        let channels = norm.mean.len();
        for (row, out) in rows.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for at in (0..channels).step_by(S::F32_LANES) {
                let [_, value] = norm.apply(simd, row, at);
                store(simd, out, at, if norm.has_relu { relu(simd, value) } else { value });
            }
        }
    }
}

/// The gradients of weight and bias of a row block.
struct SumGradients<'a> {
    rows: &'a [f32],
    norm: &'a Norm<'a>,
    dout: &'a [f32],
    dweight: &'a mut [f32],
    dbias: &'a mut [f32],
}

impl WithSimd for SumGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, norm, dout, dweight, dbias } = self;
        let channels = norm.mean.len();
        for (row, dout) in rows.chunks_exact(channels).zip(dout.chunks_exact(channels)) {
            for at in (0..channels).step_by(S::F32_LANES) {
                let [normal, gradient] = norm.gradient(simd, row, dout, at);
                add(simd, dbias, at, gradient);
                store(simd, dweight, at, simd.mul_add_e_f32s(gradient, normal, load(simd, dweight, at)));
            }
        }
    }
}

/// The gradient of a row block.
struct RowGradients<'a> {
    rows: &'a [f32],
    norm: &'a Norm<'a>,
    dout: &'a [f32],
    /// Gradients of weight and bias, divided by R.
    means: [&'a [f32]; 2],
    drows: &'a mut [f32],
}

impl WithSimd for RowGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, norm, dout, means: [dweight, dbias], drows } = self;
        let channels = norm.mean.len();
        let input = rows.chunks_exact(channels).zip(dout.chunks_exact(channels));
        for ((row, dout), drow) in input.zip(drows.chunks_exact_mut(channels)) {
            for at in (0..channels).step_by(S::F32_LANES) {
                let [normal, gradient] = norm.gradient(simd, row, dout, at);
                let centred = simd.sub_f32s(gradient, load(simd, dbias, at));
                let centred = simd.sub_f32s(centred, simd.mul_f32s(normal, load(simd, dweight, at)));
                let scale = simd.mul_f32s(load(simd, norm.weight, at), load(simd, &norm.inverse, at));
                store(simd, drow, at, simd.mul_f32s(centred, scale));
            }
        }
    }
}

#[cfg(test)]
mod tests;
