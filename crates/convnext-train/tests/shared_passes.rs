//! Passes over images that ranks share find what one process finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use burn::prelude::*;
use convnext_core::{ModelConfig, Preprocessing, Seed, find_model};
use convnext_data::{Dataset, Image, LabelledData, OnCorrupt, Orientation, open_labelled};
use convnext_distributed::run_threads;
use convnext_nn::ConvNext;
use convnext_train::{
    EvalLoaderConfig, Features, RankFailure, Ranks, TrainError, classify_by_neighbours, evaluate,
};
use tempfile::TempDir;

/// Of images in each part: no number of ranks divides it, nor the batch size.
const IMAGES: usize = 23;
const BATCH_SIZE: usize = 4;
const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// The last is more than there are batches.
const SIZES: [usize; 5] = [2, 3, 4, 7, 9];

const SIDE: usize = 32;

/// So many images in each part, each like no other.
fn images(count: usize) -> (TempDir, LabelledData) {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        for number in 0..count {
            let class = CLASSES[number % CLASSES.len()];
            let path = folder.path().join(part).join(class);
            fs::create_dir_all(&path).unwrap();
            let level = |place: usize| (place * (number + 3) * (part.len() + 1) / 7 % 251) as u8;
            let image = Image::new(SIDE, SIDE, 3, (0..3 * SIDE * SIDE).map(level).collect()).unwrap();
            image.save_png(&path.join(format!("{number:03}.png"))).unwrap();
        }
    }
    let data = open_labelled(folder.path(), None, 0.2, Seed(1)).unwrap();
    assert_eq!((data.train.len(), data.validation.len()), (count, count));
    (folder, data)
}

/// Damages a sample of the validation.
fn damage(folder: &Path, dataset: &Dataset, sample: usize) {
    let name = dataset.name(sample);
    let file = folder.join("val").join(name.rsplit_once("val/").unwrap().1);
    fs::write(file, "no image").unwrap();
}

fn preprocessing() -> Preprocessing {
    Preprocessing::for_size(SIDE, 3)
}

fn reading(ranks: &Ranks, on_corrupt: OnCorrupt) -> EvalLoaderConfig {
    EvalLoaderConfig {
        batch_size: BATCH_SIZE,
        threads: 2,
        orientation: Orientation::Honour,
        on_corrupt,
        ranks: ranks.clone(),
    }
}

fn model() -> ConvNext {
    let config = ModelConfig { classes: CLASSES.len(), ..find_model("micro").unwrap().config() };
    ConvNext::new(&config, Seed(1), &Device::flex()).unwrap()
}

/// Floats are written so that their bits come back, and other bits are written otherwise.
fn check_all<T: Debug + Send>(find: impl Fn(&Ranks) -> T + Sync) -> T {
    let alone = find(&Ranks::default());
    let expected = format!("{alone:?}");
    for size in SIZES {
        for (rank, found) in run_threads(size, |ranks| find(&ranks)).into_iter().enumerate() {
            assert_eq!(format!("{found:?}"), expected, "rank {rank} of {size}");
        }
    }
    alone
}

#[test]
fn a_classifier_is_measured_alike_by_any_number_of_ranks() {
    let (folder, data) = images(IMAGES);
    // A whole batch, and one more image.
    [4, 5, 6, 7, 17].into_iter().for_each(|sample| damage(folder.path(), &data.validation, sample));
    let found = check_all(|ranks| {
        let mut seen = Vec::new();
        let reading = reading(ranks, OnCorrupt::Skip);
        let names = data.validation.classes();
        let result = evaluate(&model(), names, &data.validation, &preprocessing(), &reading, |done| {
            seen.push(done);
        });
        (result.unwrap(), seen)
    });
    assert_eq!((found.0.images, found.0.left_out.len(), found.1), (18, 5, vec![4, 8, 12, 15, 18]));
    assert!(found.0.loss.is_some() && !found.0.mistakes.is_empty() && !found.0.samples.is_empty());
}

#[test]
fn features_and_their_neighbours_are_alike_on_any_number_of_ranks() {
    let (_folder, data) = images(IMAGES);
    // Several blocks of images that are asked, the last not full.
    let many: Vec<usize> = (0..600).map(|place| place * 5 % IMAGES).collect();
    let asked_images = data.validation.subset(&many);
    check_all(|ranks| {
        let reading = reading(ranks, OnCorrupt::Fail);
        let of = |dataset: &Dataset| {
            let mut seen = 0;
            let found = Features::of(&model(), dataset, &preprocessing(), &reading, |done| seen = done);
            assert_eq!(seen, IMAGES);
            found.unwrap()
        };
        let (known, validation) = (of(&data.train), of(&data.validation));
        let row = |&image: &usize| &validation.values[image * validation.width..][..validation.width];
        let asked = Features {
            values: many.iter().flat_map(row).copied().collect(),
            width: validation.width,
            labels: many.iter().map(|&image| validation.labels[image]).collect(),
        };
        let known_images = (&known, data.train.classes());
        let result = classify_by_neighbours(known_images, (&asked, &asked_images), 5, ranks).unwrap();
        assert_eq!(result.images, 600);
        (known, validation, result)
    });
}

/// Goes through all images and says which came, in their order.
fn go_through(ranks: &Ranks, dataset: &Dataset, on_corrupt: OnCorrupt) -> Result<Vec<usize>, TrainError> {
    let mut seen = Vec::new();
    let loader = reading(ranks, on_corrupt).loader(dataset, &preprocessing())?;
    loader.for_each(
        |batch| Ok(batch.samples),
        |samples| {
            seen.extend(samples);
            Ok::<(), TrainError>(())
        },
    )?;
    Ok(seen)
}

#[test]
fn the_limit_of_corrupt_files_is_for_those_of_all_ranks() {
    let (folder, data) = images(100);
    let images = &data.validation;
    damage(folder.path(), images, 2);
    // One of a hundred may be.
    let seen = check_all(|ranks| go_through(ranks, images, OnCorrupt::SkipFew).unwrap());
    assert_eq!(seen, (0..100).filter(|sample| *sample != 2).collect::<Vec<_>>());
    // Two may not, and of two ranks and more each has met one at most when all have met two.
    damage(folder.path(), images, 5);
    let alone = go_through(&Ranks::default(), images, OnCorrupt::SkipFew).unwrap_err().to_string();
    assert!(alone.contains("2 of 100 images"), "{alone}");
    for size in SIZES {
        for error in run_threads(size, |ranks| go_through(&ranks, images, OnCorrupt::SkipFew).unwrap_err()) {
            assert!(matches!(error, TrainError::Rank(_)), "{error}");
            assert_eq!(error.to_string(), format!("rank 0 on thread 0: {alone}"));
        }
    }
}

#[test]
fn an_image_that_one_rank_cannot_read_ends_all() {
    let (folder, data) = images(IMAGES);
    damage(folder.path(), &data.validation, 9);
    let go = |ranks: &Ranks| go_through(ranks, &data.validation, OnCorrupt::Fail).unwrap_err();
    let alone = go(&Ranks::default()).to_string();
    for size in SIZES {
        for error in run_threads(size, |ranks| go(&ranks)) {
            // It is in the third batch.
            let TrainError::Rank(RankFailure { rank, message, .. }) = error else { panic!("{error}") };
            assert_eq!((rank, &message), (2 % size, &alone));
        }
    }
}
