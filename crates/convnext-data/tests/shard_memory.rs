//! A million images in shards take few bytes each, before and while an epoch goes through them.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Instant, UNIX_EPOCH},
};

use convnext_core::{Preprocessing, Seed};
use convnext_data::{
    Cache, Dataset, Image, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, Transform,
    open_for_evaluation, open_unlabelled, pack,
};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

/// Says what was measured; tests that are run by hand have nothing else to say it with.
macro_rules! report {
    ($($words:tt)*) => {{
        let mut out = std::io::stderr();
        writeln!(out, $($words)*).unwrap()
    }};
}

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SHARDS: usize = 100;
const IMAGES: usize = 1_000_000;

/// Shards of one image each, and an index that speaks of a hundred times ten thousand.
fn million() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join(".one");
    Image::new(1, 1, 3, vec![7; 3]).unwrap().save_png(&image).unwrap();
    let image = fs::read(image).unwrap();
    let mut shards = Vec::new();
    for number in 0..SHARDS {
        let name = format!("shard-{number:06}.tar");
        let mut builder = tar::Builder::new(File::create(folder.path().join(&name)).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(image.len() as u64);
        builder.append_data(&mut header, "1.png", &image[..]).unwrap();
        builder.into_inner().unwrap().sync_all().unwrap();
        let found = fs::metadata(folder.path().join(&name)).unwrap();
        let modified = found.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let images = IMAGES / SHARDS;
        shards.push(serde_json::json!({
            "name": name, "size": found.len(), "modified": modified, "images": images
        }));
    }
    let header = serde_json::json!({"shards": shards, "names": []}).to_string();
    let mut bytes = b"convnext shards\n".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.as_bytes());
    for _ in 0..IMAGES {
        // Block 1, the image's length, no label.
        for number in [1, image.len() as u32, u32::MAX] {
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    File::create(folder.path().join("shards.index")).unwrap().write_all(&bytes).unwrap();
    folder
}

fn open(folder: &Path) -> (Dataset, usize) {
    let before = MEMORY.current_usage();
    let dataset = open_unlabelled(folder).unwrap();
    assert_eq!(dataset.len(), IMAGES);
    (dataset, MEMORY.current_usage() - before)
}

fn loader(dataset: Dataset) -> Loader {
    let config = LoaderConfig {
        batch_size: 250,
        threads: 2,
        queue: 4,
        shuffle: true,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Off,
        seed: Seed(1),
    };
    let small = Preprocessing::for_size(2, 3);
    let source = ImageSource::new(dataset, Transform::Evaluation(small), Orientation::Honour).unwrap();
    Loader::new(source, config).unwrap()
}

/// Bytes beyond the data set that an epoch may take: batches in the making, windows and threads.
const EPOCH: usize = 2 << 20;

#[test]
fn a_million_images_take_little() {
    let folder = million();
    let (dataset, held) = open(folder.path());
    assert!(held <= 24 * IMAGES, "{held} bytes");
    let loader = loader(dataset);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut seen = Vec::new();
    for start in [0, 700, 1999, 2000, 3990] {
        for batch in loader.epoch_from(5, start).take(10) {
            seen.extend(batch.unwrap().samples);
        }
    }
    let taken = MEMORY.peak_usage() - before;
    assert!(taken <= EPOCH, "{taken} bytes for an epoch");
    // The batches 2000 to 2008 were asked for twice.
    assert_eq!(seen.len(), 50 * 250);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 41 * 250);
}

/// Measurement that is reported: `cargo test --test shard_memory -- --ignored --nocapture --test-threads 1`.
#[test]
#[ignore = "writes 2 GB"]
fn packing_and_listing_a_million_images() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.path().join("data").join(class)).unwrap();
        let path = folder.path().join("data").join(class).join("1.png");
        Image::new(1, 1, 3, vec![7; 3]).unwrap().save_png(&path).unwrap();
    }
    let two = open_for_evaluation(&folder.path().join("data"), None).unwrap();
    let all: Vec<usize> = (0..IMAGES).map(|image| image % 2).collect();
    let out = folder.path().join("packed");
    let timed = |what: &str, start: Instant| report!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let summary = pack(&two.subset(&all), &out, 64 << 20, |_| ()).unwrap();
    timed("packing", start);
    report!("{summary:?}");
    for what in ["scanning", "opening with the index"] {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let opened = open_for_evaluation(&out, None).unwrap();
        timed(what, start);
        let (held, most) = (MEMORY.current_usage() - before, MEMORY.peak_usage() - before);
        report!("{held} bytes, {most} while opening");
        assert_eq!(opened.labels_per_class(), [IMAGES / 2; 2]);
        let start = Instant::now();
        opened.fingerprint();
        timed("fingerprint", start);
    }
}

/// Measurement that is reported: `cargo test --test shard_memory -- --ignored --nocapture`.
#[test]
#[ignore = "reads a million images"]
fn a_whole_epoch_of_a_million_images() {
    let folder = million();
    let (dataset, held) = open(folder.path());
    let loader = loader(dataset);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let mut seen = vec![false; IMAGES];
    for batch in loader.epoch(0) {
        batch.unwrap().samples.into_iter().for_each(|sample| seen[sample] = true);
    }
    assert!(seen.into_iter().all(|seen| seen));
    let taken = MEMORY.peak_usage() - before - IMAGES;
    report!(
        "{:.1} bytes an image, {taken} for an epoch, {:.1} s",
        held as f64 / IMAGES as f64,
        start.elapsed().as_secs_f64()
    );
    assert!(taken <= EPOCH, "{taken} bytes");
}
