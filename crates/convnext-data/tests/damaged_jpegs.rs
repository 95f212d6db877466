//! JPEG files with damaged data are read as far as that goes, and whoever uses them is told by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use convnext_core::{Preprocessing, Seed};
use convnext_data::{
    Cache, Dataset, Decoding, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, SurveyOptions,
    Transform, open_unlabelled, survey,
};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The warnings of all tests of this file.
struct Warnings(Mutex<Vec<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl Log for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// A folder with a file whose data is cut and whose end is put behind it, beside a sound one.
fn folder() -> (tempfile::TempDir, Dataset) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jpegs/grid-444.jpg");
    let whole = fs::read(source).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cut.jpg"), [&whole[..whole.len() * 3 / 4], &[0xFF, 0xD9]].concat())
        .unwrap();
    fs::write(folder.path().join("whole.jpg"), &whole).unwrap();
    let dataset = open_unlabelled(folder.path()).unwrap();
    (folder, dataset)
}

#[test]
fn a_survey_lists_files_that_can_be_read_only_in_part() {
    let (_folder, dataset) = folder();
    let found = survey(&[("all", &dataset)], SurveyOptions::default(), |_| ()).unwrap();
    assert_eq!((found.images, &found.corrupt[..]), (2, &[][..]));
    let [damaged] = &found.damaged[..] else { panic!("{:?}", found.damaged) };
    assert!(damaged.name.ends_with("cut.jpg") && !damaged.why.is_empty(), "{damaged:?}");
}

#[test]
fn a_loader_warns_of_a_damaged_file_once_in_a_run_and_not_in_every_epoch() {
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(LevelFilter::Warn);
    let (folder, dataset) = folder();
    let name = folder.path().join("cut.jpg").display().to_string();
    let told = || WARNINGS.0.lock().unwrap().iter().filter(|words| words.contains(&name)).count();
    let decoding = Decoding::new(3, Orientation::Honour);
    for _ in 0..2 {
        dataset.image(0, &decoding).unwrap();
        assert_eq!(told(), 1);
    }
    let transform = Transform::Evaluation(Preprocessing::for_size(32, 3));
    let config = LoaderConfig {
        batch_size: 2,
        threads: 2,
        queue: 2,
        shuffle: false,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Folder(folder.path().join(".cache")),
        seed: Seed(1),
    };
    let source = || ImageSource::new(dataset.clone(), transform.clone(), Orientation::Honour).unwrap();
    let loader = Loader::new(source(), config.clone()).unwrap();
    for epoch in 0..3 {
        assert_eq!(loader.epoch(epoch).map(|batch| batch.unwrap().samples.len()).sum::<usize>(), 2);
        assert_eq!(told(), 2);
    }
    drop(loader);
    // The next run has the same images in its cache, but for the damaged one.
    let loader = Loader::new(source(), config).unwrap();
    assert_eq!(loader.epoch(0).map(|batch| batch.unwrap().samples.len()).sum::<usize>(), 2);
    assert_eq!(told(), 3);
}
