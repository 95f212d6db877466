//! JPEG files of every kind have the pixels that Pillow and libjpeg give them; these lie in `tests/jpegs` together
//! with the script that made them.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::PathBuf;

use convnext_data::{DataError, Image, Orientation, decode};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    file: String,
    eighths: u8,
    expected: String,
}

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/jpegs").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files at full size. (`jpeg/scaled.rs` tests the others.)
fn whole() -> impl Iterator<Item = Expected> {
    let manifest: Vec<Expected> = serde_json::from_slice(&bytes("manifest.json")).unwrap();
    manifest.into_iter().filter(|expected| expected.eighths == 8)
}

fn image(bytes: &[u8], name: &str, channels: usize) -> Result<Image, DataError> {
    decode(bytes, name, channels, Orientation::Honour)
}

#[test]
fn every_kind_has_the_pixels_of_pillow() {
    let mut files = 0;
    for Expected { file, expected, .. } in whole() {
        let decoded = image(&bytes(&file), &file, 3).unwrap();
        assert_eq!(decoded, image(&bytes(&expected), &expected, 3).unwrap(), "{file}");
        files += 1;
    }
    assert!(files > 70, "{files} files");
}

#[test]
fn in_grey_every_kind_has_the_levels_of_pillow() {
    for Expected { file, expected, .. } in whole() {
        let decoded = image(&bytes(&file), &file, 1).unwrap();
        assert_eq!(decoded, image(&bytes(&expected), &expected, 1).unwrap(), "{file}");
    }
}

#[test]
fn no_jpeg_has_bands() {
    for channels in [2, 4, 5] {
        for file in ["grid-420.jpg", "grey.jpg", "cmyk.jpg"] {
            let error = image(&bytes(file), file, channels).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(&channels.to_string()), "{error}");
        }
    }
}

/// The file with another byte in its frame header, counted from its marker.
fn with_frame_byte(name: &str, place: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes(name);
    let frame = bytes.windows(2).position(|two| matches!(two, [0xFF, 0xC0 | 0xC2])).unwrap();
    bytes[frame + place] = byte;
    bytes
}

#[test]
fn twelve_bits_a_sample_are_refused_as_what_they_are() {
    const BITS: usize = 4;
    for bits in [2, 12, 16] {
        let error = image(&with_frame_byte("grid-420.jpg", BITS, bits), "deep.jpg", 3).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("deep.jpg") && error.contains(&format!("{bits} bit")), "{error}");
    }
}

#[test]
fn enormous_sides_are_refused_before_they_take_memory() {
    const HEIGHT: usize = 5;
    const WIDTH: usize = 7;
    let mut bytes = with_frame_byte("grid-420.jpg", HEIGHT, 0xFF);
    let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    bytes[frame + WIDTH] = 0xFF;
    let error = image(&bytes, "bomb.jpg", 3).unwrap_err().to_string();
    assert!(error.contains("bomb.jpg is 65341x65325 pixels"), "{error}");
}

/// One file of each kind that is decoded in its own way.
const KINDS: [&str; 10] = [
    "grid-420.jpg",
    "progressive-422.jpg",
    "one-by-one-420.jpg",
    "pairs-420.jpg",
    "restarts.jpg",
    "arithmetic.jpg",
    "arithmetic-progressive.jpg",
    "grey.jpg",
    "ycck-halved.jpg",
    "grid-finer-chroma.jpg",
];

#[test]
fn every_cut_is_refused() {
    for file in KINDS {
        let whole = bytes(file);
        for length in 0..whole.len() {
            let error = image(&whole[..length], file, 3).unwrap_err().to_string();
            assert!(error.starts_with(file), "{error}");
        }
    }
}

#[test]
fn damage_gives_an_error_or_an_image() {
    for file in KINDS {
        let whole = bytes(file);
        let size = (61, 45);
        let mut read = 0;
        for place in 2..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] = [damaged[place] ^ 1 << (place % 8), 0, 0xFF, 0x7F][place % 4];
            match image(&damaged, file, 3) {
                Ok(image) => read += usize::from((image.width(), image.height()) == size),
                // A decoder that panics is not trusted with memory either.
                Err(error) => assert!(!error.to_string().contains("the decoder failed"), "{file} at {place}"),
            }
        }
        assert!(read > 50, "{file}: {read} read");
    }
}

#[test]
fn what_lies_before_the_damage_is_kept() {
    let whole = bytes("grid-444.jpg");
    let expected = image(&whole, "", 3).unwrap();
    // The data is cut, and the end of the file put behind it.
    let mut damaged = whole[..whole.len() * 3 / 4].to_vec();
    damaged.extend([0xFF, 0xD9]);
    let found = image(&damaged, "", 3).unwrap();
    let upper = 16 * 61 * 3;
    assert_eq!(found.bytes()[..upper], expected.bytes()[..upper]);
    assert_eq!(found.pixel(60, 44), [128; 3]);
}

#[test]
fn the_turn_in_xmp_data_counts_where_there_is_none_in_exif() {
    let whole = bytes("grid-444.jpg");
    let with_segments = |contents: &[&[u8]]| {
        let segments = contents.iter().flat_map(|content| {
            let length = (content.len() + 2) as u16;
            [&[0xFF, 0xE1], &length.to_be_bytes()[..], content].concat()
        });
        [&whole[..2], &segments.collect::<Vec<_>>(), &whole[2..]].concat()
    };
    let read = |contents: &[&[u8]]| image(&with_segments(contents), "", 3).unwrap();
    let xmp: [&[u8]; 2] = [
        b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation=\"6\"/>",
        b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation=\"3\"/>",
    ];
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = read(&[exif]);
    assert_ne!(turned, read(&[]));
    assert_eq!(read(&[xmp[0]]), turned);
    assert_ne!(read(&[xmp[1]]), turned);
    // Whichever stands first.
    assert_eq!([read(&[exif, xmp[1]]), read(&[xmp[1], exif])], [turned.clone(), turned]);
}
