//! The loader gives the same batches whatever the threads do, and deals with corrupt files.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{fs, path::Path};

use convnext_core::{Preprocessing, Purpose, Seed, imagenet_mean, imagenet_std};
use convnext_data::{
    Batch, Cache, DataError, Dataset, Image, ImageBatch, ImageSource, Loader, LoaderConfig, Mixing,
    OnCorrupt, Orientation, RandomErasing, TrainCrop, TrainTransform, Transform, open_unlabelled,
};
use tempfile::TempDir;

/// `count` small images, all different; those at the positions `corrupt` are text files.
fn images(count: usize, corrupt: &[usize]) -> (TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..count {
        let path = folder.path().join(format!("{index:04}.png"));
        if corrupt.contains(&index) {
            fs::write(path, "this is no image").unwrap();
        } else {
            let rgb = (0..12 * 10 * 3).map(|i| (i * 7 + index * 13) as u8).collect();
            Image::new(12, 10, 3, rgb).unwrap().save_png(&path).unwrap();
        }
    }
    let dataset = open_unlabelled(folder.path()).unwrap();
    (folder, dataset)
}

fn training() -> Transform {
    Transform::Train(TrainTransform::plain(
        8,
        TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] },
        imagenet_mean(3),
        imagenet_std(3),
    ))
}

fn config(threads: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: 4,
        threads,
        queue: 3,
        shuffle: true,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Off,
        seed: Seed(11),
    }
}

fn replacing(threads: usize) -> LoaderConfig {
    LoaderConfig { on_corrupt: OnCorrupt::Replace, ..config(threads) }
}

fn source(dataset: &Dataset, transform: Transform) -> ImageSource {
    ImageSource::new(dataset.clone(), transform, Orientation::Honour).unwrap()
}

/// A loader of training images.
fn training_loader(dataset: &Dataset, config: LoaderConfig) -> Loader {
    Loader::new(source(dataset, training()), config).unwrap()
}

fn batches(loader: &Loader, epoch: u64) -> Vec<ImageBatch> {
    loader.epoch(epoch).map(Result::unwrap).collect()
}

#[test]
fn threads_change_nothing() {
    let (_folder, dataset) = images(30, &[]);
    let of = |threads| batches(&training_loader(&dataset, config(threads)), 2);
    let one = of(1);
    assert_eq!(one.len(), 8);
    assert_eq!(one.iter().map(ImageBatch::len).collect::<Vec<_>>(), [4, 4, 4, 4, 4, 4, 4, 2]);
    assert!(one.iter().all(|batch| batch.images.len() == batch.len() * 3 * 8 * 8 && batch.epoch == 2));
    assert_eq!(one, of(2));
    assert_eq!(one, of(3));

    let mut seen: Vec<usize> = one.iter().flat_map(|batch| batch.samples.clone()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
}

#[test]
fn threads_change_nothing_with_every_augmentation_and_mixing() {
    let (_folder, dataset) = images(30, &[]);
    let Transform::Train(plain) = training() else { unreachable!() };
    let all = TrainTransform {
        rand_augment: Some("rand-m9-mstd0.5-inc1".parse().unwrap()),
        erasing: Some(RandomErasing { probability: 0.25 }),
        ..plain
    };
    let mixing = Mixing { mixup: 0.8, cutmix: 1.0, probability: 0.9, switch_probability: 0.5 };
    let loader = |threads| {
        let mixed = source(&dataset, Transform::Train(all.clone())).with_mixing(Some(mixing)).unwrap();
        Loader::new(mixed, config(threads)).unwrap()
    };
    let one = batches(&loader(1), 2);
    assert_eq!(one, batches(&loader(3), 2));
    assert_eq!(loader(2).epoch_from(2, 5).map(Result::unwrap).collect::<Vec<_>>(), one[5..]);
    // Each batch is mixed in its own way, and in each epoch in another.
    let weights = |batches: &[ImageBatch]| -> Vec<_> {
        batches.iter().filter_map(|batch| batch.mix).map(|mix| mix.lam.to_bits()).collect()
    };
    let mut found = [weights(&one), weights(&batches(&loader(1), 3))].concat();
    let mixed = found.len();
    found.sort_unstable();
    found.dedup();
    assert!(mixed >= 10 && found.len() >= mixed - 2, "{mixed} batches are mixed in {} ways", found.len());

    // The same images and labels as without, mixed afterwards.
    let unmixed = Loader::new(source(&dataset, Transform::Train(all)), config(2)).unwrap();
    for (number, (mixed, mut plain)) in one.iter().zip(batches(&unmixed, 2)).enumerate() {
        mixing.apply(&mut plain, &mut Seed(11).stream(Purpose::Mixing, 2, number as u64));
        assert_eq!(mixed, &plain);
    }
    let wrong = Mixing { probability: 2.0, ..mixing };
    let error = source(&dataset, training()).with_mixing(Some(wrong)).unwrap_err().to_string();
    assert!(error.contains("probability of mixing is 2"), "{error}");
}

#[test]
fn epochs_differ_and_can_be_entered_anywhere() {
    let (_folder, dataset) = images(30, &[]);
    let loader = training_loader(&dataset, config(2));
    let first = batches(&loader, 0);
    assert_ne!(first[0].samples, batches(&loader, 1)[0].samples);
    for start in [0, 3, 7, 8, 100] {
        let rest: Vec<ImageBatch> = loader.epoch_from(0, start).map(Result::unwrap).collect();
        assert_eq!(rest, first[start.min(first.len())..]);
    }
}

#[test]
fn augmentation_is_keyed_by_sample_and_epoch() {
    let (_folder, dataset) = images(6, &[]);
    let unshuffled = LoaderConfig { shuffle: false, batch_size: 6, ..config(1) };
    let ordered = training_loader(&dataset, unshuffled);
    let shuffled = training_loader(&dataset, LoaderConfig { batch_size: 6, ..config(1) });
    let (plain, mixed) = (&batches(&ordered, 5)[0], &batches(&shuffled, 5)[0]);
    assert_eq!(plain.samples, [0, 1, 2, 3, 4, 5]);
    assert_ne!(plain.samples, mixed.samples);
    let values = 3 * 8 * 8;
    for (position, &sample) in mixed.samples.iter().enumerate() {
        let of = |batch: &ImageBatch, at: usize| batch.images[at * values..(at + 1) * values].to_vec();
        assert_eq!(of(mixed, position), of(plain, sample));
    }
    assert_ne!(plain.images, batches(&ordered, 6)[0].images);
}

#[test]
fn the_last_batch_can_be_left_out() {
    let (_folder, dataset) = images(10, &[]);
    let dropping = LoaderConfig { drop_last: true, ..config(2) };
    let evaluation = Transform::Evaluation(Preprocessing::for_size(32, 3));
    let loader = Loader::new(source(&dataset, evaluation.clone()), dropping.clone()).unwrap();
    assert_eq!((loader.batches_per_epoch(), loader.samples()), (2, 10));
    assert_eq!(batches(&loader, 0).len(), 2);

    let error = Loader::new(source(&dataset.subset(&[1, 2, 3]), evaluation.clone()), dropping).unwrap_err();
    assert!(matches!(error, DataError::TooFewSamples { samples: 3, batch_size: 4, .. }), "{error}");
    assert!(error.to_string().contains("lower the batch size"), "{error}");
    let error = Loader::new(source(&dataset.subset(&[]), evaluation.clone()), config(1)).unwrap_err();
    assert!(error.to_string().contains("0 images"), "{error}");
    for wrong in
        [LoaderConfig { batch_size: 0, ..config(1) }, LoaderConfig { queue: 0, ..config(1) }, config(0)]
    {
        let error = Loader::new(source(&dataset, evaluation.clone()), wrong).unwrap_err();
        assert!(error.to_string().contains("must be at least 1"), "{error}");
    }
}

#[test]
fn an_early_end_stops_the_threads() {
    let (_folder, dataset) = images(200, &[]);
    let loader = training_loader(&dataset, config(3));
    for taken in 0..5 {
        assert_eq!(loader.epoch(0).take(taken).count(), taken);
    }
}

#[test]
fn a_corrupt_file_ends_an_epoch() {
    let (_folder, dataset) = images(30, &[7]);
    let loader = training_loader(&dataset, LoaderConfig { shuffle: false, ..config(3) });
    let mut epoch = loader.epoch(0);
    assert_eq!(epoch.next().unwrap().unwrap().samples, [0, 1, 2, 3]);
    let error = epoch.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("0007.png") && error.contains("not a readable image"), "{error}");
    assert!(epoch.next().is_none());
}

