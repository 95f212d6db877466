//! Ranks that share an evaluation find what one process finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use burn::prelude::*;
use convnext_core::{Geometry, ModelConfig, Preprocessing, Seed, UperNetConfig, find_model};
use convnext_data::{Image, OnCorrupt, Orientation, SegmentationLayout, class_colours, open_segmentation};
use convnext_distributed::run_threads;
use convnext_segment::{
    EvaluationSource, InferenceOptions, SegmentationEvaluation, UperNet, evaluate_segmentation,
};
use convnext_train::{EvalLoaderConfig, Ranks, ShownPictures};

const CLASSES: usize = 2;

#[test]
fn any_number_of_ranks_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["images", "masks"] {
        fs::create_dir(folder.path().join(kind)).unwrap();
    }
    for number in 0..16 {
        let (width, height) = (32 + 2 * number, 32);
        let save = |kind: &str, values: Vec<u8>| {
            let image = Image::new(width, height, 1, values).unwrap();
            image.save_png(&folder.path().join(format!("{kind}/{number:02}.png"))).unwrap();
        };
        save("images", (0..width * height).map(|place| (place * (number + 3) / 5 % 251) as u8).collect());
        // Another share of each, so that some are told better than others.
        save("masks", (0..width * height).map(|place| u8::from(place % width > 2 * number + 1)).collect());
    }
    let layout = SegmentationLayout { validation_fraction: 0.2, ..SegmentationLayout::default() };
    let set = open_segmentation(folder.path(), &layout, Seed(1)).unwrap().train;
    // More than are shown of the best and the worst, and no number of ranks below divides it.
    assert!(
        set.len() > 12 && [2, 3, 4, 7].iter().all(|size| !set.len().is_multiple_of(*size)),
        "{}",
        set.len()
    );
    let broken = set.images().file_name(4);
    fs::write(folder.path().join("images").join(broken.rsplit('/').next().unwrap()), "no image").unwrap();
    let preprocessing =
        Preprocessing { geometry: Geometry::None { pad: 32 }, ..Preprocessing::for_size(32, 3) };
    let find = |ranks: &Ranks| -> (SegmentationEvaluation, ShownPictures, Vec<usize>) {
        let device = Device::flex();
        let backbone = ModelConfig { classes: CLASSES, ..find_model("micro").unwrap().config() };
        let head = UperNetConfig { head_width: 8, auxiliary_width: None };
        let model = UperNet::new(&backbone, &head, Seed(3), &device).unwrap();
        let reading = EvalLoaderConfig {
            batch_size: 1,
            threads: 1,
            orientation: Orientation::Honour,
            on_corrupt: OnCorrupt::Skip,
            ranks: ranks.clone(),
        };
        let loader = EvaluationSource::loader(set.clone(), preprocessing.clone(), &reading).unwrap();
        let (options, colours) = (InferenceOptions::default(), class_colours(&[], CLASSES));
        let mut seen = Vec::new();
        let progress = |done| seen.push(done);
        let (result, pictures) =
            evaluate_segmentation((&model, &device), &loader, &options, &colours, progress).unwrap();
        (result, pictures, seen)
    };
    let (alone, pictures, seen) = find(&Ranks::default());
    assert_eq!((alone.images, alone.left_out.len()), (set.len() - 1, 1));
    assert_eq!((alone.best.len(), pictures.best.len(), pictures.worst.len()), (6, 6, 6));
    assert_ne!(alone.best[0].miou, alone.worst[0].miou);
    for size in [2, 3, 4, 7, 19] {
        for (result, found, progress) in run_threads(size, |ranks| find(&ranks)) {
            // Floats are written so that their bits come back.
            assert_eq!(format!("{result:?}"), format!("{alone:?}"), "{size}");
            assert!(found.best == pictures.best && found.worst == pictures.worst, "{size}");
            assert_eq!(progress, seen);
        }
    }
}
