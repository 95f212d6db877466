//! Resampling of rows of dense maps, axis by axis: bilinear, nearest or an adaptive average, by what the weights of an axis
//! say. The gradient is the same with transposed weights.
//!
//! A row of the output map is made of rows of the input map, and its sites of sites of that one row, which stays in a
//! cache.
//!
//! Notation: H x W the input maps, C channels.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::dense_maps::DenseMaps;
use crate::isa::isa;
use crate::lanes::{load, store};
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Values of a task, about.
const TASK_VALUES: usize = 1 << 14;

/// Registers that are accumulated at a time.
const REGISTERS: usize = 4;

/// The weights of one axis of a resampling: for each output cell a few input cells, a sparse matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisWeights {
    /// Cells of the input.
    input: usize,
    /// Begin of each output cell's weights, and the end of the last one's.
    begins: Vec<usize>,
    /// Input cell and weight.
    cells: Vec<(usize, f32)>,
}

impl AxisWeights {
    /// The weights of each output cell, with the indices of its input cells. Those of 0 are left out.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn new(input: usize, outputs: impl IntoIterator<Item = Vec<(usize, f32)>>) -> Self {
        let mut found = Self { input, begins: vec![0], cells: Vec::new() };
        for output in outputs {
            found.cells.extend(output.into_iter().filter(|(_, weight)| *weight != 0.0));
            found.begins.push(found.cells.len());
        }
        assert!(found.cells.iter().all(|(cell, _)| *cell < input), "the weights are those of input cells");
        found
    }

    /// The weights of the gradient.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut outputs = vec![Vec::new(); self.input];
        for output in 0..self.outputs() {
            for (cell, weight) in self.of(output) {
                outputs[*cell].push((output, *weight));
            }
        }
        Self::new(self.outputs(), outputs)
    }

    /// Cells of the output.
    fn outputs(&self) -> usize {
        self.begins.len() - 1
    }

    fn of(&self, output: usize) -> &[(usize, f32)] {
        &self.cells[self.begins[output]..self.begins[output + 1]]
    }
}

/// Rows `[images * H * W, C]` by the weights along height and width: `[images * H' * W', C]`.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn resample(rows: &[f32], maps: &DenseMaps, axes: [&AxisWeights; 2]) -> Buffer {
    resample_on(isa(), rows, maps, axes)
}

fn resample_on(
    arch: Arch,
    rows: &[f32],
    maps: &DenseMaps,
    [vertical, horizontal]: [&AxisWeights; 2],
) -> Buffer {
    assert_eq!(
        [vertical.input, horizontal.input],
        [maps.height, maps.width],
        "the weights are those of the maps"
    );
    let channels = rows.len() / maps.rows().max(1);
    assert_eq!(rows.len(), maps.rows() * channels, "the rows are [R, C]");
    let (height, line) = (vertical.outputs(), horizontal.outputs() * channels);
    let mut out = Buffer::take(maps.images * height * line);
    if out.is_empty() {
        return out;
    }
    let lines = (TASK_VALUES / line).max(1);
    parallel::for_each(out.chunks_mut(lines * line).enumerate(), |(task, out)| {
        let first = task * lines;
        let lines = first..first + out.len() / line;
        let work = Resample { rows, maps, vertical, horizontal, channels, lines, out };
        timed(Kernel::Resampling, || arch.dispatch(work));
    });
    out
}

/// Some rows of the output maps.
struct Resample<'a> {
    rows: &'a [f32],
    maps: &'a DenseMaps,
    vertical: &'a AxisWeights,
    horizontal: &'a AxisWeights,
    channels: usize,
    /// Rows of all output maps.
    lines: Range<usize>,
    out: &'a mut [f32],
}

impl WithSimd for Resample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, maps, vertical, horizontal, channels, lines, out } = self;
        let input_line = maps.width * channels;
        let mut sum = Buffer::take(input_line);
        let mut parts = Vec::new();
        let of_line = out.len() / lines.len();
        for (line, out) in lines.zip(out.chunks_exact_mut(of_line)) {
            let image = &rows[line / vertical.outputs() * maps.height * input_line..];
            parts.clear();
            for (y, weight) in vertical.of(line % vertical.outputs()) {
                parts.push((&image[y * input_line..][..input_line], *weight));
            }
            let of_map: &[f32] = match parts[..] {
                [(only, 1.0)] => only,
                _ => {
                    weighted_sum(simd, &parts, &mut sum);
                    &sum
                }
            };
            for (x, out) in out.chunks_exact_mut(channels).enumerate() {
                let mut sites = [(&[][..], 0.0); 2];
                match horizontal.of(x) {
                    cells if cells.len() <= sites.len() => {
                        for (site, (cell, weight)) in sites.iter_mut().zip(cells) {
                            *site = (&of_map[cell * channels..][..channels], *weight);
                        }
                        weighted_sum(simd, &sites[..cells.len()], out);
                    }
                    cells => {
                        let mut sites = Vec::new();
                        for (cell, weight) in cells {
                            sites.push((&of_map[cell * channels..][..channels], *weight));
                        }
                        weighted_sum(simd, &sites, out);
                    }
                }
            }
        }
    }
}

