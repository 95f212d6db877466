//! Batch norm against f64.

use super::*;
use crate::isa::isa_levels;
use crate::testing::noise;

fn check(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm = expected.iter().map(|value| value.abs()).fold(1.0, f64::max);
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs() / norm;
        assert!(error < 2e-5, "{what} {index}: {found}, {expected}");
    }
}

/// Rows whose mean is far from 0, several row blocks, and channels that do not divide the registers.
#[test]
fn forward_and_every_gradient_match_the_reference() {
    for (count, channels, has_relu) in
        [(1, 1, true), (7, 5, true), (7, 5, false), (3000, 33, true), (700, 128, true), (700, 128, false)]
    {
        // Means up to 40: the f32 nearest to a larger one is so far from it that the sum over 700 gradients shows it.
        let rows: Vec<f32> = (noise(count * channels, 1).iter().enumerate())
            .map(|(place, value)| value + (place % channels % 41) as f32)
            .collect();
        let [weight, bias] = [2, 3].map(|seed| noise(channels, seed));
        let dout = noise(count * channels, 4);
        let mut expected = [(); 3].map(|()| vec![0.0; count * channels]);
        let mut of_channels = [(); 4].map(|()| vec![0.0; channels]);
        for channel in 0..channels {
            let column = |values: &[f32]| -> Vec<f64> {
                (0..count).map(|row| f64::from(values[row * channels + channel])).collect()
            };
            let (x, d) = (column(&rows), column(&dout));
            let mean = x.iter().sum::<f64>() / count as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let (w, b) = (f64::from(weight[channel]), f64::from(bias[channel]));
            let normal: Vec<f64> = x.iter().map(|x| (x - mean) * inverse).collect();
            let is_active = |x: f64| !has_relu || x * w + b > 0.0;
            let d: Vec<f64> =
                d.iter().zip(&normal).map(|(d, x)| if is_active(*x) { *d } else { 0.0 }).collect();
            let dbias = d.iter().sum::<f64>();
            let dweight = d.iter().zip(&normal).map(|(d, x)| d * x).sum::<f64>();
            for row in 0..count {
                let place = row * channels + channel;
                expected[0][place] = if is_active(normal[row]) { normal[row] * w + b } else { 0.0 };
                expected[1][place] = w * inverse * (d[row] - (dbias + normal[row] * dweight) / count as f64);
            }
            for (values, value) in of_channels.iter_mut().zip([mean, variance, dweight, dbias]) {
                values[channel] = value;
            }
        }
        let layer = BatchNormLayer { weight: &weight, bias: &bias, has_relu };
        for (name, arch) in isa_levels() {
            let check = |what: &str, found: &[f32], expected: &[f64]| {
                check(&format!("{name}, {what}"), found, expected);
            };
            let (out, statistics) = forward_on(arch, &rows, &layer);
            check("out", &out, &expected[0]);
            check("mean", &statistics.mean, &of_channels[0]);
            check("variance", &statistics.variance, &of_channels[1]);
            let (drows, [dweight, dbias]) = backward_on(arch, (&rows, &dout), &layer, &statistics);
            check("rows", &drows, &expected[1]);
            check("weight", &dweight, &of_channels[2]);
            check("bias", &dbias, &of_channels[3]);
        }
    }
}

/// A branch may start with a weight and a bias of 0, and is to learn all the same.
#[test]
fn without_relu_a_value_of_exactly_zero_has_a_gradient() {
    let layer = BatchNormLayer { weight: &[0.0], bias: &[0.0], has_relu: false };
    let with_relu = BatchNormLayer { has_relu: true, ..layer };
    let (rows, dout) = ([1.0, 3.0], [0.25, 1.0]);
    for (name, arch) in isa_levels() {
        let (out, statistics) = forward_on(arch, &rows, &layer);
        assert_eq!(*out, [0.0; 2], "{name}");
        let (_, [dweight, dbias]) = backward_on(arch, (&rows, &dout), &layer, &statistics);
        assert_eq!(dbias, [1.25], "{name}");
        assert!((dweight[0] - 0.75).abs() < 1e-4, "{name}: {dweight:?}");
        let (_, gradients) = backward_on(arch, (&rows, &dout), &with_relu, &statistics);
        assert_eq!(gradients, [[0.0], [0.0]], "{name}");
    }
}

/// A sum of squares would lose every digit here.
#[test]
fn a_large_mean_does_not_hide_the_variance() {
    let rows: Vec<f32> = noise(5000, 1).iter().map(|value| 10_000.0 + value).collect();
    let layer = BatchNormLayer { weight: &[1.0], bias: &[0.0], has_relu: true };
    let mean = rows.iter().map(|x| f64::from(*x)).sum::<f64>() / 5000.0;
    let variance = rows.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / 5000.0;
    for (name, arch) in isa_levels() {
        let (_, statistics) = forward_on(arch, &rows, &layer);
        let error = f64::from(statistics.variance[0]) / variance - 1.0;
        assert!(error.abs() < 1e-4, "{name}: {statistics:?}, {variance}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (rows, dout) = (noise(5000 * 24, 1), noise(5000 * 24, 2));
    let layer = BatchNormLayer { weight: &rows[..24], bias: &rows[24..48], has_relu: true };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (out, statistics) = batch_norm_forward(&rows, &layer);
            let gradients = batch_norm_backward(&rows, &layer, &statistics, &dout);
            (out, statistics, gradients)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
