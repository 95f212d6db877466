//! A folder of very many files opens fast and takes little memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::{fs, io::Write, path::Path, time::Instant};

use convnext_core::Seed;
use convnext_data::{Image, open_labelled};
use peak_alloc::PeakAlloc;

/// Says what was measured; tests that are run by hand have nothing else to say it with.
macro_rules! report {
    ($($words:tt)*) => {{
        let mut out = std::io::stderr();
        writeln!(out, $($words)*).unwrap()
    }};
}

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that an opened data set takes for a file: path, label and place in the order of an epoch.
const MAX_PER_FILE: usize = 150;

/// Bytes of an entry in the order of an epoch.
const ORDER: usize = size_of::<u32>();

/// Folders `train/nXXXXXXXX` with names as long as those of ImageNet; every file is a link to one image.
fn make(root: &Path, classes: usize, per_class: usize) {
    let image = root.join("one");
    Image::new(1, 1, 3, vec![7; 3]).unwrap().save_png(&image).unwrap();
    for class in 0..classes {
        let folder = root.join(format!("data/train/n{class:08}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..per_class {
            // A file may only have some tens of thousands of names.
            if file % 10_000 == 0 {
                fs::copy(&image, root.join("copy")).unwrap();
                fs::rename(root.join("copy"), &image).unwrap();
            }
            fs::hard_link(&image, folder.join(format!("n{class:08}_{file:08}.JPEG"))).unwrap();
        }
    }
}

/// Seconds that opening takes, bytes for a file while it is open, and at most during opening.
fn measure(classes: usize, per_class: usize) -> (f64, usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), classes, per_class);
    let files = classes * per_class;
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let opened = open_labelled(&folder.path().join("data"), None, 0.02, Seed(1)).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let (held, most) = (MEMORY.current_usage() - before, MEMORY.peak_usage() - before);
    assert_eq!(opened.train.len() + opened.validation.len(), files);
    (seconds, held / files + ORDER, most / files)
}

#[test]
fn a_file_takes_few_bytes() {
    let (_, held, most) = measure(20, 1000);
    assert!(held <= MAX_PER_FILE, "{held} bytes a file");
    assert!(most <= 2 * MAX_PER_FILE, "{most} bytes a file while opening");
}

/// Measurement that is reported: `cargo test --release --test listing_memory -- --ignored --nocapture`.
#[test]
#[ignore = "makes a million files"]
fn a_million_files() {
    for (classes, per_class) in [(1000, 1000), (1, 1_000_000)] {
        if classes == 1 {
            // The same files in one folder: its reading and sorting is the worst case.
            let folder = tempfile::tempdir().unwrap();
            make(folder.path(), classes, per_class);
            let data = folder.path().join("data");
            let start = Instant::now();
            let opened = convnext_data::open_unlabelled(&data).unwrap();
            report!("one folder: {} files in {:.2} s", opened.len(), start.elapsed().as_secs_f64());
        } else {
            let (seconds, held, most) = measure(classes, per_class);
            report!("{classes} folders: {seconds:.2} s, {held} bytes a file, {most} while opening");
            assert!(held <= MAX_PER_FILE);
        }
    }
}
