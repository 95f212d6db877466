//! The loss of pixels against f64.

use super::*;
use crate::isa::isa_levels;
use crate::testing::noise;

/// The two sites that a pixel lies between, and the share of the second, in f64.
fn places(source: usize, target: usize) -> Vec<(usize, usize, f64)> {
    let place = |pixel: usize| {
        let at = ((pixel as f64 + 0.5) * source as f64 / target as f64 - 0.5).max(0.0);
        let first = at as usize;
        (first, (first + 1).min(source - 1), at - first as f64)
    };
    (0..target).map(place).collect()
}

/// Loss and gradient in f64, pixel by pixel.
fn reference(logits: &[f32], maps: LogitMaps, labels: PixelLabels<'_>) -> (f64, Vec<f64>) {
    let LogitMaps { images, height, width, classes } = maps;
    let (rows, columns) = (places(height, labels.height), places(width, labels.width));
    let (mut loss, mut gradient) = (0.0, vec![0.0; logits.len()]);
    for image in 0..images {
        for (y, &(upper, lower, v)) in rows.iter().enumerate() {
            for (x, &(left, right, u)) in columns.iter().enumerate() {
                let label = labels.labels[(image * labels.height + y) * labels.width + x];
                if label == IGNORED_LABEL {
                    continue;
                }
                let (label, weight) =
                    (usize::from(label), f64::from(labels.class_weights[usize::from(label)]));
                let place = |row, column| ((image * height + row) * width + column) * classes;
                let corners = [
                    (place(upper, left), (1.0 - v) * (1.0 - u)),
                    (place(upper, right), (1.0 - v) * u),
                    (place(lower, left), v * (1.0 - u)),
                    (place(lower, right), v * u),
                ];
                let value = |class: usize| -> f64 {
                    corners.iter().map(|(at, share)| share * f64::from(logits[at + class])).sum()
                };
                let sum: f64 = (0..classes).map(|class| value(class).exp()).sum();
                loss += weight * (sum.ln() - value(label));
                for class in 0..classes {
                    let target = if class == label { 1.0 } else { 0.0 };
                    let error = weight * (value(class).exp() / sum - target);
                    corners.iter().for_each(|(at, share)| gradient[at + class] += share * error);
                }
            }
        }
    }
    (loss, gradient)
}

fn labels_of(count: usize, classes: usize) -> Vec<u16> {
    let label = |value: f32| match (value + 1.0) / 2.0 * (classes as f32 + 1.0) {
        label if label as usize >= classes => IGNORED_LABEL,
        label => label as u16,
    };
    noise(count, 7).into_iter().map(label).collect()
}

#[test]
fn loss_and_gradient_are_those_of_f64() {
    for (classes, [height, width], [tall, wide]) in
        [(1, [1, 1], [3, 2]), (11, [3, 5], [12, 20]), (16, [4, 3], [13, 11]), (150, [5, 4], [3, 7])]
    {
        let maps = LogitMaps { images: 2, height, width, classes };
        let logits: Vec<f32> =
            noise(2 * height * width * classes, 3).into_iter().map(|value| 5.0 * value).collect();
        let labels = labels_of(2 * tall * wide, classes);
        let class_weights: Vec<f32> = (0..classes).map(|class| 0.5 + class as f32 / 10.0).collect();
        let labels =
            PixelLabels { labels: &labels, height: tall, width: wide, class_weights: &class_weights };
        let (expected, of_sites) = reference(&logits, maps, labels);
        for (name, arch) in isa_levels() {
            let (loss, gradient) = pixel_cross_entropy_on(arch, &logits, maps, labels);
            assert!((loss - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}: {loss} {expected}");
            for (found, expected) in gradient.iter().zip(&of_sites) {
                assert!((f64::from(*found) - expected).abs() < 2e-5, "{name}, {classes}: {found} {expected}");
            }
        }
    }
}

#[test]
fn pixels_without_a_label_are_no_loss() {
    let maps = LogitMaps { images: 1, height: 2, width: 2, classes: 3 };
    let labels = PixelLabels { labels: &[IGNORED_LABEL; 9], height: 3, width: 3, class_weights: &[1.0; 3] };
    let (loss, gradient) = pixel_cross_entropy(&noise(12, 1), maps, labels);
    assert_eq!((loss, &gradient[..]), (0.0, &[0.0; 12][..]));
}

#[test]
fn nan_of_any_class_reaches_the_loss_and_the_gradient() {
    let maps = LogitMaps { images: 1, height: 1, width: 2, classes: 19 };
    let labels = PixelLabels { labels: &[0, 1, 2], height: 1, width: 3, class_weights: &[1.0; 19] };
    for place in [0, 18, 19 + 7] {
        for value in [f32::NAN, f32::INFINITY] {
            let mut logits = noise(2 * 19, 1);
            logits[place] = value;
            for (name, arch) in isa_levels() {
                let (loss, gradient) = pixel_cross_entropy_on(arch, &logits, maps, labels);
                let site = place / 19 * 19;
                let all_nan = gradient[site..][..19].iter().all(|value| value.is_nan());
                assert!(loss.is_nan() && all_nan, "{name}, {place}, {value}: {loss}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let maps = LogitMaps { images: 2, height: 7, width: 5, classes: 11 };
    let (logits, labels) = (noise(2 * 7 * 5 * 11, 3), labels_of(2 * 13 * 9, 11));
    let labels = PixelLabels { labels: &labels, height: 13, width: 9, class_weights: &[1.5; 11] };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| pixel_cross_entropy(&logits, maps, labels))
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
