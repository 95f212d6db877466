//! Kept images are the images: whatever the cache, the threads, and what happened to the files.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::{
    fs::{self, File, FileTimes},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use convnext_core::{Seed, imagenet_mean, imagenet_std};
use convnext_data::{
    Cache, Dataset, Image, ImageBatch, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, TrainCrop,
    TrainTransform, Transform, open_unlabelled, pack,
};
use tempfile::TempDir;

const IMAGES: usize = 120;

struct Data {
    folder: TempDir,
}

impl Data {
    /// Images of several sizes; one file is no image.
    fn new() -> Self {
        let data = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(data.images()).unwrap();
        for index in 0..IMAGES {
            data.draw(index, index);
        }
        fs::write(data.image(50), "no image").unwrap();
        data
    }

    fn images(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn image(&self, index: usize) -> PathBuf {
        self.images().join(format!("{index:03}.png"))
    }

    fn draw(&self, index: usize, pattern: usize) {
        let (width, height) = (5 + index % 7, 4 + index % 5);
        let rgb = (0..width * height * 3).map(|i| (i * 31 + pattern * 17) as u8).collect();
        Image::new(width, height, 3, rgb).unwrap().save_png(&self.image(index)).unwrap();
    }

    fn dataset(&self) -> Dataset {
        open_unlabelled(&self.images()).unwrap()
    }

    fn cache_folder(&self) -> PathBuf {
        self.folder.path().join("cache/deep")
    }

    fn cache(&self) -> Cache {
        Cache::Folder(self.cache_folder())
    }

    /// The two files of the cache: slots and pixels.
    fn cache_files(&self) -> [PathBuf; 2] {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.cache_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        files.reverse();
        files.try_into().unwrap()
    }
}

fn loader(dataset: &Dataset, cache: Cache, threads: usize) -> Loader {
    let transform = Transform::Train(TrainTransform::plain(
        8,
        TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] },
        imagenet_mean(3),
        imagenet_std(3),
    ));
    let config = LoaderConfig {
        batch_size: 7,
        threads,
        queue: 4,
        shuffle: true,
        drop_last: false,
        on_corrupt: OnCorrupt::Replace,
        cache,
        seed: Seed(3),
    };
    let source = ImageSource::new(dataset.clone(), transform, Orientation::Honour).unwrap();
    Loader::new(source, config).unwrap()
}

/// The batches of two epochs, and what was corrupt.
fn epochs(loader: &Loader) -> (Vec<ImageBatch>, usize) {
    let batches = (0..2).flat_map(|epoch| loader.epoch(epoch).map(Result::unwrap)).collect();
    (batches, loader.corrupt().len())
}

fn plain(data: &Data) -> (Vec<ImageBatch>, usize) {
    epochs(&loader(&data.dataset(), Cache::Off, 1))
}

fn touch(path: &Path, modified: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
}

#[test]
fn caches_and_threads_change_nothing() {
    let data = Data::new();
    let expected = plain(&data);
    assert_eq!(expected.1, 1);
    for threads in [1, 2, 3] {
        for cache in
            [Cache::Memory { bytes: 0 }, Cache::Memory { bytes: 4000 }, Cache::Memory { bytes: 1 << 20 }]
        {
            assert_eq!(epochs(&loader(&data.dataset(), cache.clone(), threads)), expected, "{cache:?}");
        }
        // First filled, then read.
        for _ in 0..2 {
            assert_eq!(epochs(&loader(&data.dataset(), data.cache(), threads)), expected);
        }
        fs::remove_dir_all(data.cache_folder()).unwrap();
    }
}

#[test]
fn archives_and_shards_are_cached_too() {
    let data = Data::new();
    let packed = data.folder.path().join("packed");
    pack(&data.dataset(), &packed, 20_000, |_| ()).unwrap();
    for path in [packed.clone(), packed.join("shard-000001.tar")] {
        let dataset = open_unlabelled(&path).unwrap();
        let expected = epochs(&loader(&dataset, Cache::Off, 1));
        for _ in 0..2 {
            assert_eq!(epochs(&loader(&dataset, data.cache(), 2)), expected);
        }
    }
    // Each has files of its own.
    assert_eq!(fs::read_dir(data.cache_folder()).unwrap().count(), 4);
}

