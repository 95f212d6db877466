//! Decoding at the size of the crop changes little, and what cannot be decoded so is decoded as ever.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::PathBuf;

use convnext_core::{ImageSize, Purpose, Seed};
use convnext_data::{
    Cache, Decoding, ImageBatch, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, TrainCrop,
    TrainTransform, Transform, decode, open_unlabelled,
};

/// Kinds of files that can be decoded at a smaller size.
const SCALED: [&str; 5] =
    ["halved-chroma.jpg", "restarts.jpg", "full-chroma.jpg", "gray.jpg", "progressive.jpg"];
const SAMPLES: u64 = 40;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/photographs")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn transform(image_size: ImageSize) -> TrainTransform {
    TrainTransform::plain(
        image_size,
        TrainCrop::RandomResized { scale: [0.2, 1.0], ratio: [0.75, 4.0 / 3.0] },
        vec![0.0; 3],
        vec![1.0; 3],
    )
}

/// The values of one sample, full and fast, or the messages.
fn both(
    bytes: &[u8],
    size: impl Into<ImageSize>,
    orientation: Orientation,
    sample: u64,
) -> [Result<Vec<f32>, String>; 2] {
    let size = size.into();
    [false, true].map(|fast| {
        let mut rng = Seed(4).stream(Purpose::Augmentation, 0, sample);
        let values = match fast {
            true => transform(size).apply_to_file(bytes, "x.jpg", &Decoding::new(3, orientation), &mut rng),
            false => {
                decode(bytes, "x.jpg", 3, orientation).map(|whole| transform(size).apply(&whole, &mut rng))
            }
        };
        values.map_err(|error| error.to_string())
    })
}

/// The mean difference of values in levels of 255.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32 * 255.0
}

/// The mean difference of full and fast over all samples. Every sample must be near, which it is not when
/// its crop or flip is another.
fn mean_difference(bytes: &[u8], size: impl Into<ImageSize>, orientation: Orientation) -> f32 {
    let size = size.into();
    let differences: Vec<f32> = (0..SAMPLES)
        .map(|sample| {
            let [full, fast] = both(bytes, size, orientation, sample).map(Result::unwrap);
            difference(&full, &fast)
        })
        .collect();
    let most = differences.iter().copied().fold(0.0, f32::max);
    assert!(most < 4.0, "a sample differs by {most} levels at {size} pixels");
    differences.iter().sum::<f32>() / SAMPLES as f32
}

/// The file with an EXIF segment that holds nothing but an orientation.
fn oriented(bytes: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&bytes[..2], &exif, &bytes[2..]].concat()
}

#[test]
fn crops_are_the_same_and_levels_nearly() {
    for file in SCALED {
        let bytes = bytes(file);
        // At these sizes crops are decoded at an eighth to a half.
        for size in [12, 24, 48] {
            let difference = mean_difference(&bytes, size, Orientation::Honour);
            assert!(difference > 0.0, "{file} is never decoded at a smaller size");
            assert!(difference <= 2.0, "{file} differs by {difference} levels at {size} pixels");
        }
    }
}

#[test]
fn crops_are_drawn_on_the_upright_image() {
    for orientation in 1..=8 {
        let bytes = oriented(&bytes("halved-chroma.jpg"), orientation);
        for honoured in [Orientation::Honour, Orientation::Ignore] {
            for size in [[24, 24], [20, 30], [30, 20]] {
                let difference = mean_difference(&bytes, size, honoured);
                let words = format!("orientation {orientation}, {size:?}: {difference} levels");
                assert!(difference > 0.0 && difference <= 2.0, "{words}");
            }
        }
        let upright = both(&bytes, 24, Orientation::Honour, 0);
        let stored = both(&bytes, 24, Orientation::Ignore, 0);
        assert_eq!(upright[1] == stored[1], orientation == 1, "orientation {orientation}");
    }
}

#[test]
fn crops_that_need_all_pixels_are_as_ever() {
    for file in SCALED {
        // No crop has 2 x 128 pixels on both sides: the image is 203 pixels high.
        for sample in 0..8 {
            let [full, fast] = both(&bytes(file), 128, Orientation::Honour, sample);
            assert_eq!(full.unwrap(), fast.unwrap(), "{file}");
        }
    }
}

#[test]
fn other_files_are_as_ever() {
    let png = std::fs::read(folder().join("../goldens/photo.png")).unwrap();
    for bytes in [bytes("cmyk.jpg"), png] {
        for sample in 0..8 {
            let [full, fast] = both(&bytes, 16, Orientation::Honour, sample);
            assert_eq!(full.unwrap(), fast.unwrap());
        }
    }
}

#[test]
fn truncated_files_are_refused_by_both() {
    for file in SCALED {
        let whole = bytes(file);
        for length in [0, 1, 3, 30, 300, 700, whole.len() / 2, whole.len() - 2, whole.len() - 1] {
            let [full, fast] = both(&whole[..length], 16, Orientation::Honour, 0);
            assert!(full.is_err(), "{file} cut to {length} bytes is read");
            assert_eq!(full, fast, "{file} cut to {length} bytes");
        }
    }
}

#[test]
fn damaged_files_do_no_harm() {
    for file in SCALED {
        let whole = bytes(file);
        // Each byte of the header, and some of the data.
        for (step, position) in (0..700).chain((700..whole.len()).step_by(97)).enumerate() {
            let mut damaged = whole.clone();
            damaged[position] = [0, 0xFF, !damaged[position], damaged[position] ^ 0x10][step % 4];
            let [full, fast] = both(&damaged, 40, Orientation::Honour, 0);
            // What the full decoder refuses may have nothing to do with the crop, but must be complete.
            if let (Err(full), Err(fast)) = (&full, &fast) {
                assert_eq!(full, fast, "{file}, byte {position}");
            }
            assert!(fast.is_ok() || full.is_err(), "{file}, byte {position}: {fast:?}");
        }
    }
}

#[test]
fn loaders_decode_fast_when_they_are_told_to() {
    let batches = |fast_decode, transform: &Transform| -> Vec<ImageBatch> {
        let config = LoaderConfig {
            batch_size: 6,
            threads: 2,
            queue: 2,
            shuffle: true,
            drop_last: false,
            on_corrupt: OnCorrupt::Fail,
            cache: Cache::Off,
            seed: Seed(1),
        };
        let dataset = open_unlabelled(&folder()).unwrap();
        let source = ImageSource::new(dataset, transform.clone(), Orientation::Honour).unwrap();
        let loader = Loader::new(source.with_fast_decode(fast_decode), config).unwrap();
        loader.epoch(0).map(Result::unwrap).collect()
    };
    let training = Transform::Train(transform(32.into()));
    let (full, fast) = (&batches(false, &training)[0], &batches(true, &training)[0]);
    assert_eq!(full.samples, fast.samples);
    assert_ne!(full.images, fast.images);
    assert!(difference(&full.images, &fast.images) <= 2.0);

    let evaluation = Transform::Evaluation(convnext_core::Preprocessing::for_size(32, 3));
    assert_eq!(batches(false, &evaluation), batches(true, &evaluation));
}
