//! The weight gradient of a 3x3 convolution in f32: nine products of neighbours, `[R, C]`, and output gradients, `[R, O]`,
//! summed over rows.
//!
//! A row block goes through the caches once for all taps: its columns of the input are copied by micro-tiles, with the
//! rows around it, and each tap reads the copy through a table of rows, which leads to a row of zeros where the neighbour
//! lies outside of the map. The output gradient is read as in [`crate::gemm::weight_gradient`].

use std::ops::Range;
use std::slice::Iter;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::convolution::taps::{TAPS, sites, steps};
use crate::convolution::weights::taps_last;
use crate::dense_maps::DenseMaps;
use crate::gemm::micro_tiles::{MR, first_registers, micro_tile_rows};
use crate::gemm::transposed_micro_tiles::{
    Columns, MAX_NR, Output, copied_panel, copy_micro_tile, micro_kernel, panels,
};
use crate::packed::{KC, Matrix};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{scaled, split_at_ranges};

/// Blocks of input channels, a task each: at least so many, if each has a minimum of channels; with fewer, copying panels
/// of the output gradient would take more than a twentieth of the time.
const CHANNEL_BLOCKS: usize = 8;
const MIN_BLOCK_CHANNELS: usize = 2 * MR;

/// Sums of a block of channels, about: few enough to stay in the L2 cache.
const BLOCK_SUMS: usize = 1 << 17;

/// The weight gradient `[O, C, 3, 3]` for an input `[R, C]` and an output gradient `[R, O]`.
pub(crate) fn tap_weight_gradient(
    arch: Arch,
    maps: &DenseMaps,
    rows: Matrix<'_>,
    dout: Matrix<'_>,
) -> Buffer {
    let (inputs, outputs) = (rows.columns, dout.columns);
    let neighbours = Neighbours::new(maps);
    let blocks = channel_blocks(inputs, outputs);
    let mut weight = Buffer::take(outputs * inputs * TAPS);
    let mut parts: Vec<Vec<&mut [f32]>> = blocks.iter().map(|_| Vec::with_capacity(outputs)).collect();
    for of_output in weight.chunks_exact_mut(inputs * TAPS) {
        let of_blocks = split_at_ranges(of_output, blocks.iter().map(|block| scaled(block, TAPS)));
        parts.iter_mut().zip(of_blocks).for_each(|(parts, part)| parts.push(part));
    }
    parallel::for_each(blocks.into_iter().zip(parts), |(channels, mut parts)| {
        let mut sums = Buffer::take(TAPS * channels.len() * outputs);
        sums.fill(0.0);
        let input = Columns { matrix: rows, columns: channels };
        let work = WeightGradient { neighbours: &neighbours, input, dout, sums: &mut sums };
        timed(Kernel::ConvolutionWeightGradient, || arch.dispatch(work));
        timed(Kernel::Packing, || taps_last(&sums, 0, outputs, &mut parts));
    });
    weight
}

/// Equal blocks of input channels: a power of two of them, so that few threads have the same work.
fn channel_blocks(inputs: usize, outputs: usize) -> Vec<Range<usize>> {
    let most = (inputs / MIN_BLOCK_CHANNELS).max(1);
    let few_sums = (TAPS * inputs * outputs).div_ceil(BLOCK_SUMS);
    let count = 1 << few_sums.max(CHANNEL_BLOCKS).next_power_of_two().min(most).ilog2();
    (0..count).map(|block| block * inputs / count..(block + 1) * inputs / count).collect()
}

/// The neighbours of every row of some whole maps; those of the maps that follow are the same.
struct Neighbours {
    /// Row blocks of these maps.
    blocks: Vec<Range<usize>>,
    /// Rows of these maps.
    period: usize,
    /// Rows that are copied before a row block, and after it.
    margin: usize,
    /// By taps: for each row the neighbour's place in the copy of its row block.
    places: Vec<u32>,
}

impl Neighbours {
    fn new(maps: &DenseMaps) -> Self {
        let images = (KC / maps.sites()).clamp(1, maps.images.max(1));
        let period = images * maps.sites();
        let count = period.div_ceil(KC);
        let blocks: Vec<Range<usize>> =
            (0..count).map(|block| block * period / count..(block + 1) * period / count).collect();
        let mut found = Self { blocks, period, margin: maps.width + 1, places: vec![0; TAPS * period] };
        let zeros = found.zeros() as u32;
        let (sites, steps) = (sites(maps, 0..period), steps(maps));
        parallel::for_each(found.places.chunks_mut(period).enumerate(), |(tap, places)| {
            for block in &found.blocks {
                let first = found.margin.wrapping_add_signed(steps[tap]);
                let rows = (first as u32..).zip(&sites[block.clone()]);
                for (place, (row, site)) in places[block.clone()].iter_mut().zip(rows) {
                    *place = if site.has(tap) { row } else { zeros };
                }
            }
        });
        found
    }

    /// The place of the row of zeros: after the longest row block and its margins.
    fn zeros(&self) -> usize {
        self.blocks.iter().map(Range::len).max().unwrap_or(0) + 2 * self.margin
    }

    /// The row blocks of so many rows, each with its rows in [`Self::places`].
    fn row_blocks(&self, rows: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        (0..rows).step_by(self.period.max(1)).flat_map(move |first| {
            let of_period = rows - first;
            let within = self.blocks.iter().map(move |block| block.start..block.end.min(of_period));
            within
                .filter(|block| !block.is_empty())
                .map(move |block| (first + block.start..first + block.end, block))
        })
    }
}

