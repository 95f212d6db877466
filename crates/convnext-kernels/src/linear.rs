//! A linear layer on rows, forward and backward: stem, downsampling, projection, prediction and head.
//!
//! Notation: R rows, I input and O output features.

use crate::bf16::columns::pack_columns;
use crate::bf16::gemm::Right;
use crate::bf16::gemm::epilogue::Store;
use crate::bf16::gemm::micro_tiles::Left;
use crate::bf16::implementation::{Bf16, bf16};
use crate::bf16::packed::PackedBf16;
use crate::bf16::rows::pack_rows;
use crate::bf16::{columns, gemm as bf16_gemm};
use crate::buffer::Buffer;
use crate::gemm::gemm;
use crate::gemm::weight_gradient::gemm_tn_accumulate;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::precision::Precision;
use crate::profile::Kernel;
use crate::split::add_to;
use crate::target::{Target, target};

/// Row blocks of a call, so that all cores have work, and the rows of one: minimum and maximum.
const ROW_BLOCKS: usize = 8;
const BLOCK_ROWS: [usize; 2] = [32, 256];

/// The gradients of a linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGradients {
    /// Of the input, `[R, I]`, if it was requested.
    pub rows: Option<Buffer>,
    /// `[O, I]`.
    pub weight: Vec<f32>,
    /// `[O]`.
    pub bias: Vec<f32>,
}

/// The packed weight of a linear layer, for [`linear_forward`].
#[derive(Debug)]
pub struct PackedLinear(PackedLayer);

#[derive(Debug)]
enum PackedLayer {
    F32(Packed),
    Bf16(PackedBf16),
}

impl PackedLinear {
    /// Packs a weight `[O, I]`. The result can be reused until the weight changes.
    ///
    /// # Panics
    /// When the sizes do not fit each other.
    pub fn new(weight: &[f32], outputs: usize, precision: Precision) -> Self {
        let matrix = Matrix::new(weight, outputs, inputs_of(weight, outputs)).transposed();
        Self(match precision {
            Precision::F32 => PackedLayer::F32(Packed::new(matrix)),
            Precision::Bf16 => PackedLayer::Bf16(PackedBf16::new(bf16(), matrix)),
        })
    }
}

/// The input that a bf16 linear layer saves for its backward, row-packed.
#[derive(Debug, Clone)]
pub struct SavedLinear(Buffer);

impl SavedLinear {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len() * size_of::<f32>()
    }
}

/// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with a packed weight `[O, I]` and a bias `[O]`. With `save`
/// a bf16 layer also returns the input that [`linear_backward`] takes in place of the rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_forward(
    rows: &[f32],
    packed: &PackedLinear,
    bias: &[f32],
    save: bool,
) -> (Buffer, Option<SavedLinear>) {
    forward(target(), rows, packed, bias, save)
}

/// The input of a linear layer.
#[derive(Debug, Clone, Copy)]
pub enum LinearInput<'a> {
    /// The rows, for a backward in f32.
    Rows(&'a [f32]),
    /// The input that the forward saved, for a backward in bf16.
    Bf16(&'a SavedLinear),
}

/// The gradients of [`linear_forward`] for an output gradient `[R, O]`, in the precision of the input. The
/// first layer of a network needs no gradient of its rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_backward(
    input: LinearInput<'_>,
    weight: &[f32],
    outputs: usize,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    let weight = Matrix::new(weight, outputs, inputs_of(weight, outputs));
    backward(target(), input, weight, dout, wants_rows)
}

fn forward(
    Target { arch, bf16 }: Target,
    rows: &[f32],
    PackedLinear(layer): &PackedLinear,
    bias: &[f32],
    save: bool,
) -> (Buffer, Option<SavedLinear>) {
    let (inputs, outputs) = match layer {
        PackedLayer::F32(right) => (right.inner, right.columns),
        PackedLayer::Bf16(right) => (right.inner, right.columns),
    };
    assert_eq!(bias.len(), outputs, "there is a bias for each output");
    let count = count_rows(rows, inputs);
    let mc = block_rows(count);
    let mut out = Buffer::take(count * outputs);
    match layer {
        PackedLayer::F32(right) => {
            let work = out.chunks_mut(mc * outputs).zip(rows.chunks(mc * inputs));
            parallel::for_each(work, |(out, rows)| {
                out.chunks_exact_mut(outputs).for_each(|out| out.copy_from_slice(bias));
                let left = Matrix::new(rows, rows.len() / inputs, inputs);
                gemm(arch, Kernel::GemmForward, left, right, out, true);
            });
            (out, None)
        }
        PackedLayer::Bf16(right) => {
            bf16_linear(bf16, Kernel::GemmForward, rows, right, Some(bias), &mut out);
            (out, save.then(|| SavedLinear(pack_rows(bf16, rows, inputs))))
        }
    }
}

