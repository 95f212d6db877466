//! Convolutions against f64, on every instruction set and in both precisions.

use super::*;
use crate::target::targets;
use crate::testing::noise;

/// A convolution and its gradients.
struct Case {
    maps: DenseMaps,
    inputs: usize,
    outputs: usize,
    side: usize,
    rows: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dout: Vec<f32>,
}

impl Case {
    fn new([images, height, width]: [usize; 3], [inputs, outputs]: [usize; 2], side: usize) -> Self {
        let maps = DenseMaps { images, height, width };
        Self {
            maps,
            inputs,
            outputs,
            side,
            rows: noise(maps.rows() * inputs, 1),
            weight: noise(outputs * inputs * side * side, 2),
            bias: noise(outputs, 3),
            dout: noise(maps.rows() * outputs, 4),
        }
    }

    fn weight(&self) -> ConvolutionWeight<'_> {
        ConvolutionWeight { values: &self.weight, outputs: self.outputs, inputs: self.inputs }
    }

    /// The sums, the gradient of the rows and that of the weight, in f64.
    fn reference(&self) -> [Vec<f64>; 3] {
        let DenseMaps { height, width, .. } = self.maps;
        let (count, taps, margin) = (self.maps.rows(), self.side * self.side, self.side / 2);
        let mut sums = vec![0.0; count * self.outputs];
        let mut drows = vec![0.0; count * self.inputs];
        let mut dweight = vec![0.0; self.weight.len()];
        for row in 0..count {
            let (first, y, x) = (row - row % (height * width), row / width % height, row % width);
            for tap in 0..taps {
                let (v, u) = (y + tap / self.side, x + tap % self.side);
                if !(margin..height + margin).contains(&v) || !(margin..width + margin).contains(&u) {
                    continue;
                }
                let source = first + (v - margin) * width + u - margin;
                for output in 0..self.outputs {
                    for input in 0..self.inputs {
                        let place = (output * self.inputs + input) * taps + tap;
                        let x = f64::from(self.rows[source * self.inputs + input]);
                        let w = f64::from(self.weight[place]);
                        let d = f64::from(self.dout[row * self.outputs + output]);
                        sums[row * self.outputs + output] += x * w;
                        drows[source * self.inputs + input] += d * w;
                        dweight[place] += d * x;
                    }
                }
            }
        }
        [sums, drows, dweight]
    }
}

fn cases() -> Vec<Case> {
    let maps = [[1, 1, 1], [2, 1, 7], [3, 5, 3], [1, 33, 9]];
    let channels = [[1, 1], [3, 5], [17, 33], [40, 16]];
    let small = maps.into_iter().flat_map(|maps| channels.map(|channels| Case::new(maps, channels, 3)));
    small
        .chain([
            // Several row blocks, strips, panels and KC blocks, whole and not.
            Case::new([2, 19, 17], [64, 64], 3),
            Case::new([1, 6, 5], [300, 130], 3),
            Case::new([1, 4, 4], [32, 70], 3),
            Case::new([2, 5, 3], [17, 33], 1),
        ])
        .collect()
}

fn check(what: &str, bound: f64, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm = expected.iter().map(|value| value.abs()).fold(1.0, f64::max);
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs() / norm;
        assert!(error < bound, "{what}, {index}: {found}, {expected}");
    }
}

