//! Inference against a plain reference, which makes every map whole.

use convnext_core::{Fit, Geometry, Seed, UperNetConfig, find_model};
use convnext_data::normalize;
use convnext_nn::{FeatureMaps, resize_bilinear, tensor_values};

use super::*;

const CLASSES: usize = 3;

fn network() -> UperNet {
    let backbone = ModelConfig { classes: CLASSES, ..find_model("micro").unwrap().config() };
    let head = UperNetConfig { head_width: 8, auxiliary_width: None };
    UperNet::new(&backbone, &head, Seed(3), &Device::flex()).unwrap()
}

fn image(height: usize, width: usize) -> Image {
    let bytes = (0..3 * height * width).map(|place| (place * 37 % 251 + place / 97 % 5) as u8).collect();
    Image::new(width, height, 3, bytes).unwrap()
}

fn preprocessing(geometry: Geometry) -> Preprocessing {
    Preprocessing { geometry, ..Preprocessing::for_size(64, 3) }
}

/// Maps `[height, width, classes]` in another size, by the operation of the network's layers.
fn resized(values: Vec<f32>, from: ImageSize, to: ImageSize) -> Vec<f32> {
    let rows = Tensor::<2>::from_data(TensorData::new(values, [from.pixels(), CLASSES]), &Device::flex());
    let maps = FeatureMaps { rows, images: 1, height: from.height, width: from.width };
    tensor_values(resize_bilinear(maps, to.height, to.width).rows)
}

/// The logits of a whole image at the size of the network's input: of windows that `starts` names along both sides.
fn input_logits(
    model: &UperNet,
    image: &Image,
    [tops, lefts]: [&[usize]; 2],
    window: ImageSize,
    preprocessing: &Preprocessing,
) -> Vec<f32> {
    let size = image.size();
    let pixels = normalize(image, &preprocessing.mean, &preprocessing.std);
    let (mut sums, mut counts) = (vec![0.0; size.pixels() * CLASSES], vec![0.0; size.pixels()]);
    for &top in tops {
        for &left in lefts {
            let part: Vec<f32> = (0..3 * window.pixels())
                .map(|place| {
                    let (channel, y) = (place / window.pixels(), place / window.width % window.height);
                    let x = place % window.width;
                    pixels[(channel * size.height + top + y) * size.width + left + x]
                })
                .collect();
            let shape = [1, 3, window.height, window.width];
            let maps =
                model.forward(Tensor::from_data(TensorData::new(part, shape), &Device::flex())).unwrap();
            let small = ImageSize { height: maps.height, width: maps.width };
            let logits = resized(tensor_values(maps.rows), small, window);
            for (place, logits) in logits.chunks(CLASSES).enumerate() {
                let at = (top + place / window.width) * size.width + left + place % window.width;
                counts[at] += 1.0;
                sums[at * CLASSES..][..CLASSES].iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit);
            }
        }
    }
    sums.iter().enumerate().map(|(place, sum)| sum / counts[place / CLASSES]).collect()
}

fn scores(image: &Image, preprocessing: &Preprocessing, options: &InferenceOptions) -> Vec<f32> {
    let (model, mut all) = (network(), Vec::new());
    for_each_score_band((&model, &Device::flex()), image, preprocessing, options, |band| {
        assert_eq!(band.first_row * image.width() * CLASSES, all.len());
        all.extend(band.scores);
        Ok::<(), TrainError>(())
    })
    .unwrap();
    all
}

fn check(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-5, "{largest}");
}