#[test]
fn kept_images_serve_until_their_file_changes() {
    let data = Data::new();
    let expected = plain(&data);
    epochs(&loader(&data.dataset(), data.cache(), 2));
    // Other bytes behind the same size and time: what comes is what was kept.
    let path = data.image(7);
    let (bytes, modified) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    fs::write(&path, vec![0; bytes.len()]).unwrap();
    touch(&path, modified);
    assert_eq!(epochs(&loader(&data.dataset(), data.cache(), 2)), expected);
    // A changed file is decoded again, and kept as it is now.
    data.draw(7, 99);
    touch(&path, modified + Duration::from_secs(1));
    let changed = plain(&data);
    assert_ne!(changed, expected);
    for _ in 0..2 {
        assert_eq!(epochs(&loader(&data.dataset(), data.cache(), 2)), changed);
    }
    // Another orientation has images of its own.
    assert_eq!(data.cache_files().len(), 2);
}

#[test]
fn damaged_caches_never_give_another_image() {
    let data = Data::new();
    let expected = plain(&data);
    epochs(&loader(&data.dataset(), data.cache(), 1));
    let [slots, pixels] = data.cache_files();
    let whole = [fs::read(&slots).unwrap(), fs::read(&pixels).unwrap()];
    let restore = || {
        fs::write(&slots, &whole[0]).unwrap();
        fs::write(&pixels, &whole[1]).unwrap();
    };
    let check = |what: &str| {
        for _ in 0..2 {
            assert_eq!(epochs(&loader(&data.dataset(), data.cache(), 2)), expected, "{what}");
        }
        restore();
    };
    for (file, bytes) in [(&slots, &whole[0]), (&pixels, &whole[1])] {
        for part in [0, 1, 3, 7] {
            // Cut, as by a killed run.
            fs::write(file, &bytes[..bytes.len() * part / 8 + part]).unwrap();
            check("cut");
            // Never written, although what is behind it was: after a failure of power.
            let mut holes = bytes.clone();
            let place = bytes.len() * part / 8;
            holes[place..place + bytes.len() / 8].fill(0);
            fs::write(file, &holes).unwrap();
            check("zeros");
        }
        let mut flipped = bytes.clone();
        flipped.iter_mut().step_by(101).for_each(|byte| *byte ^= 1);
        fs::write(file, &flipped).unwrap();
        check("flipped");
    }
    // Slots of other samples.
    let mut turned = whole[0].clone();
    turned.rotate_left(40);
    fs::write(&slots, &turned).unwrap();
    check("turned");
}

#[test]
fn only_one_loader_adds() {
    let data = Data::new();
    let expected = plain(&data);
    let dataset = data.dataset();
    let first = loader(&dataset, data.cache(), 1);
    let [_, pixels] = data.cache_files();
    // The second finds nothing and keeps nothing.
    assert_eq!(epochs(&loader(&dataset, data.cache(), 1)), expected);
    assert_eq!(fs::metadata(&pixels).unwrap().len(), 0);
    assert_eq!(epochs(&first), expected);
    let size = fs::metadata(&pixels).unwrap().len();
    assert!(size > 0);
    // Every image was kept once, and now the second reads them.
    assert_eq!(epochs(&loader(&dataset, data.cache(), 2)), expected);
    assert_eq!(epochs(&first), expected);
    assert_eq!(fs::metadata(&pixels).unwrap().len(), size);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let data = Data::new();
    let file = data.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let dataset = data.dataset();
    let config = LoaderConfig {
        batch_size: 1,
        threads: 1,
        queue: 1,
        shuffle: false,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Folder(file.join("below")),
        seed: Seed(0),
    };
    let evaluation = Transform::Evaluation(convnext_core::Preprocessing::for_size(32, 3));
    let source = ImageSource::new(dataset, evaluation, Orientation::Ignore).unwrap();
    let message = Loader::new(source, config).unwrap_err().to_string();
    assert!(message.contains("file/below"), "{message}");
}
