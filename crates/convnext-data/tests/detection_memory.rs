//! A large file of annotations takes no more memory than about its own size.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::fmt::Write;
use std::fs;

use convnext_core::Seed;
use convnext_data::{DetectionLayout, Image, open_detection};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const IMAGES: usize = 20;
const OBJECTS: usize = 1500;

/// COCO's JSON of objects with outlines of 30 corners, written as COCO writes them.
fn annotations() -> String {
    let mut text = String::from(r#"{"annotations": ["#);
    for id in 0..IMAGES * OBJECTS {
        let separator = if id == 0 { "" } else { ", " };
        let (image, left, top) = (id % IMAGES, (id * 7 % 400) as f64, (id * 3 % 300) as f64);
        let ring = (0..30).flat_map(|at| {
            let (sin, cos) = (f64::from(at) * 0.2).sin_cos();
            [left + 50.0 + 20.0 * cos, top + 50.0 + 20.0 * sin].map(|side| format!("{side:.2}"))
        });
        let ring = ring.collect::<Vec<_>>().join(", ");
        write!(
            text,
            r#"{separator}{{"id": {id}, "image_id": {image}, "category_id": 1, "iscrowd": 0, "area": 1256.6, "bbox": [{}, {},
            40.0, 40.0], "segmentation": [[{ring}]]}}"#,
            left + 30.0,
            top + 30.0
        )
        .unwrap();
    }
    text.push_str(r#"], "categories": [{"id": 1, "name": "disc"}], "images": ["#);
    for id in 0..IMAGES {
        let separator = if id == 0 { "" } else { ", " };
        write!(text, r#"{separator}{{"id": {id}, "file_name": "{id}.png", "width": 500, "height": 400}}"#)
            .unwrap();
    }
    text.push_str("]}");
    text
}

#[test]
fn annotations_take_about_their_own_size() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new(500, 400, 1, vec![0; 500 * 400]).unwrap().png();
    for id in 0..IMAGES {
        fs::write(folder.path().join(format!("{id}.png")), &image).unwrap();
    }
    let text = annotations();
    let size = text.len();
    fs::write(folder.path().join("annotations.json"), text).unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let data = open_detection(folder.path(), &DetectionLayout::default(), Seed(1)).unwrap();
    let (kept, peak) = (MEMORY.current_usage() - before, MEMORY.peak_usage() - before);
    let objects: u64 =
        data.train.objects_per_class().iter().chain(&data.validation.objects_per_class()).sum();
    assert_eq!(objects as usize, IMAGES * OBJECTS);
    let times = |bytes: usize| bytes as f64 / size as f64;
    assert!(
        times(kept) < 1.5 && times(peak) < 2.2,
        "{:.2} and {:.2} times {size} bytes",
        times(kept),
        times(peak)
    );
}
