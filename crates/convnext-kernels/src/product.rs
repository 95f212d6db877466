//! Matrix products on rows, one thread each: `out = left right`.
//!
//! The right side is packed once, and every thread that holds some rows of the left side reads the same
//! panels. A tile of the output, a few rows by one panel, stays in the registers while it is summed up.
//!
//! Callers cut their work by shapes and give each piece to a thread, so that results do not depend
//! on the number of threads.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::lanes::{load, store};
use crate::packed::{DEPTH, Matrix, Packed, Panel};
use crate::parallel;
use crate::pieces::wide;
use crate::profile::{Kernel, timed};

/// `out = left right`, or `out += left right` with `add`; `out` row after row.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn product(
    arch: Arch,
    kernel: Kernel,
    left: Matrix<'_>,
    right: &Packed,
    out: &mut [f32],
    add: bool,
) {
    rows_of_product(arch, kernel, left, 0..left.rows, Right::Packed(right), out, add);
}

/// Some rows of a product.
fn rows_of_product(
    arch: Arch,
    kernel: Kernel,
    left: Matrix<'_>,
    rows: Range<usize>,
    right: Right<'_>,
    out: &mut [f32],
    add: bool,
) {
    let [inner, columns] = right.shape();
    assert_eq!(left.columns, inner, "the inner sizes of a product are equal");
    assert_eq!(out.len(), rows.len() * columns, "the output has the shape of the product");
    assert!(rows.end <= left.rows, "the rows are there");
    timed(kernel, || arch.dispatch(Product { left, rows, right, out, add }));
}

/// Pieces that [`add_turned_product`] cuts its output into, and the fewest rows of one.
const PIECES: usize = 8;
const PIECE_ROWS: usize = 24;

/// Adds `left^T right` to `sums`: the gradient of a linear layer's weight. Every piece of the output has
/// one writer.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn add_turned_product(arch: Arch, left: Matrix<'_>, right: Matrix<'_>, sums: &mut [f32]) {
    assert!(!right.turned, "the right side lies row after row");
    let left = left.transposed();
    let (count, width) = (left.rows, right.columns.max(1));
    let right = Right::Rows(right);
    let piece = count.div_ceil(PIECES).next_multiple_of(TALLEST).max(PIECE_ROWS);
    parallel::for_each(sums.chunks_mut(piece * width).enumerate(), |(index, sums)| {
        let begin = index * piece;
        let rows = begin..begin + sums.len() / width;
        rows_of_product(arch, Kernel::ProductWeightGradient, left, rows, right, sums, true);
    });
}

/// Most rows of a tile.
const TALLEST: usize = 6;

/// The right side of a product.
#[derive(Clone, Copy)]
enum Right<'a> {
    /// Packed, because many products read it.
    Packed(&'a Packed),
    /// As it lies, row after row.
    Rows(Matrix<'a>),
}

impl<'a> Right<'a> {
    /// Inner size and columns.
    fn shape(self) -> [usize; 2] {
        match self {
            Self::Packed(packed) => [packed.inner, packed.columns],
            Self::Rows(matrix) => [matrix.rows, matrix.columns],
        }
    }

    /// Some lines of a panel, from its first column on, and how far it is from one line to the next.
    fn panel(self, lines: &Range<usize>, panel: &Panel) -> (&'a [f32], usize) {
        match self {
            Self::Packed(packed) => (packed.panel(lines, panel), panel.padded().len()),
            Self::Rows(matrix) => {
                let values = &matrix.values[wide(lines, matrix.columns)];
                (&values[panel.columns.start..], matrix.columns)
            }
        }
    }
}

struct Product<'a> {
    left: Matrix<'a>,
    rows: Range<usize>,
    right: Right<'a>,
    out: &'a mut [f32],
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, rows, right, out, add } = self;
        let [inner, columns] = right.shape();
        if inner == 0 && !add {
            out.fill(0.0);
        }
        for begin in (0..inner).step_by(DEPTH) {
            let lines = begin..inner.min(begin + DEPTH);
            let add = add || begin > 0;
            for panel in Panel::all(columns) {
                let (values, stride) = right.panel(&lines, &panel);
                let tiles = Tiles {
                    left,
                    rows: rows.clone(),
                    lines: lines.clone(),
                    panel: values,
                    stride,
                    first_column: panel.columns.start,
                    columns,
                    add,
                };
                match (left.turned, panel.padded().len()) {
                    (false, 16) => tiles.run::<S, 16, false>(simd, out),
                    (false, 32) => tiles.run::<S, 32, false>(simd, out),
                    (false, 48) => tiles.run::<S, 48, false>(simd, out),
                    (false, _) => tiles.run::<S, 64, false>(simd, out),
                    (true, 16) => tiles.run::<S, 16, true>(simd, out),
                    (true, 32) => tiles.run::<S, 32, true>(simd, out),
                    (true, 48) => tiles.run::<S, 48, true>(simd, out),
                    (true, _) => tiles.run::<S, 64, true>(simd, out),
                }
            }
        }
    }
}

