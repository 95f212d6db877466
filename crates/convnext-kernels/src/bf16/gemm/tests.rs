//! The bf16 GEMM against a reference in f64.

use super::*;
use crate::bf16::bf16x2::pack_one;
use crate::bf16::columns::PackColumns;
use crate::bf16::implementation::bf16_isa_levels;
use crate::bf16::rows::{PackRows, row_pairs};
use crate::gemm::epilogue::{Onto, Store};
use crate::packed::Matrix;
use crate::testing::noise;

fn rounded(value: f32) -> f64 {
    f64::from(f32::from_bits(pack_one(0.0, value)))
}

/// The GEMM of the rounded values.
fn plain(left: &[f32], right: &[f32], shape: [usize; 3]) -> Vec<f64> {
    gemm_in_f64(left, right, shape, rounded)
}

/// The GEMM of the mapped values.
fn gemm_in_f64(left: &[f32], right: &[f32], [m, n, k]: [usize; 3], made_of: impl Fn(f32) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for (out, left) in out.chunks_exact_mut(n).zip(left.chunks_exact(k)) {
        for (factor, right) in left.iter().zip(right.chunks_exact(n)) {
            let factor = made_of(*factor);
            out.iter_mut().zip(right).for_each(|(out, &value)| *out += factor * made_of(value));
        }
    }
    out
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| values[(i % rows) * columns + i / rows]).collect()
}

fn check(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(error < 2e-4, "{what}: {found}, {expected}");
    }
}

#[test]
fn gemm_of_any_shape_matches_the_reference() {
    let shapes = [
        [1, 1, 1],
        [5, 7, 3],
        [64, 40, 160],
        [33, 129, 17],
        [30, 16, 70],
        [25, 96, 33],
        [13, 80, 600],
        [7, 40, 3200],
    ];
    for [m, n, k] in shapes {
        let (left, right, before) = (noise(m * k, 1), noise(k * n, 2), noise(m * n, 3));
        let right_transposed = transpose(&right, k, n);
        let expected = plain(&left, &right, [m, n, k]);
        let sums: Vec<f64> =
            expected.iter().zip(&before).map(|(value, before)| value + f64::from(*before)).collect();
        for (name, bf16) in bf16_isa_levels() {
            let mut bf16x2 = vec![0; m * bf16x2_count(k)];
            bf16.dispatch(PackColumns { rows: &left, columns: k, bf16x2: &mut bf16x2 });
            for matrix in [Matrix::new(&right, k, n), Matrix::new(&right_transposed, n, k).transposed()] {
                for packed in [PackedBf16::new(bf16, matrix), PackedBf16::of_whole_interleaves(bf16, matrix)]
                {
                    let what = format!("{name}, {m} x {n} x {k}");
                    let (left, right) = (Left::Columns(&bf16x2), Right::Packed(&packed));
                    let mut out = vec![f32::NAN; m * n];
                    let mut epilogue = Store { out: &mut out, columns: n, onto: Onto::Nothing };
                    gemm(bf16, Kernel::GemmForward, left, 0..m, &right, &mut epilogue);
                    check(&what, &out, &expected);
                    out.copy_from_slice(&before);
                    let mut epilogue = Store { out: &mut out, columns: n, onto: Onto::Stored };
                    gemm(bf16, Kernel::GemmForward, left, 0..m, &right, &mut epilogue);
                    check(&what, &out, &sums);
                }
            }
        }
    }
}

#[test]
fn weight_gradients_accumulate_over_row_blocks() {
    for (rows, outputs, inputs) in [(70, 101, 33), (7, 160, 40), (49, 30, 96)] {
        let (left, right, before) =
            (noise(rows * outputs, 1), noise(rows * inputs, 2), noise(outputs * inputs, 3));
        let mut expected = plain(&transpose(&left, rows, outputs), &right, [outputs, inputs, rows]);
        expected.iter_mut().zip(&before).for_each(|(value, before)| *value += f64::from(*before));
        for (name, bf16) in bf16_isa_levels() {
            let [left, right] = [(&left, outputs), (&right, inputs)].map(|(rows_of, columns)| {
                let mut bf16x2 = vec![0; row_pairs(rows) * padded(columns)];
                bf16.dispatch(PackRows { rows: rows_of, columns, bf16x2: &mut bf16x2 });
                bf16x2
            });
            let mut sums = before.clone();
            gemm_tn_accumulate(bf16, [&left, &right], [outputs, inputs], &mut sums);
            check(name, &sums, &expected);
        }
    }
}