#[test]
fn windows_are_averaged_as_a_plain_reference_does() {
    let (image, preprocessing) = (image(75, 110), preprocessing(Geometry::None { pad: 1 }));
    let window = SlidingWindow { crop: 48, stride: 32 };
    let slide = InferenceOptions { mode: InferenceMode::Slide(window), batch_size: 2, ..Default::default() };
    let found = scores(&image, &preprocessing, &slide);
    let starts: [&[usize]; 2] = [&[0, 27], &[0, 32, 62]];
    check(&found, &input_logits(&network(), &image, starts, ImageSize::square(48), &preprocessing));
    let whole = scores(&image, &preprocessing, &InferenceOptions::default());
    check(&whole, &input_logits(&network(), &image, [&[0], &[0]], image.size(), &preprocessing));
}

#[test]
fn logits_are_resized_to_the_image() {
    let (image, preprocessing) =
        (image(75, 110), preprocessing(Geometry::Fit(Fit { long: 100, short: 64, pad: 1 })));
    let input = ImageSize { height: 64, width: 94 };
    let small = resize_with(preprocessing.interpolation, &image, Region::whole(&image), 94, 64);
    let logits = input_logits(&network(), &small, [&[0], &[0]], input, &preprocessing);
    let found = scores(&image, &preprocessing, &InferenceOptions::default());
    check(&found, &resized(logits, input, image.size()));
}

#[test]
fn several_looks_are_the_mean_of_probabilities() {
    let (image, preprocessing) = (image(64, 70), preprocessing(Geometry::None { pad: 1 }));
    let options = InferenceOptions { scales: vec![1.0, 1.25], flip: true, ..InferenceOptions::default() };
    let mut expected = vec![0.0; image.size().pixels() * CLASSES];
    for (height, width) in [(64, 70), (80, 88)] {
        let input = ImageSize { height, width };
        let scaled = match input == image.size() {
            true => image.clone(),
            false => resize_with(preprocessing.interpolation, &image, Region::whole(&image), width, height),
        };
        for mirrored in [false, true] {
            let mirror = |values: Vec<f32>, channels: usize| -> Vec<f32> {
                let rows = values.chunks(width * channels);
                rows.flat_map(|row| row.chunks(channels).rev().flatten().copied().collect::<Vec<_>>())
                    .collect()
            };
            let seen = match mirrored {
                false => scaled.clone(),
                true => {
                    let values = scaled.bytes().iter().map(|&byte| f32::from(byte)).collect();
                    let bytes = mirror(values, 3).into_iter().map(|value| value as u8).collect();
                    Image::new(width, height, 3, bytes).unwrap()
                }
            };
            let logits = input_logits(&network(), &seen, [&[0], &[0]], input, &preprocessing);
            let logits = if mirrored { mirror(logits, CLASSES) } else { logits };
            let logits = resized(logits, input, image.size());
            for (sums, logits) in expected.chunks_mut(CLASSES).zip(logits.chunks(CLASSES)) {
                let all: f32 = logits.iter().map(|logit| logit.exp()).sum();
                sums.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit.exp() / all / 4.0);
            }
        }
    }
    check(&scores(&image, &preprocessing, &options), &expected);
}

/// The logits are those of the image with 0 below and at the right.
#[test]
fn padding_is_cut_off() {
    let image = image(60, 50);
    // Black pixels are 0 then.
    let padded = Preprocessing { mean: vec![0.0; 3], ..preprocessing(Geometry::None { pad: 64 }) };
    let mut bytes = vec![0; 3 * 64 * 64];
    for (line, of_image) in bytes.chunks_exact_mut(3 * 64).zip(image.bytes().chunks_exact(3 * 50)) {
        line[..3 * 50].copy_from_slice(of_image);
    }
    let whole = Image::new(64, 64, 3, bytes).unwrap();
    let logits = input_logits(&network(), &whole, [&[0], &[0]], whole.size(), &padded);
    let expected: Vec<f32> =
        logits.chunks_exact(64 * CLASSES).take(60).flat_map(|line| &line[..50 * CLASSES]).copied().collect();
    check(&scores(&image, &padded, &InferenceOptions::default()), &expected);
}

