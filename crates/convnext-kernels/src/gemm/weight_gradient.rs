//! The weight gradient of a linear layer in f32: `sums += left^T right`, both row-major, summed over rows.
//!
//! Both sides are read across their rows, a few columns at a time. Columns that fill several cache lines of a row
//! are read where they lie. Fewer would use some sets of the L1 cache only: a KC block of them is copied into a
//! panel, and where many panels read the left side, so is the left side. Each task copies for itself: that stays
//! in its own cache, and nothing waits.

use std::ops::Range;
use std::slice::Chunks;

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gemm::micro_tiles::{MR, first_registers, micro_tile_rows};
use crate::gemm::transposed_micro_tiles::{
    Columns, MAX_NR, Output, WIDE_LANES, copied_panel, copy_micro_tile, first_columns, micro_kernel, panels,
};
use crate::packed::{KC, Matrix};
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Row blocks of the output, and the minimum rows of one: with fewer, copying a panel would take more than a tenth of
/// the time.
const ROW_BLOCKS: usize = 8;
const MIN_BLOCK_ROWS: usize = 48;

/// Columns of the right side from which on the left side is copied, too, if the right side is.
const MANY_COLUMNS: usize = 128;

/// `sums += left^T right`, `[R, O]` and `[R, I]` to `[O, I]`. Every row block of the output has one writer.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn gemm_tn_accumulate(arch: Arch, left: Matrix<'_>, right: Matrix<'_>, sums: &mut [f32]) {
    assert!(!left.transposed && !right.transposed, "both sides are row-major");
    assert_eq!(left.rows, right.rows, "both sides have the same rows");
    assert_eq!(sums.len(), left.columns * right.columns, "the output is [O, I]");
    let block_rows = left.columns.div_ceil(ROW_BLOCKS).next_multiple_of(MR).max(MIN_BLOCK_ROWS);
    let width = right.columns.max(1);
    parallel::for_each(sums.chunks_mut(block_rows * width).enumerate(), |(index, sums)| {
        let begin = index * block_rows;
        let rows = begin..begin + sums.len() / width;
        let left = Columns { matrix: left, columns: rows };
        timed(Kernel::GemmWeightGradient, || arch.dispatch(WeightGradient { left, right, sums }));
    });
}

/// A row block of the output.
struct WeightGradient<'a> {
    /// The row block's columns of the left side.
    left: Columns<'a>,
    right: Matrix<'a>,
    /// The row block, `[rows, I]`.
    sums: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (count, columns) = (self.left.columns.len(), self.right.columns);
        let copies_left = S::F32_LANES < WIDE_LANES && columns >= MANY_COLUMNS;
        let mut left = Buffer::take(if copies_left { KC * count } else { 0 });
        let mut copy = Buffer::take(KC * MAX_NR);
        for begin in (0..self.right.rows).step_by(KC) {
            let k_range = begin..self.right.rows.min(begin + KC);
            if copies_left {
                self.copy_left(&k_range, &mut left);
            }
            for panel in panels(columns, S::F32_LANES) {
                let panel = Panel { k_range: k_range.clone(), columns: panel };
                match panel.columns.len().div_ceil(S::F32_LANES) {
                    1 => self.panel::<S, 1>(simd, &panel, &left, &mut copy),
                    2 => self.panel::<S, 2>(simd, &panel, &left, &mut copy),
                    3 => self.panel::<S, 3>(simd, &panel, &left, &mut copy),
                    _ => self.panel::<S, 4>(simd, &panel, &left, &mut copy),
                }
            }
        }
    }
}

/// A panel of the right side.
struct Panel {
    k_range: Range<usize>,
    columns: Range<usize>,
}