/// The tiles below one panel.
struct Tiles<'a> {
    left: Matrix<'a>,
    rows: Range<usize>,
    lines: Range<usize>,
    /// Line after line; after the panel's columns come values without a meaning.
    panel: &'a [f32],
    stride: usize,
    first_column: usize,
    columns: usize,
    add: bool,
}

impl Tiles<'_> {
    /// A panel of W columns, as many registers of it at a time as the processor has room for.
    #[inline(always)]
    fn run<S: Simd, const W: usize, const TURNED: bool>(&self, simd: S, out: &mut [f32]) {
        match S::F32_LANES {
            16 => match W {
                64 => self.column::<S, 4, W, TURNED>(simd, 0, out),
                48 => self.column::<S, 3, W, TURNED>(simd, 0, out),
                32 => self.column::<S, 2, W, TURNED>(simd, 0, out),
                _ => self.column::<S, 1, W, TURNED>(simd, 0, out),
            },
            8 => (0..W).step_by(16).for_each(|at| self.column::<S, 2, W, TURNED>(simd, at, out)),
            lanes => (0..W).step_by(4 * lanes).for_each(|at| self.column::<S, 4, W, TURNED>(simd, at, out)),
        }
    }

    /// All rows of V registers of columns.
    #[inline(always)]
    fn column<S: Simd, const V: usize, const W: usize, const TURNED: bool>(
        &self,
        simd: S,
        at: usize,
        out: &mut [f32],
    ) {
        let count = self.rows.len();
        let mut row = 0;
        while row + TALLEST <= count {
            self.tile::<S, TALLEST, V, W, TURNED>(simd, row, at, out);
            row += TALLEST;
        }
        while row + 2 <= count {
            self.tile::<S, 2, V, W, TURNED>(simd, row, at, out);
            row += 2;
        }
        if row < count {
            self.tile::<S, 1, V, W, TURNED>(simd, row, at, out);
        }
    }

    /// M rows by V registers.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize, const W: usize, const TURNED: bool>(
        &self,
        simd: S,
        row: usize,
        at: usize,
        out: &mut [f32],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let first = self.rows.start + row;
        let depth = self.lines.len();
        // Where a line is not as wide as the panel because the matrix ends, it is read more slowly.
        let whole = depth.min((self.panel.len() + self.stride).saturating_sub(W) / self.stride);
        if TURNED {
            let stride = self.left.rows;
            let lines = &self.left.values[self.lines.start * stride + first..];
            let factors = |inner: usize| &lines[inner * stride..][..M];
            for inner in 0..whole {
                let factors = factors(inner);
                let panel = self.line::<S, V, W>(inner, at);
                multiply_add(simd, &mut sums, |row| factors[row], panel);
            }
            for inner in whole..depth {
                let factors = factors(inner);
                multiply_add(simd, &mut sums, |row| factors[row], &self.last_line::<S, V>(simd, inner, at));
            }
        } else {
            let stride = self.left.columns;
            let rows: [&[f32]; M] = std::array::from_fn(|m| {
                &self.left.values[(first + m) * stride + self.lines.start..][..depth]
            });
            let factors = |inner: usize| move |row: usize| rows[row][inner];
            for inner in 0..whole {
                let panel = self.line::<S, V, W>(inner, at);
                multiply_add(simd, &mut sums, factors(inner), panel);
            }
            for inner in whole..depth {
                multiply_add(simd, &mut sums, factors(inner), &self.last_line::<S, V>(simd, inner, at));
            }
        }
        for (m, sums) in sums.into_iter().enumerate() {
            let out = &mut out[(row + m) * self.columns..][..self.columns];
            for (v, sum) in sums.into_iter().enumerate() {
                let at = self.first_column + at + v * S::F32_LANES;
                if at < self.columns {
                    let value = if self.add { simd.add_f32s(load(simd, out, at), sum) } else { sum };
                    store(simd, out, at, value);
                }
            }
        }
    }
}

