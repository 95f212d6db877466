//! The operations on the E = 4C hidden channels between a block's two linear layers in bf16: the counterparts
//! of [`crate::expansion`]. The first half of each direction is an epilogue of the GEMM before it, on
//! micro-tiles that are still in the L1 cache.
//!
//! Notation: R rows, u the first linear layer's output, h = GELU(u), y = h s + beta.

use std::ops::Range;

use pulp::Simd;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2, unpack};
use crate::bf16::columns::{bf16x2_count, end_of_low, load_halves, registers, store_halves};
use crate::bf16::gelu::{gelu, gelu_and_derivative};
use crate::bf16::gemm::epilogue::{Epilogue, MicroTile};
use crate::bf16::rows::padded;
use crate::bf16::segment_ends::SegmentEnds;
use crate::lanes::{load, load_bf16x2, store, store_bf16x2};

/// Row pairs of a block of rows that is processed column by column, see [`crate::expansion`].
const ROW_PAIR_BLOCK: usize = 4;

/// Epilogue: adds the bias, saves u, applies GELU, and sums the squares for GRN.
pub(crate) struct BiasGelu<'a> {
    pub(crate) segments: &'a SegmentEnds,
    /// `[E]`.
    pub(crate) bias: &'a [f32],
    /// Becomes u, column-packed `[R, E]`, if that is saved for the backward; otherwise empty.
    pub(crate) expanded: &'a mut [u32],
    /// Becomes h, column-packed `[R, E]`.
    pub(crate) values: &'a mut [u32],
    /// Squares of h are added, `[segments, E]`.
    pub(crate) squares: &'a mut [f32],
}

impl Epilogue for BiasGelu<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        let width = self.bias.len();
        let bias = &self.bias[columns.clone()];
        let first = rows.start;
        for (segment, rows) in self.segments.of(rows) {
            let squares = &mut self.squares[segment * width..][columns.clone()];
            for (places, at) in registers(columns.len(), B::Simd::F32_LANES) {
                let bias = load_halves(simd, bias, places);
                let mut sums = load_halves(simd, squares, places);
                for row in rows.clone() {
                    let (row_end, at) =
                        ((row + 1) * bf16x2_count(width), row * bf16x2_count(width) + columns.start / 2 + at);
                    let u = load_halves(simd, micro_tile.row(row - first), places);
                    let u = [simd.add_f32s(u[0], bias[0]), simd.add_f32s(u[1], bias[1])];
                    if !self.expanded.is_empty() {
                        store_bf16x2(simd, &mut self.expanded[..row_end], at, ops.pack(u[0], u[1]));
                    }
                    let h = [gelu(simd, u[0]), gelu(simd, u[1])];
                    sums = add_products(simd, h, h, sums);
                    store_bf16x2(simd, &mut self.values[..row_end], at, ops.pack(h[0], h[1]));
                }
                store_halves(simd, squares, places, sums);
            }
        }
    }
}

/// Multiply-add of both halves.
#[inline(always)]
fn add_products<S: Simd>(simd: S, a: [S::f32s; 2], b: [S::f32s; 2], sums: [S::f32s; 2]) -> [S::f32s; 2] {
    [simd.mul_add_e_f32s(a[0], b[0], sums[0]), simd.mul_add_e_f32s(a[1], b[1], sums[1])]
}

/// Applies GRN: h becomes y, rounded to bf16.
pub(crate) struct GrnApply<'a> {
    /// Column-packed `[R, E]`.
    pub(crate) values: &'a mut [u32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
}

impl WithBf16x2 for GrnApply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { values, scale, shift } = self;
        let width = scale.len();
        for values in values.chunks_exact_mut(bf16x2_count(width)) {
            for (places, at) in registers(width, B::Simd::F32_LANES) {
                let h = unpack(simd, load_bf16x2(simd, values, at));
                let (scale, shift) = (load_halves(simd, scale, places), load_halves(simd, shift, places));
                let y = add_products(simd, h, scale, shift);
                store_bf16x2(simd, values, at, ops.pack(y[0], y[1]));
            }
        }
    }
}

