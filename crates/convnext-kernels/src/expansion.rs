//! The operations on the E = 4C hidden channels between a block's two linear layers: bias, GELU and GRN. The
//! first half of each direction is an epilogue of the GEMM before it.
//!
//! Notation: R rows, u the first linear layer's output, h = GELU(u), y = h s + beta with GRN's scale
//! s = 1 + gamma N (paper equations 1 to 3), L the lanes that activations are stored in.

use std::ops::Range;

use pulp::Simd;

use crate::gemm::epilogue::{Epilogue, Output};
use crate::profile::Kernel;
use crate::registers::Place;
use crate::segment_ends::SegmentEnds;
use crate::split::scaled;
use crate::storage::{F32s, Lane, Storage, WithStorage};

/// Row pairs of a block of rows that is processed column by column: few enough to stay in the L1 cache, enough
/// to amortise the loads of the per-column values.
const ROW_PAIR_BLOCK: usize = 4;

/// Products of two registers.
#[inline(always)]
fn products<S: Simd>(simd: S, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
    [simd.mul_f32s(a[0], b[0]), simd.mul_f32s(a[1], b[1])]
}

/// Multiply-add of two registers.
#[inline(always)]
fn add_products<S: Simd>(simd: S, a: [S::f32s; 2], b: [S::f32s; 2], sums: [S::f32s; 2]) -> [S::f32s; 2] {
    [simd.mul_add_e_f32s(a[0], b[0], sums[0]), simd.mul_add_e_f32s(a[1], b[1], sums[1])]
}

/// Epilogue: adds the bias, saves u, applies GELU, and sums the squares for GRN.
pub(crate) struct BiasGelu<'a, L> {
    pub(crate) segments: &'a SegmentEnds,
    /// `[E]`.
    pub(crate) bias: &'a [f32],
    /// Becomes u, `[R, E]`, if that is saved for the backward; otherwise empty.
    pub(crate) expanded: &'a mut [L],
    /// Becomes h, `[R, E]`.
    pub(crate) values: &'a mut [L],
    /// Squares of h are added, `[segments, E]`.
    pub(crate) squares: &'a mut [f32],
}

impl<L: Lane> Epilogue<L> for BiasGelu<'_, L> {
    const KERNEL: Option<Kernel> = Some(Kernel::Expansion);

    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(&mut self, storage: S, output: &Output<'_>) {
        let simd = storage.simd();
        let width = self.bias.len();
        let columns = &output.columns;
        let bias = &self.bias[columns.clone()];
        let of_row = L::count(width);
        let lanes = L::count(columns.start)..L::count(columns.end);
        for (segment, rows) in self.segments.of(output.rows.clone()) {
            let of_rows = scaled(&rows, of_row);
            let saved_rows = if self.expanded.is_empty() { 0..0 } else { of_rows.clone() };
            let squares = &mut self.squares[segment * width..][columns.clone()];
            for place in S::places(columns.len()) {
                let bias = storage.load_f32(bias, place);
                let mut sums = storage.load_f32(squares, place);
                let mut expanded = self.expanded[saved_rows.clone()].chunks_exact_mut(of_row);
                let values = self.values[of_rows.clone()].chunks_exact_mut(of_row);
                for (row, values) in rows.clone().zip(values) {
                    let u = storage.load_f32(output.row(row), place);
                    let u = [simd.add_f32s(u[0], bias[0]), simd.add_f32s(u[1], bias[1])];
                    if let Some(expanded) = expanded.next() {
                        storage.store(&mut expanded[lanes.clone()], place, u);
                    }
                    let h = [storage.gelu(u[0]), storage.gelu(u[1])];
                    sums = add_products(simd, h, h, sums);
                    storage.store(&mut values[lanes.clone()], place, h);
                }
                storage.store_f32(squares, place, sums);
            }
        }
    }
}

/// Applies GRN: h becomes y.
pub(crate) struct GrnApply<'a, L> {
    /// `[R, E]`.
    pub(crate) values: &'a mut [L],
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
}

