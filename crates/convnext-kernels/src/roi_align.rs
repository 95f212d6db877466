//! RoIAlign on rows of dense maps, forward and backward, each axis by the weights of a few cells.
//!
//! Forward: a line of a region's bins is made of a few lines of the map, and each of its bins of cells of that one line, which
//! stays in a cache. Backward: a task makes some lines of the gradient, to which it adds what the regions give in their
//! order. So all sums have one order, however many threads there are.
//!
//! Notation: N maps of H x W cells, R regions, P bins of each, C channels.

pub(crate) mod region_weights;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::dense_maps::DenseMaps;
use crate::isa::isa;
use crate::parallel::{self, TASK_VALUES};
use crate::profile::{Kernel, timed};
use crate::roi_align::region_weights::RegionWeights;
use crate::weighted_sum::{add_weighted_sum, weighted_sum};

/// The bins of regions, line by line: `[N H W, C]` to `[R P, C]`.
///
/// # Panics
/// When the weights are not those of the maps, or regions have different numbers of bins.
pub fn roi_align(rows: &[f32], maps: &DenseMaps, regions: &[RegionWeights]) -> Buffer {
    roi_align_on(isa(), rows, maps, regions)
}

fn roi_align_on(arch: Arch, rows: &[f32], maps: &DenseMaps, regions: &[RegionWeights]) -> Buffer {
    let channels = rows.len() / maps.rows().max(1);
    assert_eq!(rows.len(), maps.rows() * channels, "the rows are [N H W, C]");
    let [height, width] = common_bins(maps, regions);
    let values = height * width * channels;
    let mut out = Buffer::take(regions.len() * values);
    if out.is_empty() {
        return out;
    }
    let per_task = (TASK_VALUES / values).max(1);
    let tasks = out.chunks_mut(per_task * values).zip(regions.chunks(per_task));
    parallel::for_each(tasks, |(out, regions)| {
        let work = Align { rows, maps, regions, channels, out };
        timed(Kernel::RoiAlign, || arch.dispatch(work));
    });
    out
}

/// The gradient of the rows `[N H W, C]` of [`roi_align`] for an output gradient `[R P, C]`.
///
/// # Panics
/// As [`roi_align`], and when there is not a gradient for each bin.
pub fn roi_align_backward(
    dout: &[f32],
    channels: usize,
    maps: &DenseMaps,
    regions: &[RegionWeights],
) -> Buffer {
    roi_align_backward_on(isa(), (dout, channels), maps, regions)
}

fn roi_align_backward_on(
    arch: Arch,
    (dout, channels): (&[f32], usize),
    maps: &DenseMaps,
    regions: &[RegionWeights],
) -> Buffer {
    let bins = common_bins(maps, regions);
    assert_eq!(dout.len(), regions.len() * bins[0] * bins[1] * channels, "there is a gradient for each bin");
    let mut of_images: Vec<Vec<TransposedRegion>> = (0..maps.images).map(|_| Vec::new()).collect();
    let transposed = parallel::map(regions.iter().enumerate(), |(index, region)| {
        let columns = region.axes[1].used();
        (region.image, TransposedRegion { index, columns, weights: region.transposed() })
    });
    transposed.into_iter().for_each(|(image, region)| of_images[image].push(region));
    let mut drows = Buffer::take(maps.rows() * channels);
    let line = maps.width * channels;
    if drows.is_empty() {
        return drows;
    }
    let lines = (TASK_VALUES / line).max(1);
    parallel::for_each(drows.chunks_mut(lines * line).enumerate(), |(task, drows)| {
        let lines = task * lines..task * lines + drows.len() / line;
        let work =
            Gradient { dout, of_images: &of_images, height: maps.height, bins, channels, lines, drows };
        timed(Kernel::RoiAlignGradient, || arch.dispatch(work));
    });
    drows
}

/// The bins of each region.
fn common_bins(maps: &DenseMaps, regions: &[RegionWeights]) -> [usize; 2] {
    let bins = regions.first().map_or([0; 2], RegionWeights::bins);
    for region in regions {
        assert_eq!(region.bins(), bins, "all regions have the same bins");
        let cells = region.axes.each_ref().map(|axis| axis.input);
        assert_eq!(cells, [maps.height, maps.width], "the weights are those of the maps");
        assert!(region.image < maps.images, "a region is of one of the maps");
    }
    bins
}

/// Some regions of the output.
struct Align<'a> {
    rows: &'a [f32],
    maps: &'a DenseMaps,
    regions: &'a [RegionWeights],
    channels: usize,
    out: &'a mut [f32],
}

impl WithSimd for Align<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let values = self.out.len() / self.regions.len();
        for (region, out) in self.regions.iter().zip(self.out.chunks_exact_mut(values)) {
            let [vertical, horizontal] = &region.axes;
            let cells = horizontal.used();
            let mut sum = Buffer::take(cells.len() * self.channels);
            let mut lines = Vec::new();
            for (y, out) in out.chunks_exact_mut(horizontal.outputs() * self.channels).enumerate() {
                lines.clear();
                for (cell, weight) in vertical.of(y) {
                    let row = (region.image * self.maps.height + cell) * self.maps.width + cells.start;
                    lines.push((&self.rows[row * self.channels..][..sum.len()], *weight));
                }
                weighted_sum(simd, &lines, &mut sum);
                let mut sites = Vec::new();
                for (x, out) in out.chunks_exact_mut(self.channels).enumerate() {
                    sites.clear();
                    for (cell, weight) in horizontal.of(x) {
                        let site = (cell - cells.start) * self.channels;
                        sites.push((&sum[site..][..self.channels], *weight));
                    }
                    weighted_sum(simd, &sites, out);
                }
            }
        }
    }
}

/// A region that lines of a gradient are made of.
struct TransposedRegion {
    /// Its place among all regions.
    index: usize,
    /// The cells of a line to which it gives anything.
    columns: Range<usize>,
    /// From its bins to the cells.
    weights: RegionWeights,
}

/// Some lines of the gradient.
struct Gradient<'a> {
    dout: &'a [f32],
    /// The regions of each image, in their order.
    of_images: &'a [Vec<TransposedRegion>],
    /// Lines of a map.
    height: usize,
    bins: [usize; 2],
    channels: usize,
    /// Lines of all maps.
    lines: Range<usize>,
    drows: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of_images, height, channels, .. } = self;
        let values = self.drows.len() / self.lines.len();
        let mut sum = Buffer::take(self.bins[1] * channels);
        for (line, drow) in self.lines.zip(self.drows.chunks_exact_mut(values)) {
            drow.fill(0.0);
            for region in &of_images[line / height] {
                let [vertical, horizontal] = &region.weights.axes;
                let mut lines = Vec::new();
                for (bin, weight) in vertical.of(line % height) {
                    let first = (region.index * self.bins[0] + bin) * sum.len();
                    lines.push((&self.dout[first..][..sum.len()], *weight));
                }
                if lines.is_empty() {
                    continue;
                }
                weighted_sum(simd, &lines, &mut sum);
                let mut sites = Vec::new();
                for x in region.columns.clone() {
                    sites.clear();
                    for (bin, weight) in horizontal.of(x) {
                        sites.push((&sum[bin * channels..][..channels], *weight));
                    }
                    add_weighted_sum(simd, &sites, &mut drow[x * channels..][..channels]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
