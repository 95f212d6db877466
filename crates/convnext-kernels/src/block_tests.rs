//! The block's kernels against a reference in f64, and its gradients against finite differences.

mod example;

use crate::block::block_forward;
use crate::block::input::BlockInput;
use crate::block::packed::PackedBlock;
use crate::block::saved::{Save, SavedActivations};
use crate::block_backward::block_backward;
use crate::block_tests::example::{Example, ROWS, list};
use crate::grn_variant::Normalisation;
use crate::precision::Precision;
use crate::sites::Sites;
use crate::target::targets;
use crate::testing::noise;

/// V2 and V1, dense and sparse, with and without dropped images, one and several image blocks and row
/// blocks.
fn examples() -> Vec<(&'static str, Example)> {
    let dense = |images, height, width| Sites::dense(images, height, width).unwrap();
    let tiled = Sites::tiled([2, 3], 2, vec![vec![0, 2, 5], vec![1, 3, 4], vec![2, 3, 5], vec![0, 1, 2]]);
    let mut examples = vec![
        ("V2, dense, odd", Example::new(dense(2, 5, 3), 5, true, false)),
        ("V2, sparse, dropped images", Example::new(tiled.clone().unwrap(), 8, true, true)),
        ("V1, sparse, dropped images", Example::new(tiled.clone().unwrap(), 6, false, true)),
        ("V1, one site", Example::new(dense(3, 1, 1), 4, false, false)),
        ("V2, several row_blocks of an image", Example::new(dense(1, 19, 23), 3, true, false)),
        ("V2, several image_blocks", Example::new(dense(4, 31, 33), 2, true, true)),
    ];
    examples.extend(variants(&Example::new(tiled.unwrap(), 5, true, true)));
    examples
}

/// Blocks in which one hidden unit is dead, its GELU 0 at every site, or all are, with each N that divides by a mean or
/// a deviation.
fn dead_units() -> Vec<(String, Example)> {
    let tiled = Sites::tiled([2, 2], 2, vec![vec![0, 3], vec![1, 2]]).unwrap();
    let grn = Example::new(tiled, 5, true, false);
    let norms = [Normalisation::Mean, Normalisation::Standardised, Normalisation::Sum];
    let of = |(norm, count): (Normalisation, usize)| {
        let example = grn.clone().with_variant(norm, true).with_dead_units(count);
        (format!("{norm:?}, {count} dead units"), example)
    };
    norms.into_iter().flat_map(|norm| [(norm, 1), (norm, 20)]).map(of).collect()
}

/// A block with each variant of GRN.
fn variants(grn: &Example) -> [(&'static str, Example); 5] {
    [
        ("no residual", Normalisation::Mean, false),
        ("standardised", Normalisation::Standardised, true),
        ("by the sum", Normalisation::Sum, true),
        ("no normalisation", Normalisation::Norm, true),
        ("no response", Normalisation::One, true),
    ]
    .map(|(what, normalisation, is_residual)| (what, grn.clone().with_variant(normalisation, is_residual)))
}

/// Norm of the difference over the norm of `expected`.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
    let difference = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
    difference / norm.max(1e-3)
}

#[test]
fn the_forward_matches_the_reference() {
    for (what, example) in examples() {
        check_forward(what, &example, &[(Precision::F32, 1e-6), (Precision::Bf16, 5e-3)]);
    }
}

fn check_forward(what: &str, example: &Example, precisions: &[(Precision, f64)]) {
    let expected = example.forward();
    for (name, target) in targets() {
        for &(precision, bound) in precisions {
            let (found, _) = example.with_weights(|rows, weights| {
                let packed = PackedBlock::new(weights, precision);
                block_forward(&example.input(target, rows, weights), &packed, Save::Nothing)
            });
            let error = error(&found, &expected);
            assert!(error < bound, "{what}, {name}, {precision:?}: {error}");
        }
    }
}

#[test]
fn every_gradient_matches_finite_differences() {
    for (what, example) in examples() {
        check_gradients(what, &example);
    }
}

