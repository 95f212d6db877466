//! Depthwise 7x7 convolution at kept sites, forward and backward.
//!
//! Sites that are not kept count as zero and get no output: submanifold sparse convolution. The map is
//! processed in bands of rows, and a band in channel blocks of one register each: the kept sites in the
//! receptive field of a band are copied into a small zero-padded map, which stays in the L1 cache for all
//! taps, so that the inner loops have no branches.
//!
//! Notation: C channels, N images, R rows of one image, H x W the map.
//!
//! **Same bits for any number of threads:** output and input gradient have one writer for each value;
//! the weight gradient is at most [`PARTIAL_SUMS`] partial sums, cut by shapes alone and added in order.

use pulp::{Arch, Simd, WithSimd};

use crate::bands::{BORDER, Band, Bands, SIDE};
use crate::lanes::{add, load, store};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{add_to, scaled, split_at_ranges};

/// Taps of a channel.
const TAPS: usize = SIDE * SIDE;

/// Maximum partial sums of a weight gradient.
const PARTIAL_SUMS: usize = 8;

/// The gradients of a depthwise convolution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DepthwiseGradients {
    /// `[C, 49]`.
    pub(crate) weight: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: Vec<f32>,
}

/// Convolves at the kept sites of the active images; rows of the others are not written.
///
/// # Shapes
/// - rows, output: `[N * R, C]`
/// - weight: `[C, 49]`, PyTorch's `[C, 1, 7, 7]`
/// - bias: `[C]`
pub(crate) fn forward(
    arch: Arch,
    bands: &Bands,
    rows: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    convolve(
        arch,
        Kernel::DepthwiseForward,
        bands,
        rows,
        &taps_first(weight, bias.len()),
        Init::Bias(bias),
        out,
    );
}

/// The gradients of [`forward`] for an output gradient `dout`, `[N * R, C]`. The gradient `around` of the
/// residual connection is added to that of the rows in `drows`.
pub(crate) fn backward(
    arch: Arch,
    bands: &Bands,
    rows: &[f32],
    weight: &[f32],
    dout: &[f32],
    around: &[f32],
    drows: &mut [f32],
) -> DepthwiseGradients {
    let channels = weight.len() / TAPS;
    // The input gradient is a convolution with the kernel rotated by 180 degrees.
    let mut flipped = taps_first(weight, channels);
    reverse_taps(&mut flipped, channels);
    let (weight, bias) = weight_gradient(arch, bands, channels, rows, dout);
    convolve(arch, Kernel::DepthwiseInputGradient, bands, dout, &flipped, Init::Rows(around), drows);
    DepthwiseGradients { weight, bias }
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

fn convolve(
    arch: Arch,
    kernel: Kernel,
    bands: &Bands,
    rows: &[f32],
    taps: &[f32],
    init: Init<'_>,
    out: &mut [f32],
) {
    let channels = taps.len() / TAPS;
    let parts = split_at_ranges(out, bands.bands.iter().map(|band| scaled(&band.rows, channels)));
    parallel::for_each(bands.bands.iter().zip(parts), |(band, out)| {
        timed(kernel, || arch.dispatch(Convolve { bands, band, rows, taps, init, out }));
    });
}

/// Initial values of the accumulators.
#[derive(Clone, Copy)]
enum Init<'a> {
    /// A bias for all sites, `[C]`.
    Bias(&'a [f32]),
    /// A row for each site, `[N * R, C]`.
    Rows(&'a [f32]),
}

/// One band's part of a convolution.
struct Convolve<'a> {
    bands: &'a Bands,
    band: &'a Band,
    rows: &'a [f32],
    /// `[49, C]`.
    taps: &'a [f32],
    init: Init<'a>,
    /// The rows of the band.
    out: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.init {
            Init::Bias(bias) => self.run::<S, false>(simd, bias, &[]),
            Init::Rows(rows) => self.run::<S, true>(simd, &[], rows),
        }
    }
}