fn backward(
    target: Target,
    input: LinearInput<'_>,
    weight: Matrix<'_>,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    let Target { arch, bf16 } = target;
    let (outputs, inputs) = (weight.rows, weight.columns);
    let count = count_rows(dout, outputs);
    let mut drows = wants_rows.then(|| Buffer::take(count * inputs));
    let mut dweight = vec![0.0; outputs * inputs];
    match input {
        LinearInput::Rows(rows) => {
            assert_eq!(rows.len(), count * inputs, "there is an output gradient for each row");
            if let Some(drows) = &mut drows {
                let (right, mc) = (Packed::new(weight), block_rows(count));
                let work = drows.chunks_mut(mc * inputs).zip(dout.chunks(mc * outputs));
                parallel::for_each(work, |(drows, dout)| {
                    let left = Matrix::new(dout, dout.len() / outputs, outputs);
                    gemm(arch, Kernel::GemmInputGradient, left, &right, drows, false);
                });
            }
            let [left, right] = [(dout, outputs), (rows, inputs)]
                .map(|(values, columns)| Matrix::new(values, count, columns));
            gemm_tn_accumulate(arch, left, right, &mut dweight);
        }
        LinearInput::Bf16(SavedLinear(rows)) => {
            if let Some(drows) = &mut drows {
                let right = PackedBf16::new(bf16, weight);
                bf16_linear(bf16, Kernel::GemmInputGradient, dout, &right, None, drows);
            }
            let left = pack_rows(bf16, dout, outputs);
            let sides = [left.bf16x2(), rows.bf16x2()];
            bf16_gemm::gemm_tn_accumulate(bf16, sides, [outputs, inputs], &mut dweight);
        }
    }
    LinearGradients { rows: drows, weight: dweight, bias: column_sums(dout, outputs) }
}

/// `rows right + bias` in bf16, by row blocks.
fn bf16_linear(
    bf16: Bf16,
    kernel: Kernel,
    rows: &[f32],
    right: &PackedBf16,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let (inputs, outputs) = (right.inner, right.columns);
    let bf16x2 = pack_columns(bf16, rows, inputs);
    let mc = block_rows(rows.len() / inputs);
    let work = out.chunks_mut(mc * outputs).zip(bf16x2.bf16x2().chunks(mc * columns::bf16x2_count(inputs)));
    parallel::for_each(work, |(out, bf16x2)| {
        let rows = 0..out.len() / outputs;
        let mut epilogue = Store { out, columns: outputs, bias };
        let (left, right) = (Left::Columns(bf16x2), Right::Packed(right));
        bf16_gemm::gemm(bf16, kernel, left, rows, &right, &mut epilogue);
    });
}

fn inputs_of(weight: &[f32], outputs: usize) -> usize {
    assert!(outputs > 0 && !weight.is_empty(), "the layer has inputs and outputs");
    assert!(weight.len().is_multiple_of(outputs), "the weight is [O, I]");
    weight.len() / outputs
}

fn count_rows(rows: &[f32], inputs: usize) -> usize {
    assert!(rows.len().is_multiple_of(inputs), "the rows are [R, features]");
    rows.len() / inputs
}

fn block_rows(count: usize) -> usize {
    count.div_ceil(ROW_BLOCKS).clamp(BLOCK_ROWS[0], BLOCK_ROWS[1])
}

/// Column sums of `[R, columns]`: partial sums of row blocks, added in order.
fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let partial = parallel::map(values.chunks(BLOCK_ROWS[1] * columns), |values| {
        let mut sums = vec![0.0; columns];
        values.chunks_exact(columns).for_each(|row| add_to(&mut sums, row));
        sums
    });
    let mut sums = vec![0.0; columns];
    partial.iter().for_each(|partial| add_to(&mut sums, partial));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::targets;
    use crate::testing::noise;

    #[test]
    fn forward_and_gradients_match_the_reference() {
        for (count, inputs, outputs) in [(1, 1, 1), (3, 5, 7), (300, 48, 40), (70, 160, 33), (0, 4, 2)] {
            let [rows, dout] = [noise(count * inputs, 1), noise(count * outputs, 2)];
            let [weight, bias] = [noise(inputs * outputs, 3), noise(outputs, 4)];
            let x = |row: usize, input: usize| f64::from(rows[row * inputs + input]);
            let d = |row: usize, output: usize| f64::from(dout[row * outputs + output]);
            let w = |output: usize, input: usize| f64::from(weight[output * inputs + input]);
            let table = |rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                (0..rows * columns).map(|place| value(place / columns, place % columns)).collect()
            };
            let out = table(count, outputs, &|row, output| {
                f64::from(bias[output])
                    + (0..inputs).map(|input| x(row, input) * w(output, input)).sum::<f64>()
            });
            let drows = table(count, inputs, &|row, input| {
                (0..outputs).map(|output| d(row, output) * w(output, input)).sum()
            });
            let dweight = table(outputs, inputs, &|output, input| {
                (0..count).map(|row| d(row, output) * x(row, input)).sum()
            });
            let dbias = table(1, outputs, &|_, output| (0..count).map(|row| d(row, output)).sum());
            for (name, target) in targets() {
                for (precision, bound) in [(Precision::F32, 1e-4), (Precision::Bf16, 5e-3)] {
                    let check = |what: &str, found: &[f32], expected: &[f64]| {
                        assert_eq!(found.len(), expected.len(), "{what}");
                        let norm = expected.iter().map(|value| value * value).sum::<f64>().sqrt().max(1.0);
                        for (found, expected) in found.iter().zip(expected) {
                            let error = (f64::from(*found) - expected).abs() / norm;
                            assert!(
                                error < bound,
                                "{name}, {count} x {inputs} to {outputs}, {what}: {error}"
                            );
                        }
                    };
                    let packed = PackedLinear::new(&weight, outputs, precision);
                    let (found, saved) = forward(target, &rows, &packed, &bias, true);
                    check("out", &found, &out);
                    assert_eq!(saved.is_some(), precision == Precision::Bf16);
                    let input = saved.as_ref().map_or(LinearInput::Rows(&rows), LinearInput::Bf16);
                    let matrix = Matrix::new(&weight, outputs, inputs);
                    let found = backward(target, input, matrix, &dout, true);
                    check("rows", &found.rows.unwrap(), &drows);
                    check("weight", &found.weight, &dweight);
                    check("bias", &found.bias, &dbias);
                    assert_eq!(backward(target, input, matrix, &dout, false).rows, None);
                }
            }
        }
    }
}
