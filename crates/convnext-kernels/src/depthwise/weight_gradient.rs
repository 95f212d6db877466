//! The gradients of weight and bias.

use pulp::{Arch, Simd, WithSimd};

use crate::bands::{Band, Bands, SIDE};
use crate::depthwise::channel_block::{ChannelBlock, TAPS, fill};
use crate::lanes::add;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::add_to;

/// Maximum partial sums of a weight gradient.
const PARTIAL_SUMS: usize = 8;

/// Gradients of weight, `[C, 49]`, and bias, `[C]`.
pub(crate) fn weight_gradient(
    arch: Arch,
    bands: &Bands,
    channels: usize,
    rows: &[f32],
    dout: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let bands_per_sum = bands.bands.len().div_ceil(PARTIAL_SUMS).max(1);
    // Each partial sum is [49, C] and then [C] for the bias.
    let partial_sums: Vec<Vec<f32>> = parallel::map(bands.bands.chunks(bands_per_sum), |bands_of_sum| {
        let mut sums = vec![0.0; (TAPS + 1) * channels];
        timed(Kernel::DepthwiseWeightGradient, || {
            arch.dispatch(WeightGradient { bands, bands_of_sum, channels, rows, dout, sums: &mut sums });
        });
        sums
    });
    let mut sums = vec![0.0; (TAPS + 1) * channels];
    for partial in &partial_sums {
        add_to(&mut sums, partial);
    }
    let bias = sums.split_off(TAPS * channels);
    (channels_first(&sums, channels), bias)
}

/// `[49, C]` as `[C, 49]`.
fn channels_first(taps: &[f32], channels: usize) -> Vec<f32> {
    let mut weight = vec![0.0; TAPS * channels];
    for (tap, channels_of_tap) in taps.chunks_exact(channels).enumerate() {
        weight[tap..].iter_mut().step_by(TAPS).zip(channels_of_tap).for_each(|(to, from)| *to = *from);
    }
    weight
}

/// One partial sum of a weight gradient.
struct WeightGradient<'a> {
    bands: &'a Bands,
    bands_of_sum: &'a [Band],
    channels: usize,
    rows: &'a [f32],
    dout: &'a [f32],
    /// `[49, C]` and `[C]`.
    sums: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { bands, bands_of_sum, channels, rows, dout, sums } = self;
        let zero = simd.splat_f32s(0.0);
        let mut gradient = vec![zero; bands.width];
        for band in bands_of_sum {
            let mut map = bands.empty_map(band, S::F32_LANES);
            let map = S::as_mut_simd_f32s(&mut map).0;
            for channel in (0..channels).step_by(S::F32_LANES) {
                fill(simd, bands, band, &ChannelBlock { rows, channels, first_channel: channel }, map);
                let dout = ChannelBlock { rows: dout, channels, first_channel: channel };
                let mut taps = [zero; TAPS];
                let mut bias = zero;
                for run in &bands.runs[band.runs.clone()] {
                    let gradient = &mut gradient[..run.sites];
                    for (row, gradient) in (run.row..).zip(gradient.iter_mut()) {
                        *gradient = dout.load(simd, row);
                        bias = simd.add_f32s(bias, *gradient);
                    }
                    let corner = bands.corner(band, run);
                    for (y, taps) in taps.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
                        let map = &map[corner + y * bands.stride()..][..run.sites + SIDE - 1];
                        let mut sums = *taps;
                        for (gradient, window) in gradient.iter().zip(map.windows(SIDE)) {
                            for x in 0..SIDE {
                                sums[x] = simd.mul_add_e_f32s(*gradient, window[x], sums[x]);
                            }
                        }
                        *taps = sums;
                    }
                }
                for (tap, lanes) in taps.into_iter().chain([bias]).enumerate() {
                    add(simd, &mut sums[tap * channels..][..channels], channel, lanes);
                }
            }
        }
    }
}