/// The sums of a block of input channels.
struct WeightGradient<'a> {
    neighbours: &'a Neighbours,
    /// The block's columns of the input.
    input: Columns<'a>,
    dout: Matrix<'a>,
    /// `[9, channels, O]`.
    sums: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let neighbours = self.neighbours;
        let rows = neighbours.zeros() + 1;
        let mut input_copy = Buffer::take(rows * self.input.columns.len());
        input_copy.fill(0.0);
        let mut copy = Buffer::take(KC * MAX_NR);
        for (k_range, places) in neighbours.row_blocks(self.dout.rows) {
            self.copy_input(&k_range, &mut input_copy);
            for columns in panels(self.dout.columns, S::F32_LANES) {
                let panel = Panel { k_range: k_range.clone(), places: places.clone(), columns };
                match panel.columns.len().div_ceil(S::F32_LANES) {
                    1 => self.panel::<S, 1>(simd, &panel, &input_copy, &mut copy),
                    2 => self.panel::<S, 2>(simd, &panel, &input_copy, &mut copy),
                    3 => self.panel::<S, 3>(simd, &panel, &input_copy, &mut copy),
                    _ => self.panel::<S, 4>(simd, &panel, &input_copy, &mut copy),
                }
            }
        }
    }
}

/// A panel of the output gradient.
struct Panel {
    k_range: Range<usize>,
    /// The rows of the neighbours' places.
    places: Range<usize>,
    columns: Range<usize>,
}

impl WeightGradient<'_> {
    /// Copies the rows of a row block and its margins, by micro-tiles, as far as there are rows.
    #[inline(always)]
    fn copy_input(&self, k_range: &Range<usize>, copy: &mut [f32]) {
        let (rows, margin) = (self.neighbours.zeros() + 1, self.neighbours.margin);
        let begin = k_range.start.saturating_sub(margin);
        let end = self.input.matrix.rows.min(k_range.end + margin);
        let first = begin + margin - k_range.start;
        let mut rest = copy;
        for channels in micro_tile_rows(self.input.columns.len()) {
            let (copy, after) = rest.split_at_mut(rows * channels.len());
            rest = after;
            let copy = &mut copy[first * channels.len()..][..(end - begin) * channels.len()];
            copy_micro_tile(self.input.rows_from(begin, channels.start), channels.len(), copy);
        }
    }

    /// The micro-tiles of one panel of V registers, at all taps.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        panel: &Panel,
        input_copy: &[f32],
        copy: &mut [f32],
    ) {
        let Panel { k_range, columns, .. } = panel;
        let dout = Columns { matrix: self.dout, columns: columns.clone() };
        let dout_copy = copied_panel::<S, V>(simd, &dout, k_range, copy);
        let mut rest = input_copy;
        for channels in micro_tile_rows(self.input.columns.len()) {
            let (copied, after) = rest.split_at((self.neighbours.zeros() + 1) * channels.len());
            rest = after;
            let sides = Sides { panel, channels: channels.clone(), copied, dout: &dout, dout_copy };
            match channels.len() {
                6 => self.taps::<S, 6, V>(simd, &sides),
                5 => self.taps::<S, 5, V>(simd, &sides),
                4 => self.taps::<S, 4, V>(simd, &sides),
                3 => self.taps::<S, 3, V>(simd, &sides),
                2 => self.taps::<S, 2, V>(simd, &sides),
                _ => self.taps::<S, 1, V>(simd, &sides),
            }
        }
    }

    /// The micro-tiles of M channels and a panel, at all taps.
    #[inline(always)]
    fn taps<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, sides: &Sides<'_, S, V>) {
        let Sides { panel, channels, copied, dout, dout_copy } = sides;
        let (copied, outputs) = (copied.as_chunks::<M>().0, self.dout.columns);
        let of_taps = self.neighbours.places.chunks_exact(self.neighbours.period);
        let sums_of_taps = self.sums.chunks_exact_mut(self.input.columns.len() * outputs);
        for (places, sums) in of_taps.zip(sums_of_taps) {
            let left = Neighbouring { places: places[panel.places.clone()].iter(), copied };
            let sums = &mut sums[channels.start * outputs + panel.columns.start..];
            let out = Output { sums, stride: outputs, columns: panel.columns.len() };
            if dout_copy.is_empty() {
                let dout = dout.rows_from(panel.k_range.start, 0).map(first_registers::<S, V>);
                micro_kernel::<S, M, V>(simd, left, dout, out);
            } else {
                micro_kernel::<S, M, V>(simd, left, dout_copy.iter(), out);
            }
        }
    }
}

/// Both sides of the micro-tiles of some channels and a panel: rows, and what was copied of them.
struct Sides<'a, S: Simd, const V: usize> {
    panel: &'a Panel,
    channels: Range<usize>,
    /// The channels' copy.
    copied: &'a [f32],
    dout: &'a Columns<'a>,
    dout_copy: &'a [[S::f32s; V]],
}

/// The neighbours of the rows of a row block: M channels of each. An iterator of its own, because closures are not
/// compiled for the instruction set around them.
struct Neighbouring<'a, const M: usize> {
    places: Iter<'a, u32>,
    copied: &'a [[f32; M]],
}

impl<'a, const M: usize> Iterator for Neighbouring<'a, M> {
    type Item = &'a [f32; M];

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.places.next().map(|place| &self.copied[*place as usize])
    }
}