/// The sum of parts of the same length, each times its weight.
#[inline(always)]
fn weighted_sum<S: Simd>(simd: S, parts: &[(&[f32], f32)], out: &mut [f32]) {
    let begin = out.len() / (REGISTERS * S::F32_LANES) * REGISTERS * S::F32_LANES;
    let (blocks, _) = S::as_mut_simd_f32s(out).0.as_chunks_mut::<REGISTERS>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = [simd.splat_f32s(0.0); REGISTERS];
        for (part, weight) in parts {
            let weight = simd.splat_f32s(*weight);
            let values = &S::as_simd_f32s(part).0.as_chunks::<REGISTERS>().0[block];
            for (sum, values) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(*values, weight, *sum);
            }
        }
        *out = sums;
    }
    for at in (begin..out.len()).step_by(S::F32_LANES) {
        let mut sum = simd.splat_f32s(0.0);
        for (part, weight) in parts {
            sum = simd.mul_add_e_f32s(load(simd, part, at), simd.splat_f32s(*weight), sum);
        }
        store(simd, out, at, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::testing::noise;

    /// Bilinear, as PyTorch's without aligned corners.
    fn bilinear(input: usize, output: usize) -> AxisWeights {
        let cell = |cell: usize| {
            let place = ((cell as f32 + 0.5) * (input as f32 / output as f32) - 0.5).max(0.0);
            let near = place as usize;
            let fraction = place - near as f32;
            vec![(near, 1.0 - fraction), ((near + 1).min(input - 1), fraction)]
        };
        AxisWeights::new(input, (0..output).map(cell))
    }

    /// The mean of all cells, and nothing.
    fn mean_and_nothing(input: usize) -> AxisWeights {
        AxisWeights::new(input, [(0..input).map(|cell| (cell, 1.0 / input as f32)).collect(), vec![]])
    }

    fn dense(axis: &AxisWeights) -> Vec<Vec<f64>> {
        let row = |output: usize| {
            let mut row = vec![0.0; axis.input];
            axis.of(output).iter().for_each(|(cell, weight)| row[*cell] += f64::from(*weight));
            row
        };
        (0..axis.outputs()).map(row).collect()
    }

    #[test]
    fn both_directions_match_the_dense_matrices() {
        let sizes =
            [([1, 1], [4, 3]), ([5, 3], [5, 3]), ([5, 3], [10, 7]), ([16, 9], [33, 50]), ([7, 8], [2, 3])];
        let mut cases: Vec<_> = sizes.map(|([h, w], [v, u])| [bilinear(h, v), bilinear(w, u)]).into();
        cases.push([mean_and_nothing(9), mean_and_nothing(5)]);
        for ([vertical, horizontal], channels) in
            cases.into_iter().flat_map(|c| [(c.clone(), 1), (c.clone(), 70)])
        {
            let maps = DenseMaps { images: 2, height: vertical.input, width: horizontal.input };
            let out = DenseMaps { height: vertical.outputs(), width: horizontal.outputs(), ..maps };
            let (rows, dout) = (noise(maps.rows() * channels, 1), noise(out.rows() * channels, 2));
            let [mut expected, mut gradient] = [&dout, &rows].map(|values| vec![0.0; values.len()]);
            let (v, h) = (dense(&vertical), dense(&horizontal));
            for place in 0..out.rows() * maps.sites() {
                let (row, site) = (place / maps.sites(), place % maps.sites());
                let weight = v[row / out.width % out.height][site / maps.width]
                    * h[row % out.width][site % maps.width];
                let source = row / out.sites() * maps.sites() + site;
                for channel in 0..channels {
                    let (to, from) = (row * channels + channel, source * channels + channel);
                    expected[to] += weight * f64::from(rows[from]);
                    gradient[from] += weight * f64::from(dout[to]);
                }
            }
            let check = |name: &str, found: &[f32], expected: &[f64]| {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-5,
                        "{name}, {maps:?}: {found}, {expected}"
                    );
                }
            };
            for (name, arch) in isa_levels() {
                check(name, &resample_on(arch, &rows, &maps, [&vertical, &horizontal]), &expected);
                let transposed = [vertical.transposed(), horizontal.transposed()];
                let found = resample_on(arch, &dout, &out, [&transposed[0], &transposed[1]]);
                check(name, &found, &gradient);
            }
        }
    }
}