impl<L: Lane> WithStorage<L> for GrnApply<'_, L> {
    #[inline(always)]
    fn with_storage<S: Storage<Lane = L>>(self, storage: S) {
        let simd = storage.simd();
        let Self { values, scale, shift } = self;
        let (width, of_row) = (scale.len(), L::count(scale.len()));
        for values in values.chunks_mut(2 * ROW_PAIR_BLOCK * of_row) {
            for place in S::places(width) {
                let (scale, shift) = (storage.load_f32(scale, place), storage.load_f32(shift, place));
                for values in values.chunks_exact_mut(of_row) {
                    let h = storage.load(values, place);
                    storage.store(values, place, add_products(simd, h, scale, shift));
                }
            }
        }
    }
}

/// Epilogue of dy's GEMM, the first half of the backward: recomputes h, and sums for GRN's gradient.
pub(crate) struct GeluRecompute<'a, L> {
    pub(crate) segments: &'a SegmentEnds,
    /// E.
    pub(crate) width: usize,
    /// u, `[R, E]`; becomes GELU'(u).
    pub(crate) expanded: &'a mut [L],
    /// Becomes dy, `[R, E]`.
    pub(crate) dy: &'a mut [L],
    /// Becomes h, `[R, E]`.
    pub(crate) values: &'a mut [L],
    /// Squares of h are added, `[segments, E]`.
    pub(crate) squares: &'a mut [f32],
    /// Products of h and dy are added, `[segments, E]`.
    pub(crate) products: &'a mut [f32],
}

impl<L: Lane> Epilogue<L> for GeluRecompute<'_, L> {
    const KERNEL: Option<Kernel> = Some(Kernel::ExpansionGradient);

    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(&mut self, storage: S, output: &Output<'_>) {
        let simd = storage.simd();
        let (width, columns) = (self.width, &output.columns);
        let of_row = L::count(width);
        let lanes = L::count(columns.start)..L::count(columns.end);
        for (segment, rows) in self.segments.of(output.rows.clone()) {
            let of_rows = scaled(&rows, of_row);
            let squares = &mut self.squares[segment * width..][columns.clone()];
            let products = &mut self.products[segment * width..][columns.clone()];
            for place in S::places(columns.len()) {
                let mut of_squares = storage.load_f32(squares, place);
                let mut of_products = storage.load_f32(products, place);
                let stored = (self.expanded[of_rows.clone()].chunks_exact_mut(of_row))
                    .zip(self.values[of_rows.clone()].chunks_exact_mut(of_row))
                    .zip(self.dy[of_rows.clone()].chunks_exact_mut(of_row));
                for (row, ((expanded, values), dy_row)) in rows.clone().zip(stored) {
                    let expanded = &mut expanded[lanes.clone()];
                    let u = storage.load(expanded, place);
                    let dy = storage.load_f32(output.row(row), place);
                    let (low, high) = (storage.gelu_and_derivative(u[0]), storage.gelu_and_derivative(u[1]));
                    let h = [low.0, high.0];
                    of_squares = add_products(simd, h, h, of_squares);
                    of_products = add_products(simd, h, dy, of_products);
                    storage.store(expanded, place, [low.1, high.1]);
                    storage.store(&mut values[lanes.clone()], place, h);
                    storage.store(&mut dy_row[lanes.clone()], place, dy);
                }
                storage.store_f32(squares, place, of_squares);
                storage.store_f32(products, place, of_products);
            }
        }
    }
}

/// du and y by row pairs.
pub(crate) struct RowPairs<'a, L> {
    /// `[row pairs, padded]`.
    pub(crate) du: &'a mut [L],
    /// `[row pairs, padded]`.
    pub(crate) y: &'a mut [L],
    /// Lanes of a row pair.
    pub(crate) padded: usize,
}

