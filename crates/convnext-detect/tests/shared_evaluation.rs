//! Ranks that share an evaluation find what one process finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;
use std::path::Path;

use burn::prelude::*;
use convnext_core::{Geometry, MaskRcnnConfig, ModelConfig, Preprocessing, Seed, find_model};
use convnext_data::{DetectionLayout, DetectionSet, Image, OnCorrupt, Orientation, open_detection};
use convnext_detect::{
    CocoResult, DetectOptions, DetectionEvaluation, DetectionEvaluationSource, MaskRcnn, SIDE_MULTIPLE,
    evaluate_detection,
};
use convnext_distributed::run_threads;
use convnext_train::{EvalLoaderConfig, Ranks, ShownPictures, TrainError};

const SIDE: usize = 64;

/// Thirteen images with an object or two in each, one of which cannot be read.
fn images(folder: &Path) -> DetectionSet {
    for kind in ["images/train", "images/val", "labels/train", "labels/val"] {
        fs::create_dir_all(folder.join(kind)).unwrap();
    }
    fs::write(folder.join("data.yaml"), "train: images/train\nval: images/val\nnames:\n  0: cell\n").unwrap();
    for (part, count) in [("train", 1), ("val", 13)] {
        for number in 0..count {
            let level = |place: usize| (place * (number + 3) / 7 % 251) as u8;
            let image = Image::new(SIDE, SIDE, 3, (0..3 * SIDE * SIDE).map(level).collect()).unwrap();
            image.save_png(&folder.join(format!("images/{part}/{number:02}.png"))).unwrap();
            // Outlines, so that masks are compared too.
            let outline = "0 0.1 0.1 0.6 0.1 0.6 0.9\n".repeat(1 + number % 2);
            fs::write(folder.join(format!("labels/{part}/{number:02}.txt")), outline).unwrap();
        }
    }
    let set = open_detection(folder, &DetectionLayout::default(), Seed(1)).unwrap().validation;
    fs::write(folder.join("images/val/05.png"), "no image").unwrap();
    set
}

#[test]
fn any_number_of_ranks_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let set = images(folder.path());
    assert_eq!(set.len(), 13);
    let find = |ranks: &Ranks| -> (DetectionEvaluation, ShownPictures, Vec<String>) {
        let device = Device::flex();
        let config = ModelConfig { classes: 1, ..find_model("micro").unwrap().config() };
        let head = MaskRcnnConfig { head_width: 8, box_width: 12, masks: true, ..MaskRcnnConfig::PAPER };
        let model = MaskRcnn::new(&config, &head, Seed(0), &device).unwrap();
        let geometry = Geometry::None { pad: SIDE_MULTIPLE };
        let preprocessing = Preprocessing { geometry, ..Preprocessing::for_size(SIDE, 3) };
        let reading = EvalLoaderConfig {
            batch_size: 1,
            threads: 1,
            orientation: Orientation::Honour,
            on_corrupt: OnCorrupt::Skip,
            ranks: ranks.clone(),
        };
        let loader = DetectionEvaluationSource::loader(set.clone(), preprocessing, &reading).unwrap();
        let options = DetectOptions { proposals: 12, at_most: 8, ..DetectOptions::default() };
        let mut written = Vec::new();
        let (result, pictures) = evaluate_detection(
            (&model, &device),
            &loader,
            &options,
            |index, found| -> Vec<String> {
                found.iter().map(|found| CocoResult::new(found, index as i64, 1).text()).collect()
            },
            |found| {
                written.extend(found);
                Ok::<(), TrainError>(())
            },
        )
        .unwrap();
        (result, pictures, written)
    };
    let (alone, pictures, written) = find(&Ranks::default());
    assert_eq!((alone.images, alone.left_out.len()), (12, 1));
    assert_eq!((alone.best.len(), pictures.best.len(), pictures.worst.len()), (6, 6, 6));
    assert!(alone.masks.is_some() && written.len() > 12 && written[0].contains("counts"), "{written:?}");
    for size in [2, 3, 4, 7, 15] {
        for (result, found, texts) in run_threads(size, |ranks| find(&ranks)) {
            // Floats are written so that their bits come back.
            assert_eq!(format!("{result:?}"), format!("{alone:?}"), "{size}");
            assert!(found.best == pictures.best && found.worst == pictures.worst, "{size}");
            assert_eq!(texts, written);
        }
    }
}
