//! What happens to the E = 4C channels between a block's two linear layers, on pairs of bf16 values: the
//! counterparts of [`crate::expansion`]. The first half of each direction works on strips of the product
//! that comes before it, while they are in the nearest cache.
//!
//! Letters: R rows, u the first linear layer's output, h = GELU(u), y = h s + beta.

use std::ops::Range;

use pulp::Simd;

use crate::bf16::columns::{count, end_of_low, load_halves, registers, store_halves};
use crate::bf16::gelu::{gelu, gelu_and_derivative};
use crate::bf16::product::{Finish, Strip};
use crate::bf16::rows::padded;
use crate::bf16::{Pairs, WithPairs, unpack};
use crate::cut::Segment;
use crate::lanes::{load, load_pairs, store, store_pairs};

/// Pairs of rows that pass under a column before the next one, see [`crate::expansion`].
const GROUP: usize = 4;

/// Which rows of a chunk belong to which of its segments.
pub(crate) struct Runs {
    /// The row after the last one of each segment.
    ends: Vec<usize>,
}

impl Runs {
    pub(crate) fn new(segments: &[Segment]) -> Self {
        let mut end = 0;
        let ends = segments.iter().map(|segment| {
            end += segment.rows.len();
            end
        });
        Self { ends: ends.collect() }
    }

    /// The segments that some of the rows belong to, each with those that do.
    #[inline(always)]
    fn of(&self, rows: Range<usize>) -> RunsOf<'_> {
        let segment = self.ends.partition_point(|&end| end <= rows.start);
        RunsOf { ends: &self.ends, segment, rows }
    }

    /// The row of the chunk that a segment begins with.
    fn begin(&self, segment: usize) -> usize {
        segment.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

struct RunsOf<'a> {
    ends: &'a [usize],
    segment: usize,
    rows: Range<usize>,
}

impl Iterator for RunsOf<'_> {
    type Item = (usize, Range<usize>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty() {
            return None;
        }
        let (segment, begin) = (self.segment, self.rows.start);
        let end = self.ends[segment].min(self.rows.end);
        (self.segment, self.rows.start) = (segment + 1, end);
        Some((segment, begin..end))
    }
}

/// Adds the bias to the product, keeps that as u, applies GELU, and sums the squares for GRN.
pub(crate) struct Activate<'a> {
    pub(crate) runs: &'a Runs,
    /// `[E]`.
    pub(crate) bias: &'a [f32],
    /// Takes u, pairs of columns of `[R, E]`, if that is kept for the backward; otherwise empty.
    pub(crate) expanded: &'a mut [u32],
    /// Takes h, pairs of columns of `[R, E]`.
    pub(crate) values: &'a mut [u32],
    /// Squares of h are added, `[segments, E]`.
    pub(crate) squares: &'a mut [f32],
}

impl Finish for Activate<'_> {
    #[inline(always)]
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip) {
        let simd = pairs.simd();
        let width = self.bias.len();
        let bias = &self.bias[columns.clone()];
        let first = rows.start;
        for (segment, rows) in self.runs.of(rows) {
            let squares = &mut self.squares[segment * width..][columns.clone()];
            for (places, at) in registers(columns.len(), P::Simd::F32_LANES) {
                let bias = load_halves(simd, bias, places);
                let mut sums = load_halves(simd, squares, places);
                for row in rows.clone() {
                    let (row_end, at) =
                        ((row + 1) * count(width), row * count(width) + columns.start / 2 + at);
                    let u = load_halves(simd, strip.row(row - first), places);
                    let u = [simd.add_f32s(u[0], bias[0]), simd.add_f32s(u[1], bias[1])];
                    if !self.expanded.is_empty() {
                        store_pairs(simd, &mut self.expanded[..row_end], at, pairs.pack(u[0], u[1]));
                    }
                    let h = [gelu(simd, u[0]), gelu(simd, u[1])];
                    sums = add_products(simd, h, h, sums);
                    store_pairs(simd, &mut self.values[..row_end], at, pairs.pack(h[0], h[1]));
                }
                store_halves(simd, squares, places, sums);
            }
        }
    }
}

/// Adds products of both halves.
#[inline(always)]
fn add_products<S: Simd>(simd: S, a: [S::f32s; 2], b: [S::f32s; 2], sums: [S::f32s; 2]) -> [S::f32s; 2] {
    [simd.mul_add_e_f32s(a[0], b[0], sums[0]), simd.mul_add_e_f32s(a[1], b[1], sums[1])]
}

