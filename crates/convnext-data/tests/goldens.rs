//! Decoding, resizing and evaluation agree with Pillow and torchvision, whose results lie in
//! `tests/goldens` together with the script that made them.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::PathBuf;

use convnext_core::{Geometry, IMAGENET_MEAN, IMAGENET_STD, ImageSize, Interpolation, Preprocessing};
use convnext_data::{
    Image, Orientation, PreparedImage, Region, decode, prepare_for_evaluation, resize, resize_for_evaluation,
    resize_with,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    resize: Vec<Resize>,
    evaluation: Vec<Evaluation>,
    decode: Vec<Decode>,
}

#[derive(Deserialize)]
struct Resize {
    file: String,
    #[serde(rename = "box")]
    region: [f64; 4],
    size: [usize; 2],
}

#[derive(Deserialize)]
struct Evaluation {
    file: String,
    source: String,
    image_size: usize,
    crop: Option<f64>,
}

#[derive(Deserialize)]
struct Decode {
    file: String,
    expected: String,
    tolerance: u8,
    orientation: String,
}

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes("manifest.json")).unwrap()
}

fn image(name: &str) -> Image {
    decode(&bytes(name), name, 3, Orientation::Honour).unwrap()
}

/// The largest difference of two images of one size.
fn difference(a: &Image, b: &Image, what: &str) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()), "{what}");
    a.bytes().iter().zip(b.bytes()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn resizing_agrees_with_pillow() {
    let photo = image("photo.png");
    for Resize { file, region: [left, top, right, bottom], size } in manifest().resize {
        let region = Region { left, top, width: right - left, height: bottom - top };
        let resized = resize(&photo, region, size[0], size[1]);
        assert!(difference(&resized, &image(&file), &file) <= 1, "{file}");
    }
}

/// The sheet of `goldens/filters.py`: a row for each filter, a column for each size and region.
#[test]
fn resizing_with_every_filter_agrees_with_pillow() {
    let (photo, sheet) = (image("photo.png"), image("filters.png"));
    let cases = [
        ([32, 32], [0.0, 0.0, 97.0, 61.0]),
        ([113, 70], [0.0, 0.0, 97.0, 61.0]),
        ([33, 27], [10.3, 4.7, 70.5, 46.6]),
        ([90, 30], [30.0, 11.0, 71.0, 52.0]),
    ];
    for (row, interpolation) in Interpolation::PILLOW.into_iter().enumerate() {
        let mut left = 0;
        for ([width, height], [x, y, right, bottom]) in cases {
            let region = Region { left: x, top: y, width: right - x, height: bottom - y };
            let resized = resize_with(interpolation, &photo, region, width, height);
            let most = (0..width * height).flat_map(|site| {
                let (x, y) = (site % width, site / width);
                let (found, expected) = (resized.pixel(x, y), sheet.pixel(left + x, 70 * row + y));
                (0..3).map(move |colour| found[colour].abs_diff(expected[colour]))
            });
            // Lanczos overshoots most, and the result of the first step is rounded and cut off.
            let allowed = match interpolation {
                Interpolation::Nearest => 0,
                Interpolation::Lanczos => 2,
                _ => 1,
            };
            let most = most.max().unwrap();
            assert!(most <= allowed, "{interpolation:?}, {width} x {height}: {most} levels");
            left += width;
        }
    }
}

#[test]
fn evaluation_agrees_with_torchvision() {
    for Evaluation { file, source, image_size, crop } in manifest().evaluation {
        let size = ImageSize::square(image_size);
        let geometry = crop.map_or(Geometry::Warp { size }, |crop| Geometry::CentreCrop { size, crop });
        let preprocessing = Preprocessing { geometry, ..Preprocessing::for_size(size, 3) };
        let source = image(&source);
        let expected = image(&file);
        let cropped = resize_for_evaluation(&source, &preprocessing);
        assert!(difference(&cropped, &expected, &file) <= 1, "{file}");

        let PreparedImage { values, size } = prepare_for_evaluation(&source, &preprocessing);
        assert_eq!((size, values.len()), (image_size.into(), 3 * image_size * image_size));
        for (index, value) in values.into_iter().enumerate() {
            let (colour, pixel) = (index / (image_size * image_size), index % (image_size * image_size));
            let level = f32::from(expected.pixel(pixel % image_size, pixel / image_size)[colour]);
            let wanted = (level / 255.0 - IMAGENET_MEAN[colour]) / IMAGENET_STD[colour];
            assert!((value - wanted).abs() * IMAGENET_STD[colour] <= 1.001 / 255.0, "{file}: value {index}");
        }
    }
}

#[test]
fn decoding_agrees_with_pillow() {
    for Decode { file, expected, tolerance, orientation } in manifest().decode {
        let orientation = if orientation == "honour" { Orientation::Honour } else { Orientation::Ignore };
        let decoded = decode(&bytes(&file), &file, 3, orientation).unwrap();
        let what = format!("{file} {orientation:?}");
        assert!(difference(&decoded, &image(&expected), &what) <= tolerance, "{what}");
    }
}

#[test]
fn cut_files_are_refused() {
    for Decode { file, .. } in manifest().decode {
        let whole = bytes(&file);
        for length in [0, 1, 10, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 40] {
            let result = decode(&whole[..length], &file, 3, Orientation::Honour);
            let Err(error) = result else {
                panic!("{file} cut to {length} of {} bytes is read", whole.len())
            };
            assert!(error.to_string().starts_with(&file), "{error}");
        }
    }
}

#[test]
fn a_jpeg_without_its_last_bytes_is_refused() {
    for file in ["rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"] {
        let whole = bytes(file);
        for missing in 1..100 {
            let result = decode(&whole[..whole.len() - missing], file, 3, Orientation::Ignore);
            assert!(result.is_err(), "{file} without its last {missing} bytes is read");
        }
    }
}