/// Inputs are rounded to 8 bits, an error of at most 2^-8 each and 2^-7 of a product; accumulation is f32.
#[test]
fn gemm_of_every_layer_is_within_its_error_bounds() {
    const ROWS: usize = 6;
    let widths = [16, 40, 48, 64, 80, 96, 128, 192, 256, 352].map(|first| [1, 2, 4, 8].map(|by| by * first));
    let mut widths: Vec<usize> = widths.into_iter().flatten().chain([512]).collect();
    widths.sort_unstable();
    widths.dedup();
    for width in widths {
        for [inputs, outputs] in [[width, 4 * width], [4 * width, width]] {
            check_layer(ROWS, inputs, outputs);
        }
    }
}

/// `rows W^T`, and the gradient of W for output gradients.
fn check_layer(rows: usize, inputs: usize, outputs: usize) {
    let (left, weight, gradient) =
        (noise(rows * inputs, 1), noise(inputs * outputs, 2), noise(rows * outputs, 3));
    let right = transpose(&weight, outputs, inputs);
    let gradient_transposed = transpose(&gradient, rows, outputs);
    let forward = Bounds::new(&left, &right, [rows, outputs, inputs]);
    let backward = Bounds::new(&gradient_transposed, &left, [outputs, inputs, rows]);
    // Large layers on the highest instruction set only: the others take too long.
    let isa_levels = bf16_isa_levels();
    let first = if inputs * outputs <= 1 << 19 { 0 } else { isa_levels.len() - 1 };
    for &(name, bf16) in &isa_levels[first..] {
        let mut bf16x2 = vec![0; rows * bf16x2_count(inputs)];
        bf16.dispatch(PackColumns { rows: &left, columns: inputs, bf16x2: &mut bf16x2 });
        let packed = PackedBf16::new(bf16, Matrix::new(&weight, outputs, inputs).transposed());
        let mut out = vec![f32::NAN; rows * outputs];
        let mut epilogue = Store { out: &mut out, columns: outputs, onto: Onto::Nothing };
        gemm(
            bf16,
            Kernel::GemmForward,
            Left::Columns(&bf16x2),
            0..rows,
            &Right::Packed(&packed),
            &mut epilogue,
        );
        forward.check(&format!("{name}, {inputs} to {outputs}"), &out);

        let [gradient, left] = [(&gradient, outputs), (&left, inputs)].map(|(values, columns)| {
            let mut bf16x2 = vec![0; row_pairs(rows) * padded(columns)];
            bf16.dispatch(PackRows { rows: values, columns, bf16x2: &mut bf16x2 });
            bf16x2
        });
        let mut sums = vec![0.0; outputs * inputs];
        gemm_tn_accumulate(bf16, [&gradient, &left], [outputs, inputs], &mut sums);
        backward.check(&format!("{name}, gradient of {inputs} to {outputs}"), &sums);
    }
}

#[test]
#[should_panic(expected = "both sides have the same rows")]
fn a_weight_gradient_of_no_rows_and_of_some_is_refused() {
    let (_, bf16) = bf16_isa_levels()[0];
    gemm_tn_accumulate(bf16, [&[], &[0; 16]], [3, 5], &mut [0.0; 15]);
}

#[test]
#[should_panic(expected = "both sides have the same rows")]
fn a_weight_gradient_of_more_rows_on_one_side_is_refused() {
    let (_, bf16) = bf16_isa_levels()[0];
    gemm_tn_accumulate(bf16, [&[0; 32], &[0; 16]], [3, 5], &mut [0.0; 15]);
}

/// A GEMM in f64 and its error bounds.
struct Bounds {
    exact: Vec<f64>,
    of_rounded: Vec<f64>,
    /// Sums of the absolute products.
    sizes: Vec<f64>,
    inner: usize,
}

impl Bounds {
    fn new(left: &[f32], right: &[f32], shape: [usize; 3]) -> Self {
        Self {
            exact: gemm_in_f64(left, right, shape, f64::from),
            of_rounded: plain(left, right, shape),
            sizes: gemm_in_f64(left, right, shape, |value| f64::from(value.abs())),
            inner: shape[2],
        }
    }

    fn check(&self, what: &str, found: &[f32]) {
        assert_eq!(found.len(), self.exact.len(), "{what}");
        let sums = (self.inner + 2) as f64 * f64::powi(2.0, -24);
        for (((found, exact), of_rounded), size) in
            found.iter().zip(&self.exact).zip(&self.of_rounded).zip(&self.sizes)
        {
            let found = f64::from(*found);
            let inputs = f64::powi(2.0, -7) * (1.0 + f64::powi(2.0, -9));
            assert!(
                (found - of_rounded).abs() <= sums * size,
                "{what}: {found}, rounded inputs give {of_rounded}"
            );
            assert!((found - exact).abs() <= (inputs + sums) * size, "{what}: {found}, exact {exact}");
        }
    }
}
