//! A linear layer on rows, forward and backward: what stem, downsampling, projection, prediction and head
//! multiply with.
//!
//! Letters: R rows, I values of a row that goes in, O of one that comes out.

use pulp::Arch;

use crate::buffer::Buffer;
use crate::instructions::instructions;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::pieces::add_to;
use crate::product::{add_turned_product, product};
use crate::profile::Kernel;

/// Pieces that the rows should be cut into, so that all cores find work, and the rows of one: at least and
/// at most.
const PIECES: usize = 8;
const PIECE_ROWS: [usize; 2] = [32, 256];

/// The gradients of a linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGradients {
    /// Of what went in, `[R, I]`, if it was asked for.
    pub rows: Option<Buffer>,
    /// `[O, I]`.
    pub weight: Vec<f32>,
    /// `[O]`.
    pub bias: Vec<f32>,
}

/// The weight of a linear layer, ready for [`linear_forward`].
#[derive(Debug)]
pub struct PackedLinear(Packed);

impl PackedLinear {
    /// Packs a weight `[O, I]`. As long as it does not change, the result can be used again.
    ///
    /// # Panics
    /// When the sizes do not fit each other.
    pub fn new(weight: &[f32], outputs: usize) -> Self {
        let inputs = inputs_of(weight, outputs);
        Self(Packed::new(Matrix::new(weight, outputs, inputs).transposed()))
    }
}

/// `rows weight^T + bias`: `[R, I]` to `[R, O]`, with a packed weight `[O, I]` and a bias `[O]`.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_forward(rows: &[f32], packed: &PackedLinear, bias: &[f32]) -> Buffer {
    forward(instructions(), rows, packed, bias)
}

/// The gradients of [`linear_forward`] for an output gradient `[R, O]`. The first layer of a network does
/// not ask for that of its rows.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn linear_backward(
    rows: &[f32],
    weight: &[f32],
    outputs: usize,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    backward(instructions(), rows, weight, outputs, dout, wants_rows)
}

fn forward(arch: Arch, rows: &[f32], PackedLinear(right): &PackedLinear, bias: &[f32]) -> Buffer {
    let (inputs, outputs) = (right.inner, right.columns);
    assert_eq!(bias.len(), outputs, "there is a bias for each output");
    let count = count_rows(rows, inputs);
    let piece = piece_rows(count);
    let mut out = Buffer::take(count * outputs);
    parallel::for_each(out.chunks_mut(piece * outputs).zip(rows.chunks(piece * inputs)), |(out, rows)| {
        out.chunks_exact_mut(outputs).for_each(|out| out.copy_from_slice(bias));
        let left = Matrix::new(rows, rows.len() / inputs, inputs);
        product(arch, Kernel::ProductForward, left, right, out, true);
    });
    out
}

fn backward(
    arch: Arch,
    rows: &[f32],
    weight: &[f32],
    outputs: usize,
    dout: &[f32],
    wants_rows: bool,
) -> LinearGradients {
    let inputs = inputs_of(weight, outputs);
    let count = count_rows(rows, inputs);
    assert_eq!(dout.len(), count * outputs, "there is an output gradient for each row");
    let piece = piece_rows(count);
    let drows = wants_rows.then(|| {
        let right = Packed::new(Matrix::new(weight, outputs, inputs));
        let mut drows = Buffer::take(rows.len());
        let work = drows.chunks_mut(piece * inputs).zip(dout.chunks(piece * outputs));
        parallel::for_each(work, |(drows, dout)| {
            let left = Matrix::new(dout, dout.len() / outputs, outputs);
            product(arch, Kernel::ProductInputGradient, left, &right, drows, false);
        });
        drows
    });
    let mut dweight = vec![0.0; weight.len()];
    let [left, right] =
        [(dout, outputs), (rows, inputs)].map(|(values, columns)| Matrix::new(values, count, columns));
    add_turned_product(arch, left, right, &mut dweight);
    LinearGradients { rows: drows, weight: dweight, bias: column_sums(dout, outputs) }
}

fn inputs_of(weight: &[f32], outputs: usize) -> usize {
    assert!(outputs > 0 && !weight.is_empty(), "the layer has inputs and outputs");
    assert!(weight.len().is_multiple_of(outputs), "the weight is [O, I]");
    weight.len() / outputs
}

fn count_rows(rows: &[f32], inputs: usize) -> usize {
    assert!(rows.len().is_multiple_of(inputs), "rows are whole");
    rows.len() / inputs
}

fn piece_rows(count: usize) -> usize {
    count.div_ceil(PIECES).clamp(PIECE_ROWS[0], PIECE_ROWS[1])
}

/// The sums of the columns of `[R, columns]`, piece by piece and then in the order of the pieces.
fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let partial = parallel::map(values.chunks(PIECE_ROWS[1] * columns), |values| {
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
    use crate::instructions::ladder;
    use crate::testing::noise;

    #[test]
    fn forward_and_gradients_follow_the_definition() {
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
            for (name, arch) in ladder() {
                let check = |what: &str, found: &[f32], expected: &[f64]| {
                    assert_eq!(found.len(), expected.len(), "{what}");
                    for (found, expected) in found.iter().zip(expected) {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(error < 1e-4, "{name}, {count} x {inputs} to {outputs}, {what}: {error}");
                    }
                };
                let packed = PackedLinear::new(&weight, outputs);
                check("out", &forward(arch, &rows, &packed, &bias), &out);
                let found = backward(arch, &rows, &weight, outputs, &dout, true);
                check("rows", &found.rows.unwrap(), &drows);
                check("weight", &found.weight, &dweight);
                check("bias", &found.bias, &dbias);
                assert_eq!(backward(arch, &rows, &weight, outputs, &dout, false).rows, None);
            }
        }
    }
}
