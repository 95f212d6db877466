//! Files of rare kinds have Pillow's pixels; `tests/kinds/make.py` made both.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use convnext_data::{DataError, Image, Orientation, decode};
use serde::Deserialize;

#[derive(Deserialize)]
struct Kind {
    file: String,
    expected: String,
    tolerance: u8,
}

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kinds").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn kinds() -> Vec<Kind> {
    serde_json::from_slice(&bytes("kinds.json")).unwrap()
}

fn read(bytes: &[u8], name: &str, channels: usize) -> Result<Image, DataError> {
    decode(bytes, name, channels, Orientation::Honour)
}

/// The largest difference, or why there is no image to compare.
fn difference(found: Result<Image, DataError>, expected: &Image) -> Result<u8, String> {
    let found = found.map_err(|error| error.to_string())?;
    let size = |image: &Image| (image.width(), image.height());
    if size(&found) != size(expected) {
        return Err(format!("{found:?} instead of {expected:?}"));
    }
    let differences = found.bytes().iter().zip(expected.bytes()).map(|(a, b)| a.abs_diff(*b));
    Ok(differences.max().unwrap_or(0))
}

#[test]
fn files_of_rare_kinds_have_the_pixels_of_pillow() {
    let mut wrong = Vec::new();
    for Kind { file, expected, tolerance } in kinds() {
        let expected = read(&bytes(&expected), &expected, 3).unwrap();
        match difference(read(&bytes(&file), &file, 3), &expected) {
            Ok(difference) if difference <= tolerance => {}
            other => wrong.push(format!("{file}: {other:?}, allowed is {tolerance}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cut_files_are_errors_and_no_panics() {
    for Kind { file, .. } in kinds() {
        let whole = bytes(&file);
        for length in (0..whole.len()).step_by(1 + whole.len() / 60) {
            let error = read(&whole[..length], &file, 3).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(!error.contains("the decoder failed"), "{file} cut to {length} bytes: {error}");
        }
    }
}

/// Bits that flip anywhere in the first bytes, where the sizes stand.
#[test]
fn damaged_headers_are_errors_and_no_panics() {
    for Kind { file, .. } in kinds() {
        let whole = bytes(&file);
        for place in (0..whole.len()).step_by(1 + whole.len() / 150) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0xA5;
            let error = read(&damaged, &file, 3).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("the decoder failed"), "{file} damaged at byte {place}: {error}");
        }
    }
}

/// A number in the directory of a TIFF file, replaced.
fn with_tag(file: &str, tag: u16, number: u16) -> Vec<u8> {
    let mut bytes = bytes(file);
    let start = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(bytes[start..start + 2].try_into().unwrap()));
    for entry in (0..count).map(|entry| start + 2 + 12 * entry) {
        if u16::from_le_bytes(bytes[entry..entry + 2].try_into().unwrap()) == tag {
            bytes[entry + 8..entry + 10].copy_from_slice(&number.to_le_bytes());
            return bytes;
        }
    }
    panic!("{file} has no tag {tag}");
}

#[test]
fn tiff_files_that_are_not_read_are_called_by_name() {
    const COMPRESSION: u16 = 259;
    const PHOTOMETRIC: u16 = 262;
    for (tag, number, words) in [
        (COMPRESSION, 2, "CCITT run-length"),
        (COMPRESSION, 3, "Group 3 fax"),
        (COMPRESSION, 6, "old-style JPEG"),
        (COMPRESSION, 34_712, "JPEG 2000"),
        (COMPRESSION, 34_887, "LERC"),
        (COMPRESSION, 34_925, "LZMA"),
        (COMPRESSION, 77, "an unknown compression (77)"),
        (PHOTOMETRIC, 8, "CIELab"),
        (PHOTOMETRIC, 32_803, "raw photograph"),
        (PHOTOMETRIC, 99, "unknown meaning"),
        (258, 30, "30-bit"),
    ] {
        let error = read(&with_tag("grey-4.tif", tag, number), "scan.tif", 3).unwrap_err().to_string();
        assert!(error.starts_with("scan.tif is a TIFF file") && error.contains(words), "{error}");
        assert!(error.contains("which is not supported; convert it"), "{error}");
    }
}

#[test]
fn deep_files_keep_what_a_range_says() {
    use convnext_core::ValueRange;
    use convnext_data::{Decoding, decode_as};

    let range = ValueRange::Deep(vec![[0.0, 4095.0]]);
    let decoding = Decoding::new(1, Orientation::Honour).with_range(range);
    let image = decode_as(&bytes("grey-12.tif"), "", &decoding).unwrap();
    let whole = read(&bytes("grey-12.tif"), "", 1).unwrap();
    assert!(image.is_deep() && !whole.is_deep());
    assert_eq!(image.bytes(), whole.bytes());
}