impl Tiles<'_> {
    /// V registers of a line of the panel.
    #[inline(always)]
    fn line<S: Simd, const V: usize, const W: usize>(&self, inner: usize, at: usize) -> &[S::f32s; V] {
        let line = &self.panel[inner * self.stride..][..W];
        S::as_simd_f32s(&line[at..]).0.first_chunk().unwrap_or_else(|| unreachable!("a panel has W columns"))
    }

    /// V registers of a line that ends early, with zeros after its end.
    #[inline(always)]
    fn last_line<S: Simd, const V: usize>(&self, simd: S, inner: usize, at: usize) -> [S::f32s; V] {
        let line = &self.panel[inner * self.stride..];
        std::array::from_fn(|v| load(simd, line, (at + v * S::F32_LANES).min(line.len())))
    }
}

/// One inner value of a tile.
#[inline(always)]
fn multiply_add<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; M],
    factor: impl Fn(usize) -> f32,
    lanes: &[S::f32s; V],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let factor = simd.splat_f32s(factor(row));
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = simd.mul_add_e_f32s(factor, *lanes, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::ladder;
    use crate::testing::noise;

    /// The definition.
    fn plain(left: &[f32], right: &[f32], [m, n, k]: [usize; 3]) -> Vec<f64> {
        let value = |place: usize| {
            let (row, column) = (place / n, place % n);
            (0..k).map(|inner| f64::from(left[row * k + inner]) * f64::from(right[inner * n + column])).sum()
        };
        (0..m * n).map(value).collect()
    }

    fn turn(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..rows * columns).map(|i| values[(i % rows) * columns + i / rows]).collect()
    }

    #[test]
    fn products_of_any_layout_follow_the_definition() {
        let shapes =
            [[1, 1, 1], [5, 7, 3], [64, 40, 160], [33, 129, 17], [300, 16, 70], [13, 200, 600], [4, 3, 0]];
        for [m, n, k] in shapes {
            let (left, right, before) = (noise(m * k, 1), noise(k * n, 2), noise(m * n, 3));
            let (left_turned, right_turned) = (turn(&left, m, k), turn(&right, k, n));
            let expected = plain(&left, &right, [m, n, k]);
            for (name, arch) in ladder() {
                for lhs in [Matrix::new(&left, m, k), Matrix::new(&left_turned, k, m).transposed()] {
                    for rhs in [Matrix::new(&right, k, n), Matrix::new(&right_turned, n, k).transposed()] {
                        for add in [false, true] {
                            let mut out = before.clone();
                            product(arch, Kernel::ProductForward, lhs, &Packed::new(rhs), &mut out, add);
                            for ((found, expected), before) in out.iter().zip(&expected).zip(&before) {
                                let expected = expected + if add { f64::from(*before) } else { 0.0 };
                                let error = (f64::from(*found) - expected).abs();
                                assert!(error < 1e-4, "{name} {m} x {n} x {k}: {error}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_of_weights_are_added_piece_by_piece() {
        let (rows, outputs, inputs) = (70, 101, 33);
        let (left, right, before) =
            (noise(rows * outputs, 1), noise(rows * inputs, 2), noise(outputs * inputs, 3));
        let expected = plain(&turn(&left, rows, outputs), &right, [outputs, inputs, rows]);
        for (name, arch) in ladder() {
            let mut sums = before.clone();
            let [left, right] =
                [(&left, outputs), (&right, inputs)].map(|(v, columns)| Matrix::new(v, rows, columns));
            add_turned_product(arch, left, right, &mut sums);
            for ((found, expected), before) in sums.iter().zip(&expected).zip(&before) {
                assert!((f64::from(*found) - expected - f64::from(*before)).abs() < 1e-4, "{name}");
            }
        }
    }
}