/// Applies GRN: h becomes y, rounded again.
pub(crate) struct Modulate<'a> {
    /// Pairs of columns of `[R, E]`.
    pub(crate) values: &'a mut [u32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
}

impl WithPairs for Modulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_pairs<P: Pairs>(self, pairs: P) {
        let simd = pairs.simd();
        let Self { values, scale, shift } = self;
        let width = scale.len();
        for values in values.chunks_exact_mut(count(width)) {
            for (places, at) in registers(width, P::Simd::F32_LANES) {
                let h = unpack(simd, load_pairs(simd, values, at));
                let (scale, shift) = (load_halves(simd, scale, places), load_halves(simd, shift, places));
                let y = add_products(simd, h, scale, shift);
                store_pairs(simd, values, at, pairs.pack(y[0], y[1]));
            }
        }
    }
}

/// Adds what a block computes to what went in: `out = rows + factor (product + bias)`.
pub(crate) struct Residual<'a> {
    pub(crate) runs: &'a Runs,
    /// Of each segment, `[R, C]`.
    pub(crate) rows: Vec<&'a [f32]>,
    /// Drop path's factor of each segment's image.
    pub(crate) factors: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// Of each segment, `[R, C]`.
    pub(crate) outs: Vec<&'a mut [f32]>,
}

impl Finish for Residual<'_> {
    #[inline(always)]
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip) {
        let simd = pairs.simd();
        let width = self.bias.len();
        let bias = &self.bias[columns.clone()];
        let first = rows.start;
        for (segment, rows) in self.runs.of(rows) {
            let begin = self.runs.begin(segment);
            let factor = simd.splat_f32s(self.factors[segment]);
            for row in rows {
                let place = (row - begin) * width;
                let from = &self.rows[segment][place..][columns.clone()];
                let out = &mut self.outs[segment][place..][columns.clone()];
                for at in (0..out.len()).step_by(P::Simd::F32_LANES) {
                    let branch = simd.add_f32s(load(simd, strip.row(row - first), at), load(simd, bias, at));
                    store(simd, out, at, simd.mul_add_e_f32s(branch, factor, load(simd, from, at)));
                }
            }
        }
    }
}

/// The first half of the backward, on the product that is dy: h again, and what GRN's gradient sums up over
/// the image.
pub(crate) struct Reactivate<'a> {
    pub(crate) runs: &'a Runs,
    /// E.
    pub(crate) width: usize,
    /// u; becomes GELU'(u). This and the next two: pairs of columns of `[R, E]`.
    pub(crate) expanded: &'a mut [u32],
    /// Becomes dy.
    pub(crate) dy: &'a mut [u32],
    /// Becomes h.
    pub(crate) values: &'a mut [u32],
    /// Squares of h are added, `[segments, E]`.
    pub(crate) squares: &'a mut [f32],
    /// Products of h and dy are added, `[segments, E]`.
    pub(crate) products: &'a mut [f32],
}

impl Finish for Reactivate<'_> {
    #[inline(always)]
    fn finish<P: Pairs>(&mut self, pairs: P, rows: Range<usize>, columns: Range<usize>, strip: &Strip) {
        let simd = pairs.simd();
        let width = self.width;
        let first = rows.start;
        for (segment, rows) in self.runs.of(rows) {
            let squares = &mut self.squares[segment * width..][columns.clone()];
            let products = &mut self.products[segment * width..][columns.clone()];
            for (places, at) in registers(columns.len(), P::Simd::F32_LANES) {
                let mut of_squares = load_halves(simd, squares, places);
                let mut of_products = load_halves(simd, products, places);
                for row in rows.clone() {
                    let (row_end, at) =
                        ((row + 1) * count(width), row * count(width) + columns.start / 2 + at);
                    let u = unpack(simd, load_pairs(simd, &self.expanded[..row_end], at));
                    let dy = load_halves(simd, strip.row(row - first), places);
                    let (low, high) = (gelu_and_derivative(simd, u[0]), gelu_and_derivative(simd, u[1]));
                    let h = [low.0, high.0];
                    of_squares = add_products(simd, h, h, of_squares);
                    of_products = add_products(simd, h, dy, of_products);
                    store_pairs(simd, &mut self.expanded[..row_end], at, pairs.pack(low.1, high.1));
                    store_pairs(simd, &mut self.values[..row_end], at, pairs.pack(h[0], h[1]));
                    store_pairs(simd, &mut self.dy[..row_end], at, pairs.pack(dy[0], dy[1]));
                }
                store_halves(simd, squares, places, of_squares);
                store_halves(simd, products, places, of_products);
            }
        }
    }
}

