//! Linear layers against f64, on every instruction set and in both precisions.

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
            f64::from(bias[output]) + (0..inputs).map(|input| x(row, input) * w(output, input)).sum::<f64>()
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
                        assert!(error < bound, "{name}, {count} x {inputs} to {outputs}, {what}: {error}");
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