#[test]
fn corrupt_files_are_replaced_by_the_next_in_the_order() {
    let (folder, dataset) = images(300, &[0, 1, 299]);
    let in_order = LoaderConfig { shuffle: false, ..replacing(2) };
    let loader = training_loader(&dataset, in_order);
    let found = batches(&loader, 0);
    assert_eq!(found[0].samples, [2, 2, 2, 3]);
    // After the last comes the first, which is corrupt too.
    assert_eq!(found[74].samples, [296, 297, 298, 2]);
    batches(&loader, 1);
    let corrupt: Vec<String> = loader.corrupt().into_iter().map(|file| file.name).collect();
    let name = |file: &str| Path::new(folder.path()).join(file).display().to_string();
    assert_eq!(corrupt, [name("0000.png"), name("0001.png"), name("0299.png")]);

    let of = |threads| {
        let loader = training_loader(&dataset, replacing(threads));
        (batches(&loader, 4), loader.corrupt())
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn files_that_disappear_count_as_corrupt() {
    let (folder, dataset) = images(100, &[]);
    fs::remove_file(folder.path().join("0042.png")).unwrap();
    let loader = training_loader(&dataset, replacing(2));
    assert_eq!(batches(&loader, 0).iter().map(ImageBatch::len).sum::<usize>(), 100);
    assert_eq!(loader.corrupt().len(), 1);
}

#[test]
fn more_than_one_in_a_hundred_is_too_much() {
    let (_folder, dataset) = images(200, &[5, 60, 150]);
    for threads in [1, 3] {
        let in_order = LoaderConfig { shuffle: false, ..replacing(threads) };
        let loader = training_loader(&dataset, in_order);
        let mut epoch = loader.epoch(0);
        // The third corrupt file is in the batch of the samples 148 to 151.
        assert_eq!(epoch.by_ref().take(37).filter(Result::is_ok).count(), 37);
        let error = epoch.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("3 of 200 images") && error.contains("0005.png"), "{error}");
        assert!(epoch.next().is_none());
    }
    // Nothing but corrupt files.
    let loader = training_loader(&dataset.subset(&[5; 150]), replacing(2));
    assert!(loader.epoch(0).next().unwrap().is_err());
}
