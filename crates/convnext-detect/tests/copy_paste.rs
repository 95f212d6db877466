//! Objects that are pasted from images which cannot be read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use convnext_core::{Preprocessing, Seed};
use convnext_data::{
    Batch, Cache, CopyPaste, DetectionLayout, DetectionResize, DetectionTransform, Image, Loader,
    LoaderConfig, OnCorrupt, open_detection,
};
use convnext_detect::DetectionSource;

const SIDE: usize = 16;

#[test]
fn a_damaged_image_is_no_fault_of_those_that_it_is_pasted_onto() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["images/train", "images/val", "labels/train", "labels/val"] {
        fs::create_dir_all(folder.path().join(kind)).unwrap();
    }
    let yaml = "train: images/train\nval: images/val\nnames: [cell]\n";
    fs::write(folder.path().join("data.yaml"), yaml).unwrap();
    for name in ["train/0", "train/1", "train/2", "val/0"] {
        let image = Image::new(SIDE, SIDE, 3, vec![9; 3 * SIDE * SIDE]).unwrap();
        image.save_png(&folder.path().join(format!("images/{name}.png"))).unwrap();
        let outline = "0 0.1 0.1 0.6 0.1 0.6 0.9\n";
        fs::write(folder.path().join(format!("labels/{name}.txt")), outline).unwrap();
    }
    let set = open_detection(folder.path(), &DetectionLayout::default(), Seed(1)).unwrap().train;
    fs::write(folder.path().join("images/train/1.png"), "no image").unwrap();
    let resize = DetectionResize::Jitter { size: SIDE.into(), ratio: [1.0, 1.0] };
    let transforms = (DetectionTransform { resize, flip_probability: 0.0 }, CopyPaste { probability: 1.0 });
    let source = DetectionSource::training(set, transforms, Preprocessing::for_size(SIDE, 3)).unwrap();
    let config = LoaderConfig {
        batch_size: 3,
        threads: 1,
        queue: 1,
        shuffle: false,
        drop_last: false,
        on_corrupt: OnCorrupt::Skip,
        cache: Cache::Off,
        seed: Seed(0),
    };
    let loader = Loader::new(source, config).unwrap();
    for epoch in 0..16 {
        let sizes: Vec<usize> = loader.epoch(epoch).map(|batch| batch.unwrap().len()).collect();
        assert_eq!(sizes, [2], "epoch {epoch}");
    }
    let corrupt = loader.corrupt();
    assert!(matches!(&corrupt[..], [file] if file.name.ends_with("images/train/1.png")), "{corrupt:?}");
}
