//! A loader gives batches of any number of channels, each treated as if it were alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

mod tiff_files;

use std::{fs, path::Path};

use convnext_core::{Geometry, Preprocessing, Seed};
use convnext_data::{
    Cache, DataError, Dataset, Image, ImageBatch, ImageSource, Loader, LoaderConfig, Mixing, OnCorrupt,
    Orientation, RandomErasing, TrainCrop, TrainTransform, Transform, open_unlabelled,
};
use tempfile::TempDir;
use tiff_files::Bands;

const IMAGES: usize = 12;
const CHANNELS: usize = 5;
const SIDE: usize = 8;
const MEAN: [f32; CHANNELS] = [0.1, 0.2, 0.3, 0.4, 0.5];
const STD: [f32; CHANNELS] = [0.5, 0.6, 0.7, 0.8, 0.9];

/// Images of five bands, and of each band alone in a folder of its own.
fn draw() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |kind: &str, index: usize, extension: &str| {
        let kind = folder.path().join(kind);
        fs::create_dir_all(&kind).unwrap();
        kind.join(format!("{index:02}.{extension}"))
    };
    for index in 0..IMAGES {
        let (width, height) = (9 + index % 4, 13 - index % 3);
        let levels: Vec<u8> = (0..width * height * CHANNELS).map(|i| (i * 31 + index * 17) as u8).collect();
        let file = Bands { planar: index % 2 == 0, ..Bands::new(width, CHANNELS) }.file(&levels);
        fs::write(path("all", index, "tif"), file).unwrap();
        let image = Image::new(width, height, CHANNELS, levels).unwrap();
        for band in 0..CHANNELS {
            image.band(band).save_png(&path(&band.to_string(), index, "png")).unwrap();
        }
    }
    folder
}

fn transform(channels: std::ops::Range<usize>, crop: TrainCrop) -> TrainTransform {
    TrainTransform::plain(SIDE, crop, MEAN[channels.clone()].to_vec(), STD[channels].to_vec())
}

fn config(cache: Cache) -> LoaderConfig {
    LoaderConfig {
        batch_size: 4,
        threads: 2,
        queue: 2,
        shuffle: true,
        drop_last: true,
        on_corrupt: OnCorrupt::Replace,
        cache,
        seed: Seed(5),
    }
}

fn dataset(folder: &Path) -> Dataset {
    open_unlabelled(folder).unwrap()
}

/// The images of a folder, perhaps mixed.
fn source(folder: &Path, transform: Transform, mixing: Option<Mixing>) -> ImageSource {
    let source = ImageSource::new(dataset(folder), transform, Orientation::Honour).unwrap();
    source.with_mixing(mixing).unwrap()
}

const MIXING: Mixing = Mixing { mixup: 0.8, cutmix: 1.0, probability: 1.0, switch_probability: 0.5 };

fn batches(folder: &Path, transform: Transform, config: LoaderConfig) -> Vec<ImageBatch> {
    all_batches(source(folder, transform, Some(MIXING)), config)
}

fn all_batches(source: ImageSource, config: LoaderConfig) -> Vec<ImageBatch> {
    let loader = Loader::new(source, config).unwrap();
    (0..2).flat_map(|epoch| loader.epoch(epoch).map(Result::unwrap)).collect()
}

/// The values of one channel of all images.
fn channel(batches: &[ImageBatch], channel: usize) -> Vec<f32> {
    let of_batch = |batch: &ImageBatch| -> Vec<f32> {
        let images = batch.images.chunks_exact(SIDE * SIDE).skip(channel).step_by(batch.channels);
        images.flatten().copied().collect()
    };
    batches.iter().flat_map(of_batch).collect()
}

