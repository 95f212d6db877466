//! The convolution itself, which is that of the forward and that of the input gradient.

use pulp::{Arch, Simd, WithSimd};

use crate::bands::{Band, Bands, SIDE};
use crate::depthwise::channel_block::{ChannelBlock, TAPS, fill};
use crate::lanes::{load, store};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{scaled, split_at_ranges};

/// Initial values of the accumulators.
#[derive(Clone, Copy)]
pub(crate) enum Init<'a> {
    /// A bias for all sites, `[C]`.
    Bias(&'a [f32]),
    /// A row for each site, `[N * R, C]`.
    Rows(&'a [f32]),
}

/// A convolution at the sites of all bands.
#[derive(Clone, Copy)]
pub(crate) struct Convolution<'a> {
    pub(crate) bands: &'a Bands,
    /// `[N * R, C]`.
    pub(crate) rows: &'a [f32],
    /// `[49, C]`.
    pub(crate) taps: &'a [f32],
    pub(crate) init: Init<'a>,
}

impl Convolution<'_> {
    /// Convolves on all threads into `out`, `[N * R, C]`.
    pub(crate) fn run(self, arch: Arch, kernel: Kernel, out: &mut [f32]) {
        let (bands, channels) = (&self.bands.bands, self.taps.len() / TAPS);
        let parts = split_at_ranges(out, bands.iter().map(|band| scaled(&band.rows, channels)));
        parallel::for_each(bands.iter().zip(parts), |(band, out)| {
            timed(kernel, || arch.dispatch(Convolve { convolution: self, band, out }));
        });
    }
}

/// One band's part of a convolution.
struct Convolve<'a> {
    convolution: Convolution<'a>,
    band: &'a Band,
    /// The rows of the band.
    out: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.convolution.init {
            Init::Bias(bias) => self.run::<S, false>(simd, bias, &[]),
            Init::Rows(rows) => self.run::<S, true>(simd, &[], rows),
        }
    }
}

impl Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: bool>(self, simd: S, bias: &[f32], around: &[f32]) {
        let Self { convolution: Convolution { bands, rows, taps, .. }, band, out } = self;
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