fn check_gradients(what: &str, example: &Example) {
    let weight: Vec<f32> = noise(example.tensors[ROWS].len(), 99);
    let loss = |example: &Example| -> f64 {
        example.forward().iter().zip(&weight).map(|(out, weight)| out * f64::from(*weight)).sum()
    };
    for (name, target) in targets() {
        let gradients = example.gradients(target, Precision::F32, Save::Nothing, &weight);
        for (tensor, gradient) in gradients.iter().enumerate().filter(|(i, _)| example.has(*i)) {
            assert_eq!(gradient.len(), example.tensors[tensor].len());
            let norm = gradient.iter().map(|value| value * value).sum::<f32>().sqrt();
            // A few values of each tensor: the reference is slow.
            for place in (0..gradient.len()).step_by((gradient.len() / 4).max(1)) {
                let at = |step: f64| {
                    let mut moved = example.clone();
                    moved.tensors[tensor][place] += step;
                    loss(&moved)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                let error = (difference - f64::from(gradient[place])).abs() / f64::from(norm).max(1e-3);
                assert!(error < 2e-5, "{what}, {name}, tensor {tensor} at {place}: {error}");
            }
        }
    }
}

/// Their G is 0, where a root has no derivative. In bf16 their GELU is not quite 0, and one over a mean of nothing else
/// makes much of it: there gradients need only be finite.
#[test]
fn units_that_are_dead_have_values_and_gradients() {
    for (what, example) in dead_units() {
        check_forward(&what, &example, &[(Precision::F32, 1e-6)]);
        check_gradients(&what, &example);
        let dout = noise(example.tensors[ROWS].len(), 99);
        for (name, target) in targets() {
            let gradients = example.gradients(target, Precision::Bf16, Save::AsComputed, &dout);
            let are_finite = gradients.iter().flatten().all(|value| value.is_finite());
            assert!(are_finite, "{what}, {name}");
        }
    }
}

/// As close as rounding to 8 bits of mantissa allows. With very few channels LayerNorm would divide by
/// differences that are smaller than the rounding error.
#[test]
fn bf16_gradients_stay_close_to_f32_ones() {
    let dense = |images, height, width| Sites::dense(images, height, width).unwrap();
    let tiled = Sites::tiled([2, 3], 2, vec![vec![0, 2, 5], vec![1, 3, 4], vec![2, 3, 5], vec![0, 1, 2]]);
    let grn = Example::new(tiled.clone().unwrap(), 40, true, true);
    let examples = [
        ("V2, sparse, dropped images", grn.clone()),
        ("V1, sparse, dropped images", Example::new(tiled.unwrap(), 24, false, true)),
        ("V2, odd", Example::new(dense(2, 5, 3), 19, true, false)),
        ("V2, several image_blocks", Example::new(dense(4, 45, 47), 16, true, true)),
    ];
    for (what, example) in examples.into_iter().chain(variants(&grn)) {
        let dout = noise(example.tensors[ROWS].len(), 99);
        for (name, target) in targets() {
            let exact = example.gradients(target, Precision::F32, Save::AsComputed, &dout);
            for (precision, save) in [(Precision::F32, Save::Bf16), (Precision::Bf16, Save::AsComputed)] {
                let found = example.gradients(target, precision, save, &dout);
                for (tensor, (found, exact)) in found.iter().zip(&exact).enumerate() {
                    let exact: Vec<f64> = exact.iter().copied().map(f64::from).collect();
                    let error = error(found, &exact);
                    assert!(error < 2e-2, "{what}, {name}, {precision:?}, tensor {tensor}: {error}");
                }
            }
        }
    }
}

#[test]
fn saving_and_recomputing_give_the_same_bits_with_any_number_of_threads() {
    for (what, example) in examples() {
        let dout = noise(example.tensors[ROWS].len(), 5);
        for precision in [Precision::F32, Precision::Bf16] {
            let run = |threads: usize, save: Save| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                example.with_weights(|rows, weights| {
                    pool.install(|| {
                        let scales = example.scales.as_deref();
                        let input = BlockInput::new(&example.sites, rows, weights, scales);
                        let packed = PackedBlock::new(weights, precision);
                        let (out, saved) = block_forward(&input, &packed, save);
                        let gradients = block_backward(&input, precision, saved, &dout);
                        (out, gradients)
                    })
                })
            };
            let one = run(1, Save::AsComputed);
            for (threads, save) in
                [(2, Save::AsComputed), (3, Save::AsComputed), (1, Save::Nothing), (2, Save::Nothing)]
            {
                assert!(one == run(threads, save), "{what}, {precision:?}: {threads} threads, {save:?}");
            }
        }
    }
}

