//! Ranks that share an evaluation find what one process finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use burn::prelude::*;
use convnext_core::{ModelConfig, Preprocessing, Seed, find_model};
use convnext_data::{Image, OnCorrupt, Orientation, classes_of_sets, open_label_sets};
use convnext_distributed::run_threads;
use convnext_multilabel::{MultiLabelEvaluation, evaluate_multi_label};
use convnext_nn::ConvNext;
use convnext_train::{EvalLoaderConfig, Ranks};

const SIDE: usize = 32;
const SETS: [&str; 4] = ["ant", "ant;bee", "cat", "bee;cat"];

#[test]
fn any_number_of_ranks_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("image,labels\n");
    for number in 0..21 {
        let level = |place: usize| (place * (number + 3) / 7 % 251) as u8;
        let image = Image::new(SIDE, SIDE, 3, (0..3 * SIDE * SIDE).map(level).collect()).unwrap();
        image.save_png(&folder.path().join(format!("{number:02}.png"))).unwrap();
        table += &format!("{number:02}.png,{}\n", SETS[number % SETS.len()]);
    }
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, table).unwrap();
    let images = open_label_sets(folder.path(), &labels, 0.5, Seed(1)).unwrap().validation;
    // No number of ranks below divides the batches.
    assert_eq!(images.len(), 11);
    fs::write(folder.path().join(images.file_name(4)), "no image").unwrap();
    let classes = classes_of_sets(images.classes());
    let find = |ranks: &Ranks| -> MultiLabelEvaluation {
        let config = ModelConfig { classes: classes.len(), ..find_model("micro").unwrap().config() };
        let model = ConvNext::new(&config, Seed(1), &Device::flex()).unwrap();
        let reading = EvalLoaderConfig {
            batch_size: 1,
            threads: 1,
            orientation: Orientation::Honour,
            on_corrupt: OnCorrupt::Skip,
            ranks: ranks.clone(),
        };
        let loader = reading.loader(&images, &Preprocessing::for_size(SIDE, 3)).unwrap();
        evaluate_multi_label(&model, &classes, &loader, |_| {}).unwrap()
    };
    let alone = find(&Ranks::default());
    assert_eq!((alone.images, alone.left_out.len()), (10, 1));
    assert!(!alone.mistakes.is_empty() && alone.samples.len() == 10);
    for size in [2, 3, 4, 7, 13] {
        for found in run_threads(size, |ranks| find(&ranks)) {
            // Floats are written so that their bits come back.
            assert_eq!(format!("{found:?}"), format!("{alone:?}"), "{size}");
        }
    }
}