/// Epilogue: the residual addition, `out = rows + factor (sums + bias)`.
pub(crate) struct Residual<'a> {
    pub(crate) segments: &'a SegmentEnds,
    /// Of each segment, `[R, C]`.
    pub(crate) rows: Vec<&'a [f32]>,
    /// Drop path's factor of each segment's image.
    pub(crate) factors: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// Of each segment, `[R, C]`.
    pub(crate) outs: Vec<&'a mut [f32]>,
}

impl Epilogue for Residual<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        let width = self.bias.len();
        let bias = &self.bias[columns.clone()];
        let first = rows.start;
        for (segment, rows) in self.segments.of(rows) {
            let begin = self.segments.begin(segment);
            let factor = simd.splat_f32s(self.factors[segment]);
            for row in rows {
                let place = (row - begin) * width;
                let from = &self.rows[segment][place..][columns.clone()];
                let out = &mut self.outs[segment][place..][columns.clone()];
                for at in (0..out.len()).step_by(B::Simd::F32_LANES) {
                    let branch =
                        simd.add_f32s(load(simd, micro_tile.row(row - first), at), load(simd, bias, at));
                    store(simd, out, at, simd.mul_add_e_f32s(branch, factor, load(simd, from, at)));
                }
            }
        }
    }
}

/// Epilogue of dy's GEMM, the first half of the backward: recomputes h, and sums for GRN's gradient.
pub(crate) struct GeluRecompute<'a> {
    pub(crate) segments: &'a SegmentEnds,
    /// E.
    pub(crate) width: usize,
    /// u; becomes GELU'(u). This and the next two are column-packed `[R, E]`.
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

impl Epilogue for GeluRecompute<'_> {
    #[inline(always)]
    fn apply<B: Bf16x2>(
        &mut self,
        ops: B,
        rows: Range<usize>,
        columns: Range<usize>,
        micro_tile: &MicroTile,
    ) {
        let simd = ops.simd();
        let width = self.width;
        let first = rows.start;
        for (segment, rows) in self.segments.of(rows) {
            let squares = &mut self.squares[segment * width..][columns.clone()];
            let products = &mut self.products[segment * width..][columns.clone()];
            for (places, at) in registers(columns.len(), B::Simd::F32_LANES) {
                let mut of_squares = load_halves(simd, squares, places);
                let mut of_products = load_halves(simd, products, places);
                for row in rows.clone() {
                    let (row_end, at) =
                        ((row + 1) * bf16x2_count(width), row * bf16x2_count(width) + columns.start / 2 + at);
                    let u = unpack(simd, load_bf16x2(simd, &self.expanded[..row_end], at));
                    let dy = load_halves(simd, micro_tile.row(row - first), places);
                    let (low, high) = (gelu_and_derivative(simd, u[0]), gelu_and_derivative(simd, u[1]));
                    let h = [low.0, high.0];
                    of_squares = add_products(simd, h, h, of_squares);
                    of_products = add_products(simd, h, dy, of_products);
                    store_bf16x2(simd, &mut self.expanded[..row_end], at, ops.pack(low.1, high.1));
                    store_bf16x2(simd, &mut self.values[..row_end], at, ops.pack(h[0], h[1]));
                    store_bf16x2(simd, &mut self.dy[..row_end], at, ops.pack(dy[0], dy[1]));
                }
                store_halves(simd, squares, places, of_squares);
                store_halves(simd, products, places, of_products);
            }
        }
    }
}

