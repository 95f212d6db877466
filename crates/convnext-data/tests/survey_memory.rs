//! A survey keeps no pixels.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::fs;

use convnext_data::{Image, SurveyOptions, open_unlabelled, survey};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn memory_does_not_grow_with_the_pixels() {
    const IMAGES: usize = 60;
    const SIDE: usize = 700;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..IMAGES {
        let image = Image::new(SIDE, SIDE, 3, vec![number as u8; SIDE * SIDE * 3]).unwrap();
        fs::write(folder.path().join(format!("{number}.png")), image.png()).unwrap();
    }
    let dataset = open_unlabelled(folder.path()).unwrap();
    let pixels = IMAGES * SIDE * SIDE * 3;
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let options = SurveyOptions { threads: 2, ..SurveyOptions::default() };
    let found = survey(&[("all", &dataset)], options, |_| ()).unwrap();
    let (peak, kept) = (MEMORY.peak_usage() - before, MEMORY.current_usage() - before);
    assert_eq!((found.images, found.thumbnails.len(), found.duplicates.len()), (IMAGES, 24, 0));
    // Two images at a time, each with a copy while it is turned into another form.
    assert!(peak < pixels / 8, "{peak} bytes of {pixels} at once");
    assert!(kept < 64 << 10, "{kept} bytes are kept");
}
