//! Ranks that share images embed them as one process does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;

use burn::tensor::Device;
use convnext::core::{
    ClassNames, ClassificationTask, ModelConfig, Preprocessing, Seed, WeightMetadata, find_model,
};
use convnext::data::{Image, OnCorrupt, Orientation, open_images};
use convnext::nn::{ConvNext, EmbeddingLayer};
use convnext::train::{EvalLoaderConfig, Ranks, TrainError, save_weights};
use convnext::{Classifier, Embedder};
use convnext_distributed::run_threads;

const SIDE: usize = 32;

#[test]
fn any_number_of_ranks_gives_every_image_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for number in 0..23 {
        let level = |place: usize| (place * (number + 3) / 7 % 251) as u8;
        let image = Image::new(SIDE, SIDE, 3, (0..3 * SIDE * SIDE).map(level).collect()).unwrap();
        image.save_png(&images.join(format!("{number:02}.png"))).unwrap();
    }
    fs::write(images.join("06.png"), "no image").unwrap();
    let config = ModelConfig { classes: 3, ..find_model("micro").unwrap().config() };
    let model = ConvNext::new(&config, Seed(1), &Device::flex()).unwrap();
    let task = ClassificationTask { classes: ClassNames(["ant", "bee", "cat"].map(str::to_owned).into()) };
    let metadata = WeightMetadata::new(&config, &task, Preprocessing::for_size(SIDE, 3));
    let weights = folder.path().join("weights.safetensors");
    save_weights(&weights, &model, &metadata).unwrap();
    let dataset = open_images(&[images]).unwrap();
    let find = |ranks: &Ranks| {
        let reading = EvalLoaderConfig {
            batch_size: 4,
            threads: 2,
            orientation: Orientation::Honour,
            on_corrupt: OnCorrupt::Skip,
            ranks: ranks.clone(),
        };
        let embedder = Embedder::load(&weights, EmbeddingLayer::Pooled).unwrap();
        let (mut vectors, mut answers) = (Vec::new(), Vec::new());
        let embedded = embedder.embed_all(&dataset, &reading, |name, vector| {
            vectors.push((name, vector.to_vec()));
            Ok::<(), TrainError>(())
        });
        let classifier = Classifier::load(&weights).unwrap();
        let classified = classifier.classify_all(&dataset, &reading, |name, predictions| {
            answers.push((name, predictions));
            Ok::<(), TrainError>(())
        });
        embedded.and(classified).unwrap();
        (vectors, answers)
    };
    let alone = find(&Ranks::default());
    assert_eq!((alone.0.len(), alone.1.len()), (22, 22));
    assert!(alone.0.iter().map(|(name, _)| name).is_sorted());
    for size in [2, 3, 4, 7, 9] {
        for found in run_threads(size, |ranks| find(&ranks)) {
            // Floats are written so that their bits come back.
            assert_eq!(format!("{found:?}"), format!("{alone:?}"), "{size}");
        }
    }
}
