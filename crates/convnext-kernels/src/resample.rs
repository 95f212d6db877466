//! Resampling of rows of dense maps, axis by axis: bilinear, nearest or an adaptive average, by what the weights of an axis
//! say. The gradient is the same with transposed weights.
//!
//! A row of the output map is made of rows of the input map, and its sites of sites of that one row, which stays in a
//! cache.
//!
//! Notation: H x W the input maps, C channels.

pub(crate) mod axis_weights;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::dense_maps::DenseMaps;
use crate::isa::isa;
use crate::parallel::{self, TASK_VALUES};
use crate::profile::{Kernel, timed};
use crate::resample::axis_weights::AxisWeights;
use crate::weighted_sum::weighted_sum;

/// The order in which the sites of maps are rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteOrder {
    /// Line by line.
    Lines,
    /// Cells of 3 x 3 sites line by line, and the sites of each cell line by line.
    Cells,
}

/// Side of a cell of [`SiteOrder::Cells`].
const CELL: usize = 3;

impl SiteOrder {
    /// Lines that lie together.
    fn lines(self) -> usize {
        match self {
            Self::Lines => 1,
            Self::Cells => CELL,
        }
    }

    /// The places of a line of maps with so many values to a line: the first, the number of parts that lie together, and from
    /// one part to the next.
    fn parts(self, line: usize, values: usize, channels: usize) -> (usize, usize, usize) {
        match self {
            Self::Lines => (line * values, values, values),
            Self::Cells => {
                let part = CELL * channels;
                (line / CELL * CELL * values + line % CELL * part, part, CELL * part)
            }
        }
    }
}

/// Rows `[images * H * W, C]` by the weights along height and width: `[images * H' * W', C]`, both in their order, added to
/// others of the output's size if there are any.
///
/// # Panics
/// When the sizes do not fit each other, or those of maps in cells are no multiples of 3; when maps in cells are added to.
pub fn resample(
    rows: &[f32],
    maps: &DenseMaps,
    axes: [&AxisWeights; 2],
    orders: [SiteOrder; 2],
    onto: Option<&[f32]>,
) -> Buffer {
    resample_on(isa(), (rows, maps), axes, orders, onto)
}

fn resample_on(
    arch: Arch,
    (rows, maps): (&[f32], &DenseMaps),
    [vertical, horizontal]: [&AxisWeights; 2],
    orders: [SiteOrder; 2],
    onto: Option<&[f32]>,
) -> Buffer {
    assert_eq!(
        [vertical.input, horizontal.input],
        [maps.height, maps.width],
        "the weights are those of the maps"
    );
    let channels = rows.len() / maps.rows().max(1);
    assert_eq!(rows.len(), maps.rows() * channels, "the rows are [R, C]");
    let sides = [[maps.height, maps.width], [vertical.outputs(), horizontal.outputs()]];
    for (order, sides) in orders.into_iter().zip(sides) {
        assert!(sides.iter().all(|side| side % order.lines() == 0), "maps in cells have whole cells");
    }
    let (height, line) = (vertical.outputs(), horizontal.outputs() * channels);
    let mut out = Buffer::take(maps.images * height * line);
    assert!(onto.is_none_or(|onto| onto.len() == out.len()), "the output is added to maps of its size");
    assert!(onto.is_none() || orders[1] == SiteOrder::Lines, "maps in lines are added to");
    if out.is_empty() {
        return out;
    }
    let lines = (TASK_VALUES / line).max(1).next_multiple_of(orders[1].lines());
    parallel::for_each(out.chunks_mut(lines * line).enumerate(), |(task, out)| {
        let first = task * lines;
        let lines = first..first + out.len() / line;
        let of = Maps { rows, maps, axes: [vertical, horizontal], orders, channels };
        let onto = onto.map(|onto| &onto[first * line..][..out.len()]);
        let work = Resample { of, lines, onto, out };
        timed(Kernel::Resampling, || arch.dispatch(work));
    });
    out
}

/// Maps, and their resampling.
#[derive(Clone, Copy)]
struct Maps<'a> {
    rows: &'a [f32],
    maps: &'a DenseMaps,
    /// Along height and width.
    axes: [&'a AxisWeights; 2],
    /// Of the input and the output.
    orders: [SiteOrder; 2],
    channels: usize,
}

/// Some lines of the output maps.
struct Resample<'a> {
    of: Maps<'a>,
    /// Lines of all output maps.
    lines: Range<usize>,
    /// Added to the output.
    onto: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Resample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, lines, onto, out } = self;
        let (channels, of_line) = (of.channels, of.axes[1].outputs() * of.channels);
        let mut sum = Buffer::take(of.maps.width * channels);
        let mut made = Buffer::take(of_line);
        for (place, line) in lines.enumerate() {
            of.sum_lines(simd, line, &mut sum);
            let (first, length, step) = of.orders[1].parts(place, of_line, channels);
            if length == of_line {
                let onto = onto.map(|onto| &onto[first..][..of_line]);
                of.sum_sites(simd, &sum, onto, &mut out[first..][..of_line]);
                continue;
            }
            of.sum_sites(simd, &sum, None, &mut made);
            for (part, values) in made.chunks_exact(length).enumerate() {
                out[first + part * step..][..length].copy_from_slice(values);
            }
        }
    }
}

impl Maps<'_> {
    /// The weighted sum of lines of the input for a line of the output.
    #[inline(always)]
    fn sum_lines<S: Simd>(&self, simd: S, line: usize, sum: &mut [f32]) {
        let ([vertical, _], [order, _]) = (self.axes, self.orders);
        let values = self.maps.width * self.channels;
        let image = &self.rows[line / vertical.outputs() * self.maps.height * values..];
        let weights = vertical.of(line % vertical.outputs());
        let mut parts = Vec::with_capacity(weights.len());
        let (_, length, step) = order.parts(0, values, self.channels);
        for (part, sum) in sum.chunks_exact_mut(length.max(1)).enumerate() {
            parts.clear();
            for (y, weight) in weights {
                let (first, ..) = order.parts(*y, values, self.channels);
                parts.push((&image[first + part * step..][..length], *weight));
            }
            weighted_sum(simd, &parts, sum);
        }
    }

    /// The weighted sums of sites of a line, added to another: a line of the output.
    #[inline(always)]
    fn sum_sites<S: Simd>(&self, simd: S, line: &[f32], onto: Option<&[f32]>, out: &mut [f32]) {
        let mut sites = Vec::new();
        for (x, out) in out.chunks_exact_mut(self.channels).enumerate() {
            sites.clear();
            if let Some(onto) = onto {
                sites.push((&onto[x * self.channels..][..self.channels], 1.0));
            }
            for (cell, weight) in self.axes[1].of(x) {
                sites.push((&line[cell * self.channels..][..self.channels], *weight));
            }
            weighted_sum(simd, &sites, out);
        }
    }
}

#[cfg(test)]
mod tests;