#[test]
fn large_inputs_are_taken_by_windows_unless_the_whole_is_asked_for() {
    let options = InferenceOptions::default();
    let count = |options: &InferenceOptions, height| {
        let grid = options.grid(ImageSize { height, width: 2048 });
        grid.tops.len() * grid.lefts.len()
    };
    assert_eq!((count(&options, 2048), count(&options, 2049)), (1, 36));
    let whole = InferenceOptions { large_inputs: None, ..options };
    assert_eq!(count(&whole, 10_000), 1);
}

#[test]
fn an_image_smaller_than_a_window_is_taken_as_it_is() {
    let (image, preprocessing) = (image(40, 36), preprocessing(Geometry::None { pad: 1 }));
    let window = InferenceMode::Slide(SlidingWindow { crop: 64, stride: 42 });
    let slide = InferenceOptions { mode: window, ..InferenceOptions::default() };
    let whole = scores(&image, &preprocessing, &InferenceOptions::default());
    assert_eq!(scores(&image, &preprocessing, &slide), whole);
}

#[test]
fn bands_do_not_change_the_classes() {
    // 700 x 2100 pixels of three classes are more than one band.
    let (image, preprocessing) = (image(700, 2100), preprocessing(Geometry::None { pad: 1 }));
    let window = InferenceMode::Slide(SlidingWindow { crop: 350, stride: 350 });
    let options = InferenceOptions { mode: window, ..InferenceOptions::default() };
    let scores = scores(&image, &preprocessing, &options);
    let labels = segment((&network(), &Device::flex()), &image, &preprocessing, &options).unwrap();
    assert_eq!(labels.labels, highest(&scores, CLASSES));
    let starts: [&[usize]; 2] = [&[0, 350], &[0, 350, 700, 1050, 1400, 1750]];
    check(&scores, &input_logits(&network(), &image, starts, ImageSize::square(350), &preprocessing));
}

#[test]
fn what_leaves_pixels_out_is_refused() {
    let preprocessing = Preprocessing::for_size(64, 3);
    let crop = Preprocessing {
        geometry: Geometry::CentreCrop { size: ImageSize::square(64), crop: 0.875 },
        ..preprocessing
    };
    let error = segment((&network(), &Device::flex()), &image(70, 70), &crop, &InferenceOptions::default());
    assert!(error.unwrap_err().to_string().contains("keeps the whole image"));
    for bad in [
        InferenceOptions { scales: vec![], ..InferenceOptions::default() },
        InferenceOptions { scales: vec![f64::NAN], ..InferenceOptions::default() },
        InferenceOptions { batch_size: 0, ..InferenceOptions::default() },
    ] {
        assert!(bad.validate().is_err(), "{bad:?}");
    }
}

#[test]
fn windows_and_scales_too_small_for_the_network_are_named() {
    let (model, device) = (network(), Device::flex());
    let least = model.config().patch_size();
    let plain = preprocessing(Geometry::None { pad: 1 });
    let fail = |options: InferenceOptions, side: usize| {
        segment((&model, &device), &image(side, side), &plain, &options).unwrap_err().to_string()
    };
    let small = SlidingWindow::of_crop(least - 1);
    let of_crop = format!("crop {} leaves", least - 1);
    let slide = InferenceOptions { mode: InferenceMode::Slide(small), ..InferenceOptions::default() };
    let large = InferenceOptions { large_inputs: Some(small), ..InferenceOptions::default() };
    for options in [slide, large] {
        let message = fail(options, 70);
        assert!(message.contains(&of_crop) && message.contains(&format!("at least {least}")), "{message}");
    }
    let scales = InferenceOptions { scales: vec![1.0, 0.01], ..InferenceOptions::default() };
    let message = fail(scales.clone(), 70);
    assert!(
        message.contains("scale 0.01 leaves 1x1 pixels") && message.contains("a larger scale"),
        "{message}"
    );
    // An image that is too small at any scale.
    assert!(fail(scales, least - 1).contains("is too small"));
}