impl Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: bool>(self, simd: S, bias: &[f32], around: &[f32]) {
        let Self { bands, band, rows, taps, out, .. } = self;
        let channels = taps.len() / TAPS;
        let mut map = bands.empty_map(band, S::F32_LANES);
        let map = S::as_mut_simd_f32s(&mut map).0;
        for channel in (0..channels).step_by(S::F32_LANES) {
            fill(simd, bands, band, &ChannelBlock { rows, channels, first_channel: channel }, map);
            let zero = simd.splat_f32s(0.0);
            let init = if ROWS { zero } else { load(simd, bias, channel) };
            let mut kernel = [zero; TAPS];
            for (tap, lanes) in kernel.iter_mut().enumerate() {
                *lanes = load(simd, &taps[tap * channels..][..channels], channel);
            }
            for run in &bands.runs[band.runs.clone()] {
                let (mut done, corner) = (0, bands.corner(band, run));
                while done < run.sites {
                    let place = (run.row - band.rows.start + done) * channels;
                    let tile = OutputTile {
                        map: &map[corner + done..],
                        stride: bands.stride(),
                        kernel: &kernel,
                        init,
                        around: if ROWS { &around[(run.row + done) * channels..] } else { &[] },
                        out: &mut out[place..],
                        channels,
                        first_channel: channel,
                    };
                    done += match tile_sites(run.sites, run.sites - done) {
                        8 => tile.convolve::<S, ROWS, 8>(simd),
                        7 => tile.convolve::<S, ROWS, 7>(simd),
                        4 => tile.convolve::<S, ROWS, 4>(simd),
                        2 => tile.convolve::<S, ROWS, 2>(simd),
                        _ => tile.convolve::<S, ROWS, 1>(simd),
                    };
                }
            }
        }
    }
}

/// Sites of the next output tile, with `left` sites of a run left: 7 where that divides evenly, as in the
/// maps of images of 224 pixels, and else the largest power of two.
#[inline(always)]
fn tile_sites(sites: usize, left: usize) -> usize {
    match left {
        _ if sites.is_multiple_of(7) && !sites.is_multiple_of(8) => 7,
        8.. => 8,
        4..8 => 4,
        2..4 => 2,
        _ => 1,
    }
}

/// Adjacent sites of a run, for one channel block.
struct OutputTile<'a, V> {
    /// From the first site's window on.
    map: &'a [V],
    stride: usize,
    kernel: &'a [V; TAPS],
    /// Initial value of the accumulators, unless they start from `around`.
    init: V,
    around: &'a [f32],
    /// From the first site's row on.
    out: &'a mut [f32],
    channels: usize,
    first_channel: usize,
}

impl<V: Copy> OutputTile<'_, V> {
    /// Convolves `SITES` sites and returns their number.
    #[inline(always)]
    fn convolve<S: Simd<f32s = V>, const ROWS: bool, const SITES: usize>(self, simd: S) -> usize {
        let mut sums = [self.init; SITES];
        if ROWS {
            for (site, sum) in sums.iter_mut().enumerate() {
                *sum = load(simd, &self.around[site * self.channels..][..self.channels], self.first_channel);
            }
        }
        for y in 0..SIDE {
            let map_row = &self.map[y * self.stride..][..SITES + SIDE - 1];
            let kernel = &self.kernel[y * SIDE..][..SIDE];
            for x in 0..SIDE {
                for site in 0..SITES {
                    sums[site] = simd.mul_add_e_f32s(map_row[site + x], kernel[x], sums[site]);
                }
            }
        }
        for (site, sum) in sums.into_iter().enumerate() {
            store(simd, &mut self.out[site * self.channels..][..self.channels], self.first_channel, sum);
        }
        SITES
    }
}

/// One register's channels of all rows.
struct ChannelBlock<'a> {
    rows: &'a [f32],
    channels: usize,
    /// The first channel.
    first_channel: usize,
}

impl ChannelBlock<'_> {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, row: usize) -> S::f32s {
        load(simd, &self.rows[row * self.channels..][..self.channels], self.first_channel)
    }
}

/// Copies the sites in the receptive field of a band into its map. Sites that are not kept stay 0.
#[inline(always)]
fn fill<S: Simd>(simd: S, bands: &Bands, band: &Band, block: &ChannelBlock<'_>, map: &mut [S::f32s]) {
    for run in bands.around(band) {
        let place = (run.y + BORDER - band.height.start) * bands.stride() + run.x + BORDER;
        for (row, site) in (run.row..).zip(&mut map[place..][..run.sites]) {
            *site = block.load(simd, row);
        }
    }
}

/// Gradients of weight, `[C, 49]`, and bias, `[C]`.
fn weight_gradient(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sites;
    use crate::isa::isa_levels;
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
                forward(arch, &bands, &rows, &weight, &bias, &mut found);
                check(name, &found, &out);
                let mut found = vec![0.0; count];
                let gradients = backward(arch, &bands, &rows, &weight, &dout, &rows, &mut found);
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
                forward(Arch::new(), &bands, &rows, &weight, &weight[..24], &mut out);
                let mut drows = vec![0.0; count];
                let gradients = backward(Arch::new(), &bands, &rows, &weight, &dout, &rows, &mut drows);
                (out, drows, gradients)
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
    }
}
