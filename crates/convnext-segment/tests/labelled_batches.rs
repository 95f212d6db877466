//! Batches of images with label maps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use convnext_core::{Fit, Geometry, ImageSize, Preprocessing, Seed};
use convnext_data::{
    Cache, Image, LabelMap, Loader, LoaderConfig, OnCorrupt, Orientation, SegmentationLayout,
    SegmentationSet, SegmentationTransform, open_segmentation,
};
use convnext_segment::{SegmentationBatch, SegmentationSource};

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
        ..SegmentationTransform::plain([24, 48])
    };
    let made = |threads| {
        let source =
            SegmentationSource::training(set.clone(), transform.clone(), plain(), Orientation::Honour);
        batches(source.unwrap(), 4, threads)
    };
    let one = made(1);
    assert_eq!(one, made(3));
    assert_eq!(one.iter().map(|batch| batch.samples.len()).collect::<Vec<_>>(), [4, 4, 1]);
    for batch in &one {
        assert_eq!(batch.images.len(), batch.samples.len() * 3 * 24 * 48);
        assert_eq!(
            (batch.labels.len(), batch.labels_size),
            (batch.samples.len() * 24 * 48, ImageSize::from([24, 48]))
        );
    }
}

#[test]
fn labels_belong_to_their_pixels() {
    let (_folder, set) = set();
    let transform = SegmentationTransform::plain([32, 32]);
    let source = SegmentationSource::training(set, transform, plain(), Orientation::Honour).unwrap();
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
fn evaluation_keeps_the_size_of_label_maps() {
    let (_folder, set) = set();
    let source = |geometry| {
        let preprocessing = Preprocessing { geometry, ..plain() };
        SegmentationSource::evaluation(set.clone(), preprocessing, Orientation::Honour)
    };
    for batch in batches(source(Geometry::None { pad: 32 }).unwrap(), 1, 2) {
        let width = set.label_map(batch.samples[0]).unwrap().width;
        assert_eq!((batch.height, batch.width), (32, 64));
        assert_eq!(
            (batch.content, batch.labels_size),
            (ImageSize::from([32, width]), ImageSize::from([32, width]))
        );
        assert!(!batch.labels.contains(&LabelMap::IGNORED));
    }
    let fit = Geometry::Fit(Fit { long: 64, short: 16, pad: 1 });
    for batch in batches(source(fit).unwrap(), 1, 2) {
        assert_eq!(
            (batch.height, batch.content),
            (16, ImageSize { height: batch.height, width: batch.width })
        );
        assert_eq!(batch.labels.len(), batch.labels_size.pixels());
    }
    let crop = Geometry::CentreCrop { size: ImageSize::square(16), crop: 0.9 };
    assert!(source(crop).unwrap_err().to_string().contains("keeps the whole image"));
}
