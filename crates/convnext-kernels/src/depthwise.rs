//! Depthwise 7x7 convolution at kept sites, forward and backward, in plain Rust: the reference that
//! faster versions will be compared with.
//!
//! Sites that are not kept count as zero and get no output: submanifold sparse convolution. Each
//! image's rows are scattered into a map with a border of zeros, so that the inner loops have no
//! conditions.
//!
//! Letters: C channels, R rows of one image, N images, H x W the map.
//!
//! **Same bits for any number of threads:** the input gradient and the output have one writer for
//! each value; the weight gradient is at most [`PARTIAL_SUMS`] sums, cut by the batch alone and added
//! in order.

use rayon::prelude::*;

use crate::Sites;

/// Side of the kernel, and the border that it needs.
const SIDE: usize = 7;
const BORDER: usize = SIDE / 2;
const TAPS: usize = SIDE * SIDE;

/// Channels that the forward inner loop holds in registers.
const LANES: usize = 16;
/// The same for the weight gradient, which holds a row of taps.
const GRADIENT_LANES: usize = 8;

/// Most partial sums that a weight gradient is made of.
const PARTIAL_SUMS: usize = 8;

/// The gradients of a depthwise convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthwiseGradients {
    /// `[N * R, C]`.
    pub rows: Vec<f32>,
    /// `[C, 49]`.
    pub weight: Vec<f32>,
    /// `[C]`.
    pub bias: Vec<f32>,
}

/// Convolves at the kept sites.
///
/// # Shapes
/// - rows, output: `[N * R, C]`
/// - weight: `[C, 49]`, PyTorch's `[C, 1, 7, 7]`
/// - bias: `[C]`
pub fn depthwise_forward(sites: &Sites, rows: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    convolve(sites, rows, &taps_first(weight, bias.len()), bias)
}

/// The gradients of [`depthwise_forward`] for an output gradient `dout`, `[N * R, C]`.
pub fn depthwise_backward(sites: &Sites, rows: &[f32], weight: &[f32], dout: &[f32]) -> DepthwiseGradients {
    let channels = weight.len() / TAPS;
    // Seen from the input, the kernel is turned by half a circle.
    let mut turned = taps_first(weight, channels);
    reverse_taps(&mut turned, channels);
    let (weight, bias) = weight_gradient(sites, channels, rows, dout);
    DepthwiseGradients { rows: convolve(sites, dout, &turned, &vec![0.0; channels]), weight, bias }
}

/// `[C, 49]` as `[49, C]`.
fn taps_first(weight: &[f32], channels: usize) -> Vec<f32> {
    (0..TAPS * channels).map(|i| weight[(i % channels) * TAPS + i / channels]).collect()
}

fn reverse_taps(taps: &mut [f32], channels: usize) {
    for tap in 0..TAPS / 2 {
        let (first, last) = taps.split_at_mut((TAPS - 1 - tap) * channels);
        first[tap * channels..][..channels].swap_with_slice(&mut last[..channels]);
    }
}

fn convolve(sites: &Sites, rows: &[f32], taps: &[f32], bias: &[f32]) -> Vec<f32> {
    let channels = bias.len();
    let geometry = Geometry::new(sites, channels);
    let per_image = sites.rows_per_image() * channels;
    let mut out = vec![0.0; rows.len()];
    out.par_chunks_mut(per_image).enumerate().for_each_init(
        || geometry.empty_map(),
        |map, (image, out)| {
            let corners = geometry.corners(image);
            geometry.scatter(corners, &rows[image * per_image..][..per_image], map);
            for (&corner, out) in corners.iter().zip(out.chunks_exact_mut(channels)) {
                out.copy_from_slice(bias);
                let whole = channels - channels % LANES;
                for channel in (0..whole).step_by(LANES) {
                    geometry.convolve_panel::<LANES>(
                        map,
                        corner + channel,
                        &taps[channel..],
                        &mut out[channel..],
                    );
                }
                for channel in whole..channels {
                    geometry.convolve_panel::<1>(
                        map,
                        corner + channel,
                        &taps[channel..],
                        &mut out[channel..],
                    );
                }
            }
            geometry.erase(corners, map);
        },
    );
    out
}