#[test]
fn forward_and_gradients_match_the_reference() {
    for case in cases() {
        let [sums, drows, dweight] = case.reference();
        let with_bias = |sum: usize| sums[sum] + f64::from(case.bias[sum % case.outputs]);
        let biased: Vec<f64> = (0..sums.len()).map(with_bias).collect();
        let cut: Vec<f64> = biased.iter().map(|value| value.max(0.0)).collect();
        for (name, target) in targets() {
            for (precision, bound) in [(Precision::F32, 2e-6), (Precision::Bf16, 8e-3)] {
                let name = format!("{name}, {precision:?}, {:?}, {}", case.maps, case.inputs);
                let packed = PackedConvolution::on(target, &case.weight(), precision);
                let run = |epilogue| forward(target, &case.rows, &case.maps, &packed, epilogue);
                check(&name, bound, &run(ConvolutionEpilogue::Plain), &sums);
                check(&name, bound, &run(ConvolutionEpilogue::Bias(&case.bias)), &biased);
                check(&name, bound, &run(ConvolutionEpilogue::BiasRelu(&case.bias)), &cut);
                let input = (&case.rows[..], &case.maps);
                let found = backward(target, input, (&case.weight(), precision), &case.dout, true);
                check(&format!("rows, {name}"), bound, &found.rows.unwrap(), &drows);
                check(&format!("weight, {name}"), bound, &found.weight, &dweight);
                let found = backward(target, input, (&case.weight(), precision), &case.dout, false);
                assert_eq!(found.rows, None);
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let case = Case::new([3, 13, 11], [70, 40], 3);
    let run = |threads, precision| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let packed = PackedConvolution::new(&case.weight(), precision);
            let epilogue = ConvolutionEpilogue::Bias(&case.bias);
            let out = convolution_forward(&case.rows, &case.maps, &packed, epilogue);
            let input = (&case.rows[..], &case.maps);
            (out, convolution_backward(input, &case.weight(), precision, &case.dout, true))
        })
    };
    for precision in [Precision::F32, Precision::Bf16] {
        let one = run(1, precision);
        assert_eq!(one, run(2, precision));
        assert_eq!(one, run(3, precision));
    }
}

/// A sum over all images would hide that one image's gradient leaks into another's.
#[test]
fn maps_do_not_see_each_other() {
    let both = Case::new([2, 4, 5], [6, 8], 3);
    let one = DenseMaps { images: 1, ..both.maps };
    let packed = PackedConvolution::new(&both.weight(), Precision::F32);
    let run =
        |rows: &[f32], maps: &DenseMaps| convolution_forward(rows, maps, &packed, ConvolutionEpilogue::Plain);
    let found = run(&both.rows, &both.maps);
    let (first, second) = both.rows.split_at(one.rows() * both.inputs);
    assert_eq!(found[..], [&run(first, &one)[..], &run(second, &one)[..]].concat());
    let gradient = |input: (&[f32], &DenseMaps), dout: &[f32]| {
        convolution_backward(input, &both.weight(), Precision::F32, dout, true)
    };
    let found = gradient((&both.rows, &both.maps), &both.dout);
    let (of_first, of_second) = both.dout.split_at(one.rows() * both.outputs);
    let [a, b] = [gradient((first, &one), of_first), gradient((second, &one), of_second)];
    assert_eq!(found.rows.unwrap()[..], [&a.rows.unwrap()[..], &b.rows.unwrap()[..]].concat());
    let sums: Vec<f64> = a.weight.iter().zip(&b.weight[..]).map(|(a, b)| f64::from(a + b)).collect();
    check("weight", 2e-6, &found.weight, &sums);
}

/// Precisions pad channels differently, and a 1x1 convolution has no use for its maps.
#[test]
fn rows_of_other_channels_or_maps_are_refused() {
    for (side, channels) in [(3, 17), (1, 17), (3, 40), (1, 40)] {
        for precision in [Precision::F32, Precision::Bf16] {
            let weight = Case::new([1, 4, 5], [20, 8], side);
            let packed = PackedConvolution::new(&weight.weight(), precision);
            let rows = noise(weight.maps.rows() * channels, 1);
            let run = || convolution_forward(&rows, &weight.maps, &packed, ConvolutionEpilogue::Plain);
            assert!(std::panic::catch_unwind(run).is_err(), "{side}, {channels}, {precision:?}");
        }
    }
}

#[test]
fn empty_maps_have_no_rows_and_a_gradient_of_zeros() {
    for (maps, side) in [([0, 4, 5], 3), ([2, 0, 5], 3), ([2, 4, 0], 3), ([2, 0, 5], 1)] {
        for precision in [Precision::F32, Precision::Bf16] {
            let case = Case::new(maps, [6, 8], side);
            let packed = PackedConvolution::new(&case.weight(), precision);
            let out = convolution_forward(&[], &case.maps, &packed, ConvolutionEpilogue::Plain);
            let found = convolution_backward((&[], &case.maps), &case.weight(), precision, &[], true);
            assert_eq!((out.len(), found.rows.unwrap().len()), (0, 0));
            assert!(
                found.weight.len() == case.weight.len() && found.weight.iter().all(|value| *value == 0.0)
            );
        }
    }
}
