//! The operations on the 4C hidden channels between a block's two linear layers: bias, GELU and GRN.
//!
//! Notation: R rows of one image, E = 4C channels, h = GELU(u) after the first linear layer u,
//! y = h s + beta with GRN's scale s = 1 + gamma N (paper equations 1 to 3).

use pulp::{Simd, WithSimd};

use crate::gelu::{gelu, gelu_and_derivative};
use crate::lanes::{add, load, store};

/// Rows that are processed column by column: few enough to stay in the L1 cache, enough to amortise the loads
/// of the per-column values.
const ROW_BLOCK: usize = 8;

/// Adds the bias, applies GELU, and sums the squares for GRN.
pub(crate) struct BiasGelu<'a> {
    /// The linear layer's output without its bias, `[R, E]`; becomes h.
    pub(crate) values: &'a mut [f32],
    /// `[E]`.
    pub(crate) bias: &'a [f32],
    /// Becomes u, `[R, E]`, if that is saved for the backward; otherwise empty.
    pub(crate) expanded: &'a mut [f32],
    /// Squares of h are added, `[E]`.
    pub(crate) squares: &'a mut [f32],
}

impl WithSimd for BiasGelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, bias, expanded, squares } = self;
        let width = bias.len();
        for (row_block, values) in values.chunks_mut(ROW_BLOCK * width).enumerate() {
            for at in (0..width).step_by(S::F32_LANES) {
                let bias = load(simd, bias, at);
                let mut sum = load(simd, squares, at);
                for (row, values) in (row_block * ROW_BLOCK..).zip(values.chunks_exact_mut(width)) {
                    let u = simd.add_f32s(load(simd, values, at), bias);
                    if !expanded.is_empty() {
                        store(simd, &mut expanded[row * width..][..width], at, u);
                    }
                    let h = gelu(simd, u);
                    store(simd, values, at, h);
                    sum = simd.mul_add_e_f32s(h, h, sum);
                }
                store(simd, squares, at, sum);
            }
        }
    }
}

/// Applies GRN: h becomes y.
pub(crate) struct GrnApply<'a> {
    /// `[R, E]`.
    pub(crate) values: &'a mut [f32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
}

impl WithSimd for GrnApply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, scale, shift } = self;
        for values in values.chunks_exact_mut(scale.len()) {
            for at in (0..scale.len()).step_by(S::F32_LANES) {
                let h = load(simd, values, at);
                let y = simd.mul_add_e_f32s(h, load(simd, scale, at), load(simd, shift, at));
                store(simd, values, at, y);
            }
        }
    }
}

/// The first half of the backward: recomputes h, and sums for GRN's gradient.
pub(crate) struct GeluRecompute<'a> {
    /// u, `[R, E]`; becomes GELU'(u).
    pub(crate) expanded: &'a mut [f32],
    /// The gradient of y, `[R, E]`.
    pub(crate) dy: &'a [f32],
    /// Becomes h, `[R, E]`.
    pub(crate) values: &'a mut [f32],
    /// Squares of h are added, `[E]`.
    pub(crate) squares: &'a mut [f32],
    /// Products of h and the gradient of y are added, `[E]`.
    pub(crate) products: &'a mut [f32],
}

impl WithSimd for GeluRecompute<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { expanded, dy, values, squares, products } = self;
        let width = squares.len();
        let row_blocks = expanded.chunks_mut(ROW_BLOCK * width).zip(dy.chunks(ROW_BLOCK * width));
        for ((expanded, dy), values) in row_blocks.zip(values.chunks_mut(ROW_BLOCK * width)) {
            for at in (0..width).step_by(S::F32_LANES) {
                let (mut square, mut product) = (load(simd, squares, at), load(simd, products, at));
                let rows = expanded.chunks_exact_mut(width).zip(dy.chunks_exact(width));
                for ((expanded, dy), values) in rows.zip(values.chunks_exact_mut(width)) {
                    let (h, derivative) = gelu_and_derivative(simd, load(simd, expanded, at));
                    store(simd, expanded, at, derivative);
                    store(simd, values, at, h);
                    square = simd.mul_add_e_f32s(h, h, square);
                    product = simd.mul_add_e_f32s(h, load(simd, dy, at), product);
                }
                store(simd, squares, at, square);
                store(simd, products, at, product);
            }
        }
    }
}