#[test]
fn activations_saved_in_bf16_take_half_the_memory_and_include_the_input() {
    for (what, example) in examples() {
        let dout = noise(example.tensors[ROWS].len(), 5);
        let channels = example.channels;
        example.with_weights(|rows, weights| {
            let input = |rows| BlockInput::new(&example.sites, rows, weights, example.scales.as_deref());
            let packed = PackedBlock::new(weights, Precision::F32);
            let run = |save| block_forward(&input(rows), &packed, save).1.unwrap();
            let (exact, rounded) = (run(Save::AsComputed), run(Save::Bf16));
            assert_eq!((exact.has_rows(), rounded.has_rows()), (false, true));
            // A row of an odd number of channels is padded by half a bf16x2 lane.
            let spare = 4 * example.sites.rows() * (channels % 2) / 2 * 2;
            assert_eq!(rounded.bytes() - spare, (exact.bytes() + 4 * rows.len()) / 2, "{what}");
            let gradients =
                |rows, saved| list(block_backward(&input(rows), Precision::F32, Some(saved), &dout));
            assert_eq!(gradients(rows, rounded.clone()), gradients(&[], rounded));
        });
    }
}

#[test]
#[should_panic(expected = "the activations were saved in this precision")]
fn a_backward_in_bf16_refuses_activations_in_f32() {
    let example = Example::new(Sites::dense(1, 2, 2).unwrap(), 4, true, false);
    example.with_weights(|rows, weights| {
        let input = BlockInput::new(&example.sites, rows, weights, None);
        let packed = PackedBlock::new(weights, Precision::F32);
        let (_, saved) = block_forward(&input, &packed, Save::AsComputed);
        block_backward(&input, Precision::Bf16, saved, rows)
    });
}

/// The branches of dropped images are neither computed nor saved.
#[test]
fn dropped_images_cost_nothing() {
    let mut example = Example::new(Sites::dense(3, 4, 4).unwrap(), 4, true, false);
    example.scales = Some(vec![0.0, 2.0, 0.0]);
    example.with_weights(|rows, weights| {
        let packed = PackedBlock::new(weights, Precision::F32);
        let input = BlockInput::new(&example.sites, rows, weights, example.scales.as_deref());
        let (out, saved) = block_forward(&input, &packed, Save::AsComputed);
        let SavedActivations { expanded, .. } = saved.unwrap();
        assert_eq!(expanded.len(), 16 * 16, "one image of 16 sites and 16 channels");
        assert_eq!((&out[..64], &out[128..]), (&rows[..64], &rows[128..]));
    });
}

/// A batch of several image blocks and partitions, with dropped images among the others.
#[test]
fn a_large_batch_is_its_images_one_by_one() {
    // Sums of squares are added in another order there, so that rounding to bf16 may differ.
    for (precision, bound) in [(Precision::F32, 1e-4), (Precision::Bf16, 2e-2)] {
        batch_is_its_images(precision, bound);
    }
}

fn batch_is_its_images(precision: Precision, bound: f32) {
    const IMAGES: usize = 60;
    let batch = Example::new(Sites::dense(IMAGES, 8, 8).unwrap(), 32, true, true);
    let active_images: Vec<usize> = (0..IMAGES).filter(|image| image % 3 != 0).collect();
    let image_blocks = crate::blocking::image_blocks(&batch.sites, &active_images, 128).len();
    assert!(image_blocks >= 3, "one image_block would test nothing: {image_blocks}");
    let dout = noise(batch.tensors[ROWS].len(), 5);
    let values = dout.len() / IMAGES;
    batch.with_weights(|rows, weights| {
        let packed = PackedBlock::new(weights, precision);
        let run = |sites: &Sites, rows: &[f32], scales: &[f32], dout: &[f32]| {
            let input = BlockInput::new(sites, rows, weights, Some(scales));
            let (out, saved) = block_forward(&input, &packed, Save::AsComputed);
            (out, list(block_backward(&input, precision, saved, dout)))
        };
        let scales = batch.scales.as_deref().unwrap();
        let (out, found) = run(&batch.sites, rows, scales, &dout);
        let mut sums = vec![Vec::new(); found.len()];
        let one = Sites::dense(1, 8, 8).unwrap();
        for image in 0..IMAGES {
            let place = image * values..(image + 1) * values;
            let scale = &scales[image..=image];
            let (image_out, gradients) = run(&one, &rows[place.clone()], scale, &dout[place.clone()]);
            check_close(&format!("output of image {image}"), &out[place], &image_out, bound);
            for (tensor, (sums, gradient)) in sums.iter_mut().zip(gradients).enumerate() {
                match tensor {
                    ROWS => sums.extend(gradient),
                    _ if sums.is_empty() => *sums = gradient,
                    _ => crate::split::add_to(sums, &gradient),
                }
            }
        }
        for (tensor, (found, sums)) in found.iter().zip(&sums).enumerate() {
            check_close(&format!("gradient of tensor {tensor}"), found, sums, bound);
        }
    });
}

fn check_close(what: &str, found: &[f32], expected: &[f32], bound: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < bound * largest, "{what} at {place}: {found}, {expected}");
    }
}
