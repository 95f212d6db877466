//! Depthwise 7x7 convolution at kept sites, forward and backward.
//!
//! Sites that are not kept count as zero and get no output: submanifold sparse convolution. The map is
//! processed in bands of rows, and a band in channel blocks of one register each: the kept sites in the
//! receptive field of a band are copied into a small zero-padded map, so that the inner loops have no branches.
//! The seven lines of it under the kernel stay in the L1 cache for all taps, unless it is very wide; all of it
//! is in the L2 cache.
//!
//! Notation: C channels, N images, R rows of one image, H x W the map.
//!
//! **Same bits for any number of threads:** output and input gradient have one writer for each value;
//! the weight gradient is a few partial sums, cut by shapes alone and added in order.

pub(crate) mod channel_block;
mod convolution;
mod weight_gradient;

use pulp::Arch;

use crate::bands::Bands;
use crate::depthwise::channel_block::TAPS;
use crate::depthwise::convolution::{Convolution, Init};
use crate::depthwise::weight_gradient::weight_gradient;
use crate::profile::Kernel;

/// The gradients of a depthwise convolution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DepthwiseGradients {
    /// `[C, 49]`.
    pub(crate) weight: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: Vec<f32>,
}

/// A depthwise convolution at the kept sites of the active images.
///
/// # Shapes
/// - rows, outputs and their gradients: `[N * R, C]`; those of other images are not written
/// - weight: `[C, 49]`, PyTorch's `[C, 1, 7, 7]`
/// - bias: `[C]`
pub(crate) struct Depthwise<'a> {
    pub(crate) arch: Arch,
    pub(crate) bands: &'a Bands,
    pub(crate) rows: &'a [f32],
    pub(crate) weight: &'a [f32],
}

impl Depthwise<'_> {
    /// Convolves the rows.
    pub(crate) fn forward(&self, bias: &[f32], out: &mut [f32]) {
        let taps = taps_first(self.weight, bias.len());
        let convolution =
            Convolution { bands: self.bands, rows: self.rows, taps: &taps, init: Init::Bias(bias) };
        convolution.run(self.arch, Kernel::DepthwiseForward, out);
    }

    /// The gradients for an output gradient `dout`. The gradient `around` of the residual connection is added to
    /// that of the rows in `drows`.
    pub(crate) fn backward(&self, dout: &[f32], around: &[f32], drows: &mut [f32]) -> DepthwiseGradients {
        let channels = self.weight.len() / TAPS;
        // The input gradient is a convolution with the kernel rotated by 180 degrees.
        let mut flipped = taps_first(self.weight, channels);
        reverse_taps(&mut flipped, channels);
        let (weight, bias) = weight_gradient(self.arch, self.bands, channels, self.rows, dout);
        let convolution =
            Convolution { bands: self.bands, rows: dout, taps: &flipped, init: Init::Rows(around) };
        convolution.run(self.arch, Kernel::DepthwiseInputGradient, drows);
        DepthwiseGradients { weight, bias }
    }
}

/// `[C, 49]` as `[49, C]`.
fn taps_first(weight: &[f32], channels: usize) -> Vec<f32> {
    let mut taps = vec![0.0; TAPS * channels];
    for (tap, channels_of_tap) in taps.chunks_exact_mut(channels).enumerate() {
        channels_of_tap.iter_mut().zip(weight[tap..].iter().step_by(TAPS)).for_each(|(to, from)| *to = *from);
    }
    taps
}

