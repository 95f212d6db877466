//! Batches of images with label maps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use convnext_core::{Geometry, ImageSize, Preprocessing, Seed};
use convnext_data::{
    Cache, Image, Loader, LoaderConfig, OnCorrupt, Orientation, SegmentationLayout, SegmentationSet,
    SegmentationTransform, open_segmentation,
};
use convnext_segment::{EvaluationSource, SegmentationBatch, SegmentationSource};
use convnext_train::{EvalLoaderConfig, Ranks};

/// Ten images, wider from one to the next, whose left half is class 0 and black, and the right one class 1 and white.
fn set() -> (tempfile::TempDir, SegmentationSet) {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["images", "masks"] {
        fs::create_dir(folder.path().join(kind)).unwrap();
    }
    for at in 0..10 {
        let (width, height) = (40 + 2 * at, 32);
        let right = |place: usize| place % width >= width / 2;
        let levels = (0..width * height).map(|place| if right(place) { 255 } else { 0 }).collect();
        let labels = (0..width * height).map(|place| u8::from(right(place))).collect();
        let image = Image::new(width, height, 1, levels).unwrap();
        image.save_png(&folder.path().join(format!("images/{at}.png"))).unwrap();
        let mask = Image::new(width, height, 1, labels).unwrap();
        mask.save_png(&folder.path().join(format!("masks/{at}.png"))).unwrap();
    }
    let layout = SegmentationLayout { validation_fraction: 0.1, ..SegmentationLayout::default() };
    let data = open_segmentation(folder.path(), &layout, Seed(1)).unwrap();
    (folder, data.train)
}

fn plain() -> Preprocessing {
    let geometry = Geometry::None { pad: 32 };
    Preprocessing { geometry, mean: vec![0.0; 3], std: vec![1.0; 3], ..Preprocessing::for_size(32, 3) }
}

/// Parts of images of their own size and mirror images, and nothing else that is random.
fn parts(crop_size: impl Into<ImageSize>) -> SegmentationTransform {
    SegmentationTransform {
        crop_size: crop_size.into(),
        resize_base: None,
        resize_ratio: [1.0, 1.0],
        cat_max_ratio: 1.0,
        flip_probability: 0.5,
        photometric: false,
    }
}

fn batches(source: SegmentationSource, batch_size: usize, threads: usize) -> Vec<SegmentationBatch> {
    let config = LoaderConfig {
        batch_size,
        threads,
        queue: 4,
        shuffle: true,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Off,
        seed: Seed(3),
    };
    Loader::new(source, config).unwrap().epoch(0).map(Result::unwrap).collect()
}

#[test]
fn training_batches_are_the_same_for_any_number_of_threads() {
    let (_folder, set) = set();
    let transform = SegmentationTransform {
        resize_ratio: [0.5, 2.0],
        photometric: true,
        cat_max_ratio: 0.75,
        ..parts([24, 48])
    };
    let made = |threads| {
        let source = SegmentationSource::training(set.clone(), transform.clone(), plain());
        batches(source.unwrap(), 4, threads)
    };
    let one = made(1);
    assert_eq!(one, made(3));
    assert_eq!(one.iter().map(|batch| batch.samples.len()).collect::<Vec<_>>(), [4, 4, 1]);
    for batch in &one {
        assert_eq!(batch.images.len(), batch.samples.len() * 3 * 24 * 48);
        assert_eq!(batch.labels.len(), batch.samples.len() * 24 * 48);
    }
}

#[test]
fn labels_belong_to_their_pixels() {
    let (_folder, set) = set();
    let transform = parts([32, 32]);
    let source = SegmentationSource::training(set, transform, plain()).unwrap();
    let batches = batches(source, 3, 2);
    let mut flipped = 0;
    for batch in &batches {
        for (image, labels) in batch.images.chunks(3 * 32 * 32).zip(batch.labels.chunks(32 * 32)) {
            assert!(labels.iter().zip(image).all(|(&label, &red)| f32::from(label) == red));
            flipped += usize::from(labels[0] == 1);
        }
    }
    assert!((1..8).contains(&flipped), "{flipped}");
}

#[test]
fn whole_images_are_measured_on() {
    let (_folder, set) = set();
    let geometry = Geometry::CentreCrop { size: ImageSize::square(16), crop: 0.9 };
    let reading = EvalLoaderConfig {
        batch_size: 1,
        threads: 1,
        orientation: Orientation::Honour,
        on_corrupt: OnCorrupt::Fail,
        ranks: Ranks::default(),
    };
    let cut = Preprocessing { geometry, ..plain() };
    let refused = EvaluationSource::loader(set, cut, &reading).err().unwrap();
    assert!(refused.to_string().contains("keeps the whole image"), "{refused}");
}