/// The second half of the backward of one segment, once GRN's sums over the image are known.
pub(crate) struct GrnGeluBackward<'a, L> {
    /// GELU'(u), `[R, E]`; becomes du = (dy s + h t) GELU'(u).
    pub(crate) expanded: &'a mut [L],
    /// h, `[R, E]`; becomes y, unless `row_pairs` does.
    pub(crate) values: &'a mut [L],
    /// `[R, E]`.
    pub(crate) dy: &'a [L],
    /// Become du and y as well, if the weight gradients read them by row pairs.
    pub(crate) row_pairs: Option<RowPairs<'a, L>>,
    /// s, `[E]`.
    pub(crate) scale: &'a [f32],
    /// beta, `[E]`.
    pub(crate) shift: &'a [f32],
    /// t: the factor of h in its own gradient through GRN's norm, `[E]`.
    pub(crate) through_norm: &'a [f32],
    /// The gradient of the first layer's bias is added, `[E]`.
    pub(crate) dbias: &'a mut [f32],
}

impl<L: Lane> WithStorage<L> for GrnGeluBackward<'_, L> {
    #[inline(always)]
    fn with_storage<S: Storage<Lane = L>>(mut self, storage: S) {
        let pairs = (self.expanded.len() / L::count(self.scale.len())).div_ceil(2);
        for first in (0..pairs).step_by(ROW_PAIR_BLOCK) {
            self.row_block(storage, first..pairs.min(first + ROW_PAIR_BLOCK));
        }
    }
}

impl<L: Lane> GrnGeluBackward<'_, L> {
    /// A few row pairs.
    #[inline(always)]
    fn row_block<S: Storage<Lane = L>>(&mut self, storage: S, row_pairs: Range<usize>) {
        let width = self.scale.len();
        let rows = self.expanded.len() / L::count(width);
        let zeros = [storage.simd().splat_f32s(0.0); 2];
        for place in S::places(width) {
            let scale = storage.load_f32(self.scale, place);
            let shift = storage.load_f32(self.shift, place);
            let through_norm = storage.load_f32(self.through_norm, place);
            let factors = [scale, shift, through_norm];
            let mut sums = storage.load_f32(self.dbias, place);
            for row_pair in row_pairs.clone() {
                let first = self.row(storage, 2 * row_pair, place, factors, &mut sums);
                let second = match 2 * row_pair + 1 < rows {
                    true => self.row(storage, 2 * row_pair + 1, place, factors, &mut sums),
                    false => [zeros; 2],
                };
                let (du, y) = ([first[0], second[0]], [first[1], second[1]]);
                let y_pair = match &mut self.row_pairs {
                    None => {
                        let end = rows.min(2 * row_pair + 2);
                        &mut self.values[scaled(&(2 * row_pair..end), L::count(width))]
                    }
                    Some(RowPairs { du: of_du, y: of_y, padded }) => {
                        let lanes = scaled(&(row_pair..row_pair + 1), *padded);
                        storage.store_row_pair(&mut of_du[lanes.clone()], width, place, du);
                        &mut of_y[lanes]
                    }
                };
                storage.store_row_pair(y_pair, width, place, y);
            }
            storage.store_f32(self.dbias, place, sums);
        }
    }

    /// du and y at a place of a row, from s, beta and t there; adds du to `sums`.
    #[inline(always)]
    fn row<S: Storage<Lane = L>>(
        &mut self,
        storage: S,
        row: usize,
        place: Place,
        [scale, shift, through_norm]: [[F32s<S>; 2]; 3],
        sums: &mut [F32s<S>; 2],
    ) -> [[F32s<S>; 2]; 2] {
        let simd = storage.simd();
        let lanes = scaled(&(row..row + 1), L::count(self.scale.len()));
        let expanded = &mut self.expanded[lanes.clone()];
        let h = storage.load(&self.values[lanes.clone()], place);
        let dy = storage.load(&self.dy[lanes], place);
        let dh = add_products(simd, dy, scale, products(simd, h, through_norm));
        let du = products(simd, dh, storage.load(expanded, place));
        storage.store(expanded, place, du);
        *sums = [simd.add_f32s(sums[0], du[0]), simd.add_f32s(sums[1], du[1])];
        [du, add_products(simd, h, scale, shift)]
    }
}