/// Gradients of weight, `[C, 49]`, and bias, `[C]`.
fn weight_gradient(sites: &Sites, channels: usize, rows: &[f32], dout: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let geometry = Geometry::new(sites, channels);
    let per_image = sites.rows_per_image() * channels;
    let per_group = sites.images().div_ceil(PARTIAL_SUMS);
    let groups: Vec<std::ops::Range<usize>> = (0..sites.images())
        .step_by(per_group)
        .map(|first| first..(first + per_group).min(sites.images()))
        .collect();
    // Each partial sum is [49, C] and then [C] for the bias.
    let partial_sums: Vec<Vec<f32>> = groups
        .into_par_iter()
        .map(|images| {
            let mut sums = vec![0.0; (TAPS + 1) * channels];
            let mut map = geometry.empty_map();
            for image in images {
                let corners = geometry.corners(image);
                let (rows, dout) =
                    (&rows[image * per_image..][..per_image], &dout[image * per_image..][..per_image]);
                geometry.scatter(corners, rows, &mut map);
                let whole = channels - channels % GRADIENT_LANES;
                for channel in (0..whole).step_by(GRADIENT_LANES) {
                    geometry.gradient_panel::<GRADIENT_LANES>(&map, corners, channel, dout, &mut sums);
                }
                for channel in whole..channels {
                    geometry.gradient_panel::<1>(&map, corners, channel, dout, &mut sums);
                }
                for dout in dout.chunks_exact(channels) {
                    add(&mut sums[TAPS * channels..], dout);
                }
                geometry.erase(corners, &mut map);
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; (TAPS + 1) * channels];
    for sums in &partial_sums {
        add(&mut total, sums);
    }
    let bias = total.split_off(TAPS * channels);
    let weight = (0..channels * TAPS).map(|i| total[(i % TAPS) * channels + i / TAPS]).collect();
    (weight, bias)
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Where the sites lie in a map with a border.
struct Geometry {
    channels: usize,
    rows_per_image: usize,
    /// Values of one line of the bordered map.
    line: usize,
    /// Values of the whole bordered map.
    size: usize,
    /// For each row of the batch the place of its window's top left corner in the bordered map.
    corners: Vec<usize>,
}

impl Geometry {
    fn new(sites: &Sites, channels: usize) -> Self {
        let (height, width) = (sites.height(), sites.width());
        let line = (width + 2 * BORDER) * channels;
        let corner = |position: usize| {
            let (y, x) = (position / width % height, position % width);
            y * line + x * channels
        };
        Self {
            channels,
            rows_per_image: sites.rows_per_image(),
            line,
            size: (height + 2 * BORDER) * line,
            corners: sites.positions().into_iter().map(corner).collect(),
        }
    }

    fn empty_map(&self) -> Vec<f32> {
        vec![0.0; self.size]
    }

    fn corners(&self, image: usize) -> &[usize] {
        &self.corners[image * self.rows_per_image..][..self.rows_per_image]
    }

    /// Distance from a window's corner to its centre.
    fn centre(&self) -> usize {
        BORDER * (self.line + self.channels)
    }

    fn scatter(&self, corners: &[usize], rows: &[f32], map: &mut [f32]) {
        for (&corner, row) in corners.iter().zip(rows.chunks_exact(self.channels)) {
            map[corner + self.centre()..][..self.channels].copy_from_slice(row);
        }
    }

    /// Undoes [`Self::scatter`], so that the map can serve the next image.
    fn erase(&self, corners: &[usize], map: &mut [f32]) {
        for &corner in corners {
            map[corner + self.centre()..][..self.channels].fill(0.0);
        }
    }

    /// Adds the window at `corner` times the taps to `out`, for `L` channels.
    fn convolve_panel<const L: usize>(&self, map: &[f32], corner: usize, taps: &[f32], out: &mut [f32]) {
        let mut sums = [0.0_f32; L];
        sums.copy_from_slice(&out[..L]);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let values = &map[corner + y * self.line + x * self.channels..][..L];
                let taps = &taps[(y * SIDE + x) * self.channels..][..L];
                for lane in 0..L {
                    sums[lane] += values[lane] * taps[lane];
                }
            }
        }
        out[..L].copy_from_slice(&sums);
    }

    /// Adds one image's weight gradient of the channels from `channel` on to `sums`, `[49, C]`.
    fn gradient_panel<const L: usize>(
        &self,
        map: &[f32],
        corners: &[usize],
        channel: usize,
        dout: &[f32],
        sums: &mut [f32],
    ) {
        for y in 0..SIDE {
            let mut line_sums = [[0.0_f32; L]; SIDE];
            for (&corner, dout) in corners.iter().zip(dout.chunks_exact(self.channels)) {
                let dout = &dout[channel..][..L];
                let line = &map[corner + y * self.line + channel..];
                for (x, sums) in line_sums.iter_mut().enumerate() {
                    let values = &line[x * self.channels..][..L];
                    for lane in 0..L {
                        sums[lane] += values[lane] * dout[lane];
                    }
                }
            }
            for (x, line_sums) in line_sums.iter().enumerate() {
                add(&mut sums[(y * SIDE + x) * self.channels + channel..][..L], line_sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values without pattern in [-1, 1).
    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Sites of every kind: dense and odd, tiles of each stage, channels beside the register widths.
    fn cases() -> Vec<(Sites, usize)> {
        let mut cases = vec![
            (Sites::dense(2, 5, 9).unwrap(), 3),
            (Sites::dense(1, 1, 1).unwrap(), 17),
            (Sites::dense(9, 4, 3).unwrap(), 16),
        ];
        for side in [1, 2, 4, 8] {
            let kept = vec![vec![0, 2, 5], vec![1, 3, 4]];
            cases.push((Sites::tiled([2, 3], side, kept).unwrap(), 19));
        }
        cases
    }

    /// The definition, in f64: for each row, the sum over all rows of its image in reach.
    fn by_definition(sites: &Sites, channels: usize, visit: &mut dyn FnMut(usize, usize, usize)) {
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
    fn forward_and_backward_follow_the_definition() {
        for (sites, channels) in cases() {
            let count = sites.rows() * channels;
            let (rows, dout) = (noise(count, 1), noise(count, 2));
            let (weight, bias) = (noise(TAPS * channels, 3), noise(channels, 4));
            let mut out: Vec<f64> = (0..count).map(|i| f64::from(bias[i % channels])).collect();
            let mut drows = vec![0.0; count];
            let mut dweight = vec![0.0; TAPS * channels];
            let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
            by_definition(&sites, channels, &mut |target, source, tap| {
                out[target] += product(rows[source], weight[tap]);
                drows[source] += product(dout[target], weight[tap]);
                dweight[tap] += product(dout[target], rows[source]);
            });
            let mut dbias = vec![0.0; channels];
            for (index, &value) in dout.iter().enumerate() {
                dbias[index % channels] += f64::from(value);
            }
            check("output", &depthwise_forward(&sites, &rows, &weight, &bias), &out);
            let gradients = depthwise_backward(&sites, &rows, &weight, &dout);
            check("row gradient", &gradients.rows, &drows);
            check("weight gradient", &gradients.weight, &dweight);
            check("bias gradient", &gradients.bias, &dbias);
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
                let out = depthwise_forward(&sites, &rows, &weight, &weight[..24]);
                (out, depthwise_backward(&sites, &rows, &weight, &dout))
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
    }
}
