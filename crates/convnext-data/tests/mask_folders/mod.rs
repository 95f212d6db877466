//! Folders of images with masks.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers: each test binary uses its own part"
)]

use std::fs;
use std::path::Path;

use convnext_core::Seed;
use convnext_data::{Image, SegmentationData, SegmentationLayout, open_segmentation};
use tempfile::TempDir;

/// Side of the images and masks.
pub const SIDE: usize = 8;

/// A PNG of one channel.
pub fn grey(values: &[u8]) -> Vec<u8> {
    let pixels = (0..SIDE * SIDE).map(|at| values[at * values.len() / (SIDE * SIDE)]).collect();
    Image::new(SIDE, SIDE, 1, pixels).unwrap().png()
}

/// A PNG of colours.
pub fn colours(values: &[[u8; 3]]) -> Vec<u8> {
    let pixels = (0..SIDE * SIDE).flat_map(|at| values[at * values.len() / (SIDE * SIDE)]).collect();
    Image::new(SIDE, SIDE, 3, pixels).unwrap().png()
}

/// A PNG of the indices of a palette.
pub fn indexed(values: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let indices: Vec<u8> = (0..SIDE * SIDE).map(|at| values[at * values.len() / (SIDE * SIDE)]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.as_flattened().to_vec());
    encoder.write_header().unwrap().write_image_data(&indices).unwrap();
    bytes
}

/// Writes a file and makes its folders.
pub fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Images and masks at these paths.
pub fn folder(pairs: &[(&str, &str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (image, mask, bytes) in pairs {
        write(folder.path(), image, &grey(&[9]));
        write(folder.path(), mask, bytes);
    }
    folder
}

/// Opens without any wish.
pub fn open(folder: &TempDir) -> SegmentationData {
    open_segmentation(folder.path(), &SegmentationLayout::default(), Seed(1)).unwrap()
}

/// The error of opening.
pub fn refused(folder: &TempDir, layout: &SegmentationLayout) -> String {
    open_segmentation(folder.path(), layout, Seed(1)).unwrap_err().to_string()
}