fn reverse_taps(taps: &mut [f32], channels: usize) {
    for tap in 0..TAPS / 2 {
        let (first, last) = taps.split_at_mut((TAPS - 1 - tap) * channels);
        first[tap * channels..][..channels].swap_with_slice(&mut last[..channels]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::sites::Sites;
    use crate::testing::noise;

    /// Sites of every kind: dense and odd, tiles of each stage, channels that do not divide the register
    /// widths.
    fn cases() -> Vec<(Sites, usize)> {
        let mut cases = vec![
            (Sites::dense(2, 5, 9).unwrap(), 3),
            (Sites::dense(1, 1, 1).unwrap(), 17),
            (Sites::dense(9, 4, 3).unwrap(), 16),
            (Sites::dense(1, 37, 21).unwrap(), 8),
        ];
        for side in [1, 2, 4, 8] {
            let kept = vec![vec![0, 2, 5], vec![1, 3, 4]];
            cases.push((Sites::tiled([2, 3], side, kept).unwrap(), 19));
        }
        cases
    }

    /// The reference, in f64: for each row, the sum over all rows of its image in the receptive field.
    fn reference(sites: &Sites, channels: usize, visit: &mut dyn FnMut(usize, usize, usize)) {
        let (height, width) = (sites.height() as isize, sites.width() as isize);
        let positions = sites.positions();
        let place = |row: usize| {
            let position = positions[row] as isize;
            (position / (height * width), position / width % height, position % width)
        };
        for target in 0..sites.rows() {
            for source in 0..sites.rows() {
                let ((n, y, x), (m, v, u)) = (place(target), place(source));
                let (dy, dx) = (v - y + 3, u - x + 3);
                if n == m && (0..7).contains(&dy) && (0..7).contains(&dx) {
                    for channel in 0..channels {
                        let tap = channel * TAPS + (dy * 7 + dx) as usize;
                        visit(target * channels + channel, source * channels + channel, tap);
                    }
                }
            }
        }
    }

    fn check(what: &str, found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(found) - expected).abs() < 2e-4, "{what} {index}: {found}, {expected}");
        }
    }

    #[test]
    fn forward_and_backward_match_the_reference() {
        for (sites, channels) in cases() {
            let count = sites.rows() * channels;
            let (rows, dout) = (noise(count, 1), noise(count, 2));
            let (weight, bias) = (noise(TAPS * channels, 3), noise(channels, 4));
            let mut out: Vec<f64> = (0..count).map(|i| f64::from(bias[i % channels])).collect();
            let mut drows = vec![0.0; count];
            let mut dweight = vec![0.0; TAPS * channels];
            let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
            reference(&sites, channels, &mut |target, source, tap| {
                out[target] += product(rows[source], weight[tap]);
                drows[source] += product(dout[target], weight[tap]);
                dweight[tap] += product(dout[target], rows[source]);
            });
            let mut dbias = vec![0.0; channels];
            for (index, &value) in dout.iter().enumerate() {
                dbias[index % channels] += f64::from(value);
            }
            let bands = Bands::new(&sites, |_| true);
            for (name, arch) in isa_levels() {
                let mut found = vec![0.0; count];
                let convolution = Depthwise { arch, bands: &bands, rows: &rows, weight: &weight };
                convolution.forward(&bias, &mut found);
                check(name, &found, &out);
                let mut found = vec![0.0; count];
                let gradients = convolution.backward(&dout, &rows, &mut found);
                let without: Vec<f32> = found.iter().zip(&rows).map(|(sum, row)| sum - row).collect();
                check(name, &without, &drows);
                check(name, &gradients.weight, &dweight);
                check(name, &gradients.bias, &dbias);
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let sites = Sites::tiled([3, 3], 4, vec![vec![0, 4, 5, 8]; 11]).unwrap();
        let count = sites.rows() * 24;
        let (rows, dout, weight) = (noise(count, 1), noise(count, 2), noise(TAPS * 24, 3));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let bands = Bands::new(&sites, |_| true);
                let mut out = vec![0.0; count];
                let convolution =
                    Depthwise { arch: Arch::new(), bands: &bands, rows: &rows, weight: &weight };
                convolution.forward(&weight[..24], &mut out);
                let mut drows = vec![0.0; count];
                let gradients = convolution.backward(&dout, &rows, &mut drows);
                (out, drows, gradients)
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
    }
}