/// The second half of the backward, once GRN's sums over the image are known.
pub(crate) struct GrnGeluBackward<'a> {
    /// GELU'(u), `[R, E]`; becomes the gradient of u: (dy s + h t) GELU'(u).
    pub(crate) expanded: &'a mut [f32],
    /// h, `[R, E]`; becomes y.
    pub(crate) values: &'a mut [f32],
    /// The gradient of y, `[R, E]`.
    pub(crate) dy: &'a [f32],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
    /// t: the factor of h in its own gradient through GRN's norm, `[E]`.
    pub(crate) through_norm: &'a [f32],
    /// The gradient of the first layer's bias is added, `[E]`.
    pub(crate) dbias: &'a mut [f32],
}

impl WithSimd for GrnGeluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { expanded, values, dy, scale, shift, through_norm, dbias } = self;
        let width = scale.len();
        let row_blocks = expanded.chunks_mut(ROW_BLOCK * width).zip(dy.chunks(ROW_BLOCK * width));
        for ((expanded, dy), values) in row_blocks.zip(values.chunks_mut(ROW_BLOCK * width)) {
            for at in (0..width).step_by(S::F32_LANES) {
                let (scale, shift) = (load(simd, scale, at), load(simd, shift, at));
                let through_norm = load(simd, through_norm, at);
                let mut bias_sum = load(simd, dbias, at);
                let rows = expanded.chunks_exact_mut(width).zip(dy.chunks_exact(width));
                for ((expanded, dy), values) in rows.zip(values.chunks_exact_mut(width)) {
                    let (h, dy) = (load(simd, values, at), load(simd, dy, at));
                    let dh = simd.mul_add_e_f32s(dy, scale, simd.mul_f32s(h, through_norm));
                    let du = simd.mul_f32s(dh, load(simd, expanded, at));
                    store(simd, expanded, at, du);
                    store(simd, values, at, simd.mul_add_e_f32s(h, scale, shift));
                    bias_sum = simd.add_f32s(bias_sum, du);
                }
                store(simd, dbias, at, bias_sum);
            }
        }
    }
}

/// The residual addition: `out = rows + factor (branch + bias)`.
pub(crate) struct Residual<'a> {
    /// `[R, C]`.
    pub(crate) rows: &'a [f32],
    /// `[R, C]`.
    pub(crate) branch: &'a [f32],
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// Drop path's factor of the image.
    pub(crate) factor: f32,
    /// `[R, C]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Residual<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, branch, bias, factor, out } = self;
        let (width, factor) = (bias.len(), simd.splat_f32s(factor));
        let input_rows = rows.chunks_exact(width).zip(branch.chunks_exact(width));
        for ((row, branch), out) in input_rows.zip(out.chunks_exact_mut(width)) {
            for at in (0..width).step_by(S::F32_LANES) {
                let branch = simd.add_f32s(load(simd, branch, at), load(simd, bias, at));
                store(simd, out, at, simd.mul_add_e_f32s(branch, factor, load(simd, row, at)));
            }
        }
    }
}

/// Scales rows, `out = factor rows`, and sums them.
pub(crate) struct ScaleRows<'a> {
    /// `[R, C]`.
    pub(crate) rows: &'a [f32],
    pub(crate) factor: f32,
    /// `[R, C]`.
    pub(crate) out: &'a mut [f32],
    /// The output rows are added, `[C]`.
    pub(crate) sums: &'a mut [f32],
}

impl WithSimd for ScaleRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, factor, out, sums } = self;
        let (width, factor) = (sums.len(), simd.splat_f32s(factor));
        for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for at in (0..width).step_by(S::F32_LANES) {
                let value = simd.mul_f32s(load(simd, row, at), factor);
                store(simd, out, at, value);
                add(simd, sums, at, value);
            }
        }
    }
}