impl WeightGradient<'_> {
    /// Copies the KC block's columns of the left side, by micro-tiles.
    #[inline(always)]
    fn copy_left(&self, k_range: &Range<usize>, copy: &mut [f32]) {
        let mut rest = copy;
        for rows in micro_tile_rows(self.left.columns.len()) {
            let (copy, after) = rest.split_at_mut(k_range.len() * rows.len());
            rest = after;
            copy_micro_tile(self.left.rows_from(k_range.start, rows.start), rows.len(), copy);
        }
    }

    /// The micro-tiles of one panel of V registers.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        panel: &Panel,
        left_copy: &[f32],
        copy: &mut [f32],
    ) {
        let Panel { k_range, columns } = panel;
        let right = Columns { matrix: self.right, columns: columns.clone() };
        let right_copy = copied_panel::<S, V>(simd, &right, k_range, copy);
        let mut copied = 0;
        for rows in micro_tile_rows(self.left.columns.len()) {
            let sums = &mut self.sums[rows.start * self.right.columns + columns.start..];
            let sides = Sides {
                depth: k_range.len(),
                left: self.left.rows_from(k_range.start, rows.start),
                left_copy: left_copy.get(copied..).unwrap_or_default(),
                right: right.rows_from(k_range.start, 0),
                right_copy,
            };
            copied += k_range.len() * rows.len();
            let out = Output { sums, stride: self.right.columns, columns: columns.len() };
            match rows.len() {
                6 => sides.multiply::<6>(simd, out),
                5 => sides.multiply::<5>(simd, out),
                4 => sides.multiply::<4>(simd, out),
                3 => sides.multiply::<3>(simd, out),
                2 => sides.multiply::<2>(simd, out),
                _ => sides.multiply::<1>(simd, out),
            }
        }
    }
}

/// Both sides of a micro-tile: rows, and what was copied of them.
struct Sides<'a, S: Simd, const V: usize> {
    depth: usize,
    left: Chunks<'a, f32>,
    left_copy: &'a [f32],
    right: Chunks<'a, f32>,
    right_copy: &'a [[S::f32s; V]],
}

impl<S: Simd, const V: usize> Sides<'_, S, V> {
    /// A micro-tile of M rows, from what was copied where there is a copy.
    #[inline(always)]
    fn multiply<const M: usize>(self, simd: S, out: Output<'_>) {
        let left = self.left.map(first_columns);
        match (self.left_copy, self.right_copy) {
            (_, []) => {
                let right = self.right.take(self.depth).map(first_registers::<S, V>);
                micro_kernel::<S, M, V>(simd, left, right, out);
            }
            ([], right) => micro_kernel::<S, M, V>(simd, left, right.iter(), out),
            (left, right) => micro_kernel::<S, M, V>(simd, left.as_chunks().0.iter(), right.iter(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::testing::noise;

    #[test]
    fn weight_gradients_accumulate_over_rows() {
        let shapes = [
            [70, 101, 33],
            [1, 1, 1],
            [300, 48, 40],
            [513, 7, 129],
            [40, 13, 200],
            [0, 5, 3],
            [3, 53, 8],
            [5, 6, 26],
        ];
        for [rows, outputs, inputs] in shapes {
            let (left, right) = (noise(rows * outputs, 1), noise(rows * inputs, 2));
            let before = noise(outputs * inputs, 3);
            let product = |place: usize, row: usize| {
                let (output, input) = (place / inputs, place % inputs);
                f64::from(left[row * outputs + output]) * f64::from(right[row * inputs + input])
            };
            for (name, arch) in isa_levels() {
                let mut sums = before.clone();
                let [left, right] =
                    [(&left, outputs), (&right, inputs)].map(|(v, columns)| Matrix::new(v, rows, columns));
                gemm_tn_accumulate(arch, left, right, &mut sums);
                for (place, found) in sums.iter().enumerate() {
                    let expected =
                        f64::from(before[place]) + (0..rows).map(|row| product(place, row)).sum::<f64>();
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 1e-4, "{name}, {rows} x {outputs} x {inputs}: {error}");
                }
            }
        }
    }
}