/// The second half of the backward of one segment, once GRN's sums over the image are known.
pub(crate) struct Pull<'a> {
    /// GELU'(u); becomes du = (dy s + h t) GELU'(u). This and the next two: pairs of columns of `[R, E]`.
    pub(crate) expanded: &'a mut [u32],
    /// h.
    pub(crate) values: &'a [u32],
    pub(crate) dy: &'a [u32],
    /// Becomes du. This and the next: pairs of rows of `[R, E]`.
    pub(crate) du_lines: &'a mut [u32],
    /// Becomes y.
    pub(crate) y_lines: &'a mut [u32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
    /// t: what h adds to its own gradient through GRN's norm, `[E]`.
    pub(crate) through_norm: &'a [f32],
    /// The gradient of the first layer's bias is added, `[E]`.
    pub(crate) dbias: &'a mut [f32],
}

impl WithPairs for Pull<'_> {
    type Output = ();

    #[inline(always)]
    fn with_pairs<P: Pairs>(self, pairs: P) {
        let simd = pairs.simd();
        let Self { expanded, values, dy, du_lines, y_lines, .. } = self;
        let (width, lanes) = (self.scale.len(), P::Simd::F32_LANES);
        let (of_row, of_line) = (count(width), padded(width));
        let zeros = [simd.splat_f32s(0.0); 2];
        let groups = (expanded.chunks_mut(2 * GROUP * of_row))
            .zip(values.chunks(2 * GROUP * of_row).zip(dy.chunks(2 * GROUP * of_row)))
            .zip(du_lines.chunks_mut(GROUP * of_line).zip(y_lines.chunks_mut(GROUP * of_line)));
        for ((expanded, (values, dy)), (du_lines, y_lines)) in groups {
            for (places, at) in registers(width, lanes) {
                let scale = load_halves(simd, self.scale, places);
                let shift = load_halves(simd, self.shift, places);
                let through_norm = load_halves(simd, self.through_norm, places);
                let mut sums = load_halves(simd, self.dbias, places);
                let lines = (expanded.chunks_mut(2 * of_row))
                    .zip(values.chunks(2 * of_row).zip(dy.chunks(2 * of_row)))
                    .zip(du_lines.chunks_exact_mut(of_line).zip(y_lines.chunks_exact_mut(of_line)));
                for ((expanded, (values, dy)), (du_line, y_line)) in lines {
                    let (mut du, mut y) = ([zeros; 2], [zeros; 2]);
                    let rows = (expanded.chunks_exact_mut(of_row))
                        .zip(values.chunks_exact(of_row).zip(dy.chunks_exact(of_row)));
                    for (row, (expanded, (values, dy))) in rows.enumerate() {
                        let h = unpack(simd, load_pairs(simd, values, at));
                        let dy = unpack(simd, load_pairs(simd, dy, at));
                        let derivative = unpack(simd, load_pairs(simd, expanded, at));
                        let through = add_products(simd, h, through_norm, zeros);
                        let dh = add_products(simd, dy, scale, through);
                        let of_row = add_products(simd, dh, derivative, zeros);
                        (du[row], y[row]) = (of_row, add_products(simd, h, scale, shift));
                        sums = [simd.add_f32s(sums[0], of_row[0]), simd.add_f32s(sums[1], of_row[1])];
                        store_pairs(simd, expanded, at, pairs.pack(of_row[0], of_row[1]));
                    }
                    for (half, end) in [end_of_low(places), of_line].into_iter().enumerate() {
                        let place = places[half];
                        store_pairs(simd, &mut du_line[..end], place, pairs.pack(du[0][half], du[1][half]));
                        store_pairs(simd, &mut y_line[..end], place, pairs.pack(y[0][half], y[1][half]));
                    }
                }
                store_halves(simd, self.dbias, places, sums);
            }
        }
    }
}