#[test]
fn every_channel_is_read_cut_mirrored_and_mixed_as_if_it_were_alone() {
    let folder = draw();
    let of = |kind: &str, transform| batches(&folder.path().join(kind), transform, config(Cache::Off));
    for crop in [
        TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] },
        TrainCrop::Padded { padding: 2 },
    ] {
        let all = of("all", Transform::Train(transform(0..CHANNELS, crop.clone())));
        assert!(
            all.iter()
                .all(|batch| batch.channels == CHANNELS && batch.images.len() == 4 * CHANNELS * SIDE * SIDE)
        );
        for band in 0..CHANNELS {
            let alone = of(&band.to_string(), Transform::Train(transform(band..band + 1, crop.clone())));
            assert_eq!(channel(&all, band), channel(&alone, 0), "{crop:?}, {band}");
        }
    }
    let preprocessing = |channels: std::ops::Range<usize>| {
        let (mean, std) = (MEAN[channels.clone()].to_vec(), STD[channels].to_vec());
        Transform::Evaluation(Preprocessing {
            geometry: Geometry::CentreCrop { size: SIDE.into(), crop: 0.875 },
            mean,
            std,
            ..Preprocessing::for_size(SIDE, 1)
        })
    };
    let all = of("all", preprocessing(0..CHANNELS));
    for band in 0..CHANNELS {
        assert_eq!(channel(&all, band), channel(&of(&band.to_string(), preprocessing(band..band + 1)), 0));
    }
}

#[test]
fn every_channel_is_erased_at_the_same_place() {
    let folder = draw();
    let crop = TrainCrop::Padded { padding: 0 };
    let plain = TrainTransform { mean: vec![100.0; CHANNELS], ..transform(0..CHANNELS, crop) };
    let erased = TrainTransform { erasing: Some(RandomErasing { probability: 1.0 }), ..plain };
    let unmixed = source(&folder.path().join("all"), Transform::Train(erased), None);
    let found = all_batches(unmixed, config(Cache::Off));
    // Pixels lie far below 0 here, and noise does not.
    let places =
        |band: usize| -> Vec<bool> { channel(&found, band).into_iter().map(|v| v > -50.0).collect() };
    assert!((1..CHANNELS).all(|band| places(band) == places(0)) && places(0).contains(&true));
}

#[test]
fn kept_images_of_other_channels_do_not_mix() {
    let folder = draw();
    let crop = TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] };
    let colours = TrainTransform { mean: vec![0.5; 3], std: vec![0.5; 3], ..transform(0..1, crop.clone()) };
    let grey = transform(0..1, crop.clone());
    let five = transform(0..CHANNELS, crop);
    let kept = folder.path().join("kept");
    for (kind, transform) in [("0", &colours), ("0", &grey), ("0", &colours), ("all", &five), ("all", &five)]
    {
        let of =
            |cache| batches(&folder.path().join(kind), Transform::Train(transform.clone()), config(cache));
        let plain = of(Cache::Off);
        assert_eq!(of(Cache::Folder(kept.clone())), plain);
        assert_eq!(of(Cache::Memory { bytes: 2000 }), plain);
    }
    assert_eq!(fs::read_dir(kept).unwrap().count(), 6, "two files for each data set and number of channels");
}

#[test]
fn an_image_of_other_channels_is_not_replaced_by_the_next() {
    let folder = draw();
    let all = folder.path().join("all");
    fs::copy(folder.path().join("0/03.png"), all.join("03.png")).unwrap();
    let crop = TrainCrop::Padded { padding: 0 };
    let source = source(&all, Transform::Train(transform(0..CHANNELS, crop)), Some(MIXING));
    let loader = Loader::new(source, config(Cache::Off)).unwrap();
    let error = loader.epoch(0).find_map(Result::err).unwrap();
    assert!(matches!(error, DataError::Channels { expected: CHANNELS, found: 1, .. }), "{error}");
    assert!(error.to_string().contains("03.png has 1 channel(s)"), "{error}");
}

#[test]
fn changes_of_colours_need_colours() {
    let plain = transform(0..1, TrainCrop::Padded { padding: 0 });
    let jitter = convnext_data::ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4 };
    for (transform, key) in [
        (
            TrainTransform { rand_augment: Some("rand-m9-inc1".parse().unwrap()), ..plain.clone() },
            "rand_augment=none",
        ),
        (TrainTransform { color_jitter: Some(jitter), ..plain.clone() }, "color_jitter=0"),
    ] {
        let message = transform.validate().unwrap_err().to_string();
        assert!(
            message.contains(&format!("--set augmentation.{key}")) && message.contains("1 channel"),
            "{message}"
        );
    }
    for wrong in
        [TrainTransform { mean: vec![], ..plain.clone() }, TrainTransform { std: vec![], ..plain.clone() }]
    {
        assert!(wrong.validate().is_err());
    }
    plain.validate().unwrap();
}
