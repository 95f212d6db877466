//! Matrix products of pairs, one thread each, with sums in f32.
//!
//! The output is made strip by strip: a few rows by the columns of one panel, summed up in the registers over
//! the whole inner dimension and then handed on while it is in the nearest cache. What happens to a strip,
//! from a bias to a GELU, is the business of a [`Finish`].

use std::ops::Range;

use pulp::Simd;

use crate::bf16::columns::count;
use crate::bf16::packed::{PackedPairs, WIDEST, panels};
use crate::bf16::rows::padded;
use crate::bf16::{Bf16, Pairs, WithPairs};
use crate::buffer::Buffer;
use crate::lanes::{add, load, store};
use crate::parallel;
use crate::pieces::wide;
use crate::profile::{Kernel, timed};

/// Most rows of a strip.
const TALLEST: usize = 12;

/// Some rows of a product by the columns of one panel; beyond them nothing of a meaning.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Strip([[f32; WIDEST]; TALLEST]);

impl Strip {
    /// A row, the first column of the panel first.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32; WIDEST] {
        &self.0[row]
    }
}

/// What happens to the sums of a product.
pub(crate) trait Finish {
    /// Takes these rows and columns of the product.
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip);
}

/// The left side of a product.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row after row, pairs of columns.
    Columns(&'a [u32]),
    /// Line after line of pairs of rows, each of so many values: the columns of the lines are the rows of the
    /// product.
    Rows { values: &'a [u32], stride: usize },
}

/// The right side of products: pairs along the inner dimension.
pub(crate) enum Right<'a> {
    Packed(&'a PackedPairs),
    /// Line after line of pairs of rows, padded.
    Rows {
        values: &'a [u32],
        columns: usize,
    },
}

/// `left right`, whose rows `rows` are handed to `finish`, counted from the first of them.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn product(
    bf16: Bf16,
    kernel: Kernel,
    left: Left<'_>,
    rows: Range<usize>,
    right: &Right<'_>,
    finish: &mut impl Finish,
) {
    timed(kernel, || bf16.dispatch(Product { left, rows, right, finish }));
}

/// Pieces that [`add_turned_product`] cuts its output into, and the fewest rows of one.
const PIECES: usize = 8;
const PIECE_ROWS: usize = 24;

/// Adds `left^T right` to `sums`, both of them lines of pairs of rows: the gradient of a linear layer's
/// weight, `[left_columns, right_columns]`. Every piece of the output has one writer.
pub(crate) fn add_turned_product(
    bf16: Bf16,
    [left, right]: [&[u32]; 2],
    [left_columns, right_columns]: [usize; 2],
    sums: &mut [f32],
) {
    if left.is_empty() {
        return;
    }
    let piece = left_columns.div_ceil(PIECES).next_multiple_of(TALLEST).max(PIECE_ROWS);
    let work = sums.chunks_mut(piece * right_columns.max(1)).enumerate();
    parallel::for_each(work, |(index, sums)| {
        let begin = index * piece;
        let rows = begin..begin + sums.len() / right_columns;
        let left = Left::Rows { values: left, stride: padded(left_columns) };
        let right = Right::Rows { values: right, columns: right_columns };
        let mut finish = Add { sums, columns: right_columns };
        product(bf16, Kernel::ProductWeightGradient, left, rows, &right, &mut finish);
    });
}

/// Adds the product to sums.
struct Add<'a> {
    sums: &'a mut [f32],
    columns: usize,
}

impl Finish for Add<'_> {
    #[inline(always)]
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip) {
        let simd = pairs.simd();
        for (at, row) in rows.enumerate() {
            let sums = &mut self.sums[row * self.columns..][columns.clone()];
            for place in (0..sums.len()).step_by(P::Simd::F32_LANES) {
                add(simd, sums, place, load(simd, &strip.0[at][..sums.len()], place));
            }
        }
    }
}