/// The second half of the backward of one segment, once GRN's sums over the image are known.
pub(crate) struct GrnGeluBackward<'a> {
    /// GELU'(u); becomes du = (dy s + h t) GELU'(u). This and the next two are column-packed `[R, E]`.
    pub(crate) expanded: &'a mut [u32],
    /// h.
    pub(crate) values: &'a [u32],
    pub(crate) dy: &'a [u32],
    /// Becomes du. This and the next are row-packed `[R, E]`.
    pub(crate) du_row_pairs: &'a mut [u32],
    /// Becomes y.
    pub(crate) y_row_pairs: &'a mut [u32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
    /// t: the factor of h in its own gradient through GRN's norm, `[E]`.
    pub(crate) through_norm: &'a [f32],
    /// The gradient of the first layer's bias is added, `[E]`.
    pub(crate) dbias: &'a mut [f32],
}

impl WithBf16x2 for GrnGeluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        let simd = ops.simd();
        let Self { expanded, values, dy, du_row_pairs, y_row_pairs, .. } = self;
        let (width, lanes) = (self.scale.len(), B::Simd::F32_LANES);
        let (of_row, per_row_pair) = (bf16x2_count(width), padded(width));
        let zeros = [simd.splat_f32s(0.0); 2];
        let blocks = (expanded.chunks_mut(2 * ROW_PAIR_BLOCK * of_row))
            .zip(values.chunks(2 * ROW_PAIR_BLOCK * of_row).zip(dy.chunks(2 * ROW_PAIR_BLOCK * of_row)))
            .zip(
                du_row_pairs
                    .chunks_mut(ROW_PAIR_BLOCK * per_row_pair)
                    .zip(y_row_pairs.chunks_mut(ROW_PAIR_BLOCK * per_row_pair)),
            );
        for ((expanded, (values, dy)), (du_row_pairs, y_row_pairs)) in blocks {
            for (places, at) in registers(width, lanes) {
                let scale = load_halves(simd, self.scale, places);
                let shift = load_halves(simd, self.shift, places);
                let through_norm = load_halves(simd, self.through_norm, places);
                let mut sums = load_halves(simd, self.dbias, places);
                let row_pairs = (expanded.chunks_mut(2 * of_row))
                    .zip(values.chunks(2 * of_row).zip(dy.chunks(2 * of_row)))
                    .zip(
                        du_row_pairs
                            .chunks_exact_mut(per_row_pair)
                            .zip(y_row_pairs.chunks_exact_mut(per_row_pair)),
                    );
                for ((expanded, (values, dy)), (du_row_pair, y_row_pair)) in row_pairs {
                    let (mut du, mut y) = ([zeros; 2], [zeros; 2]);
                    let rows = (expanded.chunks_exact_mut(of_row))
                        .zip(values.chunks_exact(of_row).zip(dy.chunks_exact(of_row)));
                    for (row, (expanded, (values, dy))) in rows.enumerate() {
                        let h = unpack(simd, load_bf16x2(simd, values, at));
                        let dy = unpack(simd, load_bf16x2(simd, dy, at));
                        let derivative = unpack(simd, load_bf16x2(simd, expanded, at));
                        let through = add_products(simd, h, through_norm, zeros);
                        let dh = add_products(simd, dy, scale, through);
                        let of_row = add_products(simd, dh, derivative, zeros);
                        (du[row], y[row]) = (of_row, add_products(simd, h, scale, shift));
                        sums = [simd.add_f32s(sums[0], of_row[0]), simd.add_f32s(sums[1], of_row[1])];
                        store_bf16x2(simd, expanded, at, ops.pack(of_row[0], of_row[1]));
                    }
                    for (half, end) in [end_of_low(places), per_row_pair].into_iter().enumerate() {
                        let place = places[half];
                        store_bf16x2(
                            simd,
                            &mut du_row_pair[..end],
                            place,
                            ops.pack(du[0][half], du[1][half]),
                        );
                        store_bf16x2(simd, &mut y_row_pair[..end], place, ops.pack(y[0][half], y[1][half]));
                    }
                }
                store_halves(simd, self.dbias, places, sums);
            }
        }
    }
}
