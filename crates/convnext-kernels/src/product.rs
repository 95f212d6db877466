//! Matrix products on one thread: the `gemm` crate behind bounds checks.
//!
//! Callers cut their work by shapes and give each piece to a thread, so that results do not depend
//! on the number of threads.

use gemm::Parallelism;
use pulp::Arch;

use crate::profile::{Kernel, timed};

/// A matrix that lies in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From one row to the next.
    row_stride: usize,
    /// From one column to the next.
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has as many values as its shape says");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Some neighbouring columns.
    pub(crate) fn columns(self, range: std::ops::Range<usize>) -> Self {
        assert!(range.end <= self.columns, "the columns are there");
        let start = (range.start * self.column_stride).min(self.values.len());
        Self { values: &self.values[start..], columns: range.len(), ..self }
    }

    /// The place of the last value, or none of an empty matrix.
    fn last(self) -> Option<usize> {
        Some(self.rows.checked_sub(1)? * self.row_stride + self.columns.checked_sub(1)? * self.column_stride)
    }
}

/// `out = left right`, or `out += left right` with `add`; `out` row after row.
///
/// # Panics
/// When the shapes do not fit each other.
pub(crate) fn product(
    arch: Arch,
    kernel: Kernel,
    left: Matrix<'_>,
    right: Matrix<'_>,
    out: &mut [f32],
    add: bool,
) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(right.rows, k, "the inner sizes of a product are equal");
    assert_eq!(out.len(), m * n, "the output has the shape of the product");
    for side in [left, right] {
        assert!(side.last().is_none_or(|last| last < side.values.len()), "the matrix lies in its slice");
    }
    timed(kernel, || match arch {
        Arch::Scalar => plain_product(left, right, out, add),
        _ => fast_product(left, right, out, add),
    });
}

/// The product of the crate `gemm`, on shapes that were checked.
fn fast_product(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], add: bool) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    let stride = |stride: usize| isize::try_from(stride).unwrap_or(isize::MAX);
    // SAFETY: `out` holds m * n values at strides (n, 1) and is borrowed mutably, so that it overlaps
    // with nothing. The asserts of `product`, the only caller, hold the last value of `left` and `right`, and so every one, to
    // their slices. A slice has at most isize::MAX bytes, so no stride that is used was cut.
    #[allow(unsafe_code, reason = "the product's crate takes pointers and strides")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(n),
            add,
            left.values.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.values.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The definition: the reference, and the product of processors without vector instructions.
fn plain_product(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], add: bool) {
    if !add {
        out.fill(0.0);
    }
    for (row, out) in out.chunks_exact_mut(right.columns.max(1)).enumerate() {
        for inner in 0..left.columns {
            let factor = left.values[row * left.row_stride + inner * left.column_stride];
            for (column, out) in out.iter_mut().enumerate() {
                *out += factor * right.values[inner * right.row_stride + column * right.column_stride];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::ladder;
    use crate::testing::noise;

    #[test]
    fn products_of_any_layout_follow_the_definition() {
        for (m, n, k) in [(1, 1, 1), (5, 7, 3), (64, 40, 160), (33, 129, 17), (300, 16, 70)] {
            let (left, right) = (noise(m * k, 1), noise(k * n, 2));
            let turn = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns).map(|i| values[(i % rows) * columns + i / rows]).collect()
            };
            let (left_turned, right_turned) = (turn(&left, m, k), turn(&right, k, n));
            let mut expected = noise(m * n, 3);
            let before = expected.clone();
            plain_product(Matrix::new(&left, m, k), Matrix::new(&right, k, n), &mut expected, true);
            for (name, arch) in ladder() {
                for lhs in [Matrix::new(&left, m, k), Matrix::new(&left_turned, k, m).transposed()] {
                    for rhs in [Matrix::new(&right, k, n), Matrix::new(&right_turned, n, k).transposed()] {
                        let mut out = before.clone();
                        product(arch, Kernel::ProductForward, lhs, rhs, &mut out, true);
                        for (found, expected) in out.iter().zip(&expected) {
                            assert!((found - expected).abs() < 1e-4, "{name} {m} x {n} x {k}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn columns_of_a_matrix_are_a_matrix() {
        let (left, right) = (noise(6 * 4, 1), noise(4 * 10, 2));
        let mut whole = vec![0.0; 60];
        plain_product(Matrix::new(&left, 6, 4), Matrix::new(&right, 4, 10), &mut whole, false);
        for (_, arch) in ladder() {
            let mut part = vec![9.0; 18];
            product(
                arch,
                Kernel::ProductForward,
                Matrix::new(&left, 6, 4),
                Matrix::new(&right, 4, 10).columns(5..8),
                &mut part,
                false,
            );
            for (row, part) in part.chunks_exact(3).enumerate() {
                for (found, expected) in part.iter().zip(&whole[row * 10 + 5..]) {
                    assert!((found - expected).abs() < 1e-5);
                }
            }
        }
    }
}