/// Stores the product, with a bias if there is one.
pub(crate) struct Store<'a> {
    /// `[rows, columns]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) columns: usize,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Finish for Store<'_> {
    #[inline(always)]
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip) {
        let simd = pairs.simd();
        for (at, row) in rows.enumerate() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(P::Simd::F32_LANES) {
                let mut value = load(simd, strip.row(at), place);
                if let Some(bias) = self.bias {
                    value = simd.add_f32s(value, load(simd, &bias[columns.clone()], place));
                }
                store(simd, out, place, value);
            }
        }
    }
}

struct Product<'a, F> {
    left: Left<'a>,
    rows: Range<usize>,
    right: &'a Right<'a>,
    finish: &'a mut F,
}

impl<F: Finish> WithPairs for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_pairs<P: Pairs>(self, pairs: P) {
        let Self { left, rows, right, finish } = self;
        match right {
            Right::Packed(packed) => {
                let values = packed.values.pairs();
                let lines = count(packed.inner);
                let stride = values.len() / lines.max(1);
                let mut begin = 0;
                for panel in panels(packed.columns, packed.step) {
                    // A panel's pieces are one panel apart from each other in all of the pieces before.
                    let mut partial = (lines > packed.depth).then(|| Buffer::take(rows.len() * panel.width));
                    for first in (0..lines.max(1)).step_by(packed.depth) {
                        let depth = packed.depth.min(lines - first);
                        let place = first * stride + begin * depth;
                        let strips = Strips {
                            left,
                            rows: rows.clone(),
                            lines: first..first + depth,
                            panel: &values[place..place + depth * panel.width],
                            stride: panel.width,
                            columns: panel.columns.clone(),
                            width: panel.width,
                            row_stride: lines,
                        };
                        let ends = [first == 0, first + depth == lines];
                        strips.run(pairs, partial.as_deref_mut(), ends, finish);
                    }
                    begin += panel.width;
                }
            }
            Right::Rows { values, columns } => {
                let stride = padded(*columns);
                let lines = values.len() / stride.max(1);
                for panel in panels(*columns, 16) {
                    let strips = Strips {
                        left,
                        rows: rows.clone(),
                        lines: 0..lines,
                        panel: values.get(panel.columns.start..).unwrap_or_default(),
                        stride,
                        columns: panel.columns.clone(),
                        width: panel.width,
                        row_stride: lines,
                    };
                    strips.run(pairs, None, [true, true], finish);
                }
            }
        }
    }
}

/// The strips below one panel.
struct Strips<'a> {
    left: Left<'a>,
    rows: Range<usize>,
    lines: Range<usize>,
    panel: &'a [u32],
    stride: usize,
    columns: Range<usize>,
    width: usize,
    /// Pairs of a row of the left side.
    row_stride: usize,
}

impl Strips<'_> {
    /// As tall strips as the registers have room for beside `width` columns.
    #[inline(always)]
    fn run<P: Pairs>(
        &self,
        pairs: P,
        partial: Option<&mut [f32]>,
        ends: [bool; 2],
        finish: &mut impl Finish,
    ) {
        match (P::Simd::F32_LANES, self.width) {
            (16, 64) => self.rows::<P, 4, 6>(pairs, partial, ends, finish),
            (16, 48) => self.rows::<P, 3, 8>(pairs, partial, ends, finish),
            (16, 32) => self.rows::<P, 2, 12>(pairs, partial, ends, finish),
            (16, _) => self.rows::<P, 1, 12>(pairs, partial, ends, finish),
            (8, _) => self.rows::<P, 2, 4>(pairs, partial, ends, finish),
            _ => self.rows::<P, 4, 4>(pairs, partial, ends, finish),
        }
    }

    /// Strips of M rows, V registers at a time, and what is left one by one.
    #[inline(always)]
    fn rows<P: Pairs, const V: usize, const M: usize>(
        &self,
        pairs: P,
        mut partial: Option<&mut [f32]>,
        ends: [bool; 2],
        finish: &mut impl Finish,
    ) {
        let mut strip = Strip([[0.0; WIDEST]; TALLEST]);
        let mut row = 0;
        while row < self.rows.len() {
            let tall = row + M <= self.rows.len();
            let end = if tall { row + M } else { row + 1 };
            if let Some(partial) = partial.as_deref().filter(|_| !ends[0]) {
                let values = &partial[wide(&(row..end), self.width)];
                for (strip, values) in strip.0.iter_mut().zip(values.chunks_exact(self.width)) {
                    strip[..self.width].copy_from_slice(values);
                }
            }
            for at in (0..self.width).step_by(V * P::Simd::F32_LANES) {
                match tall {
                    true => self.tile::<P, V, M>(pairs, row, at, ends[0], &mut strip),
                    false => self.tile::<P, V, 1>(pairs, row, at, ends[0], &mut strip),
                }
            }
            match partial.as_deref_mut().filter(|_| !ends[1]) {
                None => finish.finish(pairs, row..end, self.columns.clone(), &strip),
                Some(partial) => {
                    let values = &mut partial[wide(&(row..end), self.width)];
                    for (strip, values) in strip.0.iter().zip(values.chunks_exact_mut(self.width)) {
                        values.copy_from_slice(&strip[..self.width]);
                    }
                }
            }
            row = end;
        }
    }

    /// M rows by V registers; goes on from what the strip holds unless it is the first piece.
    #[inline(always)]
    fn tile<P: Pairs, const V: usize, const M: usize>(
        &self,
        pairs: P,
        row: usize,
        at: usize,
        is_first: bool,
        strip: &mut Strip,
    ) {
        let simd = pairs.simd();
        let lanes = P::Simd::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        if !is_first {
            for (sums, strip) in sums.iter_mut().zip(&strip.0) {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(simd, strip, at + v * lanes);
                }
            }
        }
        let first = self.rows.start + row;
        let depth = self.lines.len();
        match self.left {
            Left::Rows { values, stride } => {
                let lines = &values[self.lines.start * stride + first..];
                for inner in 0..depth {
                    let factors: &[u32] = &lines[inner * stride..][..M];
                    let panel = self.line::<P, V>(inner, at);
                    multiply_add(pairs, &mut sums, |row| factors[row], panel);
                }
            }
            Left::Columns(values) => {
                // Not by a closure, so that the compiler sees all lengths and need not check any place.
                let mut rows = [&[][..]; M];
                for (row, values_of_row) in
                    rows.iter_mut().zip(values[first * self.row_stride..].chunks(self.row_stride))
                {
                    *row = &values_of_row[self.lines.start..][..depth];
                }
                let factors = |inner: usize| move |row: usize| rows[row][inner];
                for inner in 0..depth {
                    let panel = self.line::<P, V>(inner, at);
                    multiply_add(pairs, &mut sums, factors(inner), panel);
                }
            }
        }
        for (sums, strip) in sums.iter().zip(&mut strip.0) {
            for (v, sum) in sums.iter().enumerate() {
                store(simd, strip, at + v * lanes, *sum);
            }
        }
    }

    /// V registers of a line of the panel.
    #[inline(always)]
    fn line<P: Pairs, const V: usize>(&self, inner: usize, at: usize) -> &[<P::Simd as Simd>::u32s; V] {
        let line = &self.panel[inner * self.stride + at..][..V * P::Simd::F32_LANES];
        P::Simd::as_simd_u32s(line)
            .0
            .first_chunk()
            .unwrap_or_else(|| unreachable!("a panel has whole registers"))
    }
}

/// One line of pairs of a tile.
#[inline(always)]
fn multiply_add<P: Pairs, const V: usize, const M: usize>(
    pairs: P,
    sums: &mut [[<P::Simd as Simd>::f32s; V]; M],
    factor: impl Fn(usize) -> u32,
    lanes: &[<P::Simd as Simd>::u32s; V],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let factor = pairs.simd().splat_u32s(factor(row));
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = pairs.multiply_add(factor, *lanes, *sum);
        }
    }
}

#[cfg(test)]
mod tests;
