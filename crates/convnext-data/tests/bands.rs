//! Files of any number of channels: greyscale, bands, alpha, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

mod tiff_files;

use std::path::PathBuf;

use convnext_data::{Image, Orientation, decode};
use image::{ExtendedColorType, ImageFormat};
use tiff::tags::Tag;
use tiff_files::Bands;

const WIDTH: usize = 4;
const HEIGHT: usize = 3;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)).unwrap()
}

fn read(bytes: &[u8], channels: usize) -> Image {
    decode(bytes, "image", channels, Orientation::Honour).unwrap()
}

fn refused(bytes: &[u8], channels: usize) -> String {
    decode(bytes, "fields/a.tif", channels, Orientation::Honour).unwrap_err().to_string()
}

/// Different levels everywhere.
fn levels(channels: usize) -> Vec<u8> {
    (0..WIDTH * HEIGHT * channels).map(|i| (i * 37 % 251) as u8).collect()
}

fn png(channels: ExtendedColorType, bytes: &[u8]) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, bytes, 4, 3, channels, ImageFormat::Png).unwrap();
    file.into_inner()
}

#[test]
fn greyscale_is_that_of_pillow() {
    for (source, expected) in [("photo.png", "photo-grey.png"), ("rgba.png", "rgba-grey.png")] {
        assert_eq!(read(&golden(source), 1), read(&golden(expected), 1), "{source}");
    }
}

#[test]
fn greyscale_files_keep_their_levels() {
    for name in ["gray.png", "gray.jpg", "gray.tif", "gray16.png", "gray-alpha.png", "bilevel.png"] {
        let (grey, colours) = (read(&golden(name), 1), read(&golden(name), 3));
        assert_eq!((grey.width(), grey.height(), grey.channels()), (colours.width(), colours.height(), 1));
        assert!((0..3).all(|colour| colours.band(colour) == grey), "{name}");
    }
}

#[test]
fn bands_of_8_bit_are_read_as_they_were_written() {
    for channels in [1, 2, 3, 4, 5, 13, 64] {
        let levels = levels(channels);
        for (planar, colours) in [(false, false), (true, false), (false, channels > 2), (true, channels > 2)]
        {
            let file = Bands { planar, colours, ..Bands::new(WIDTH, channels) }.file(&levels);
            let image = read(&file, channels);
            assert_eq!((image.width(), image.height(), image.channels()), (WIDTH, HEIGHT, channels));
            assert_eq!(image.bytes(), levels, "{channels}, planar: {planar}, colours: {colours}");
        }
    }
}

#[test]
fn bands_of_16_bit_are_rounded_to_8() {
    for channels in [3, 5] {
        let levels: Vec<u16> = (0..WIDTH * HEIGHT * channels).map(|i| (i * 5003 % 65_536) as u16).collect();
        let expected: Vec<u8> =
            levels.iter().map(|&level| (f64::from(level) / 257.0).round() as u8).collect();
        for planar in [false, true] {
            let file = Bands { planar, ..Bands::new(WIDTH, channels) }.file(&levels);
            assert_eq!(read(&file, channels).bytes(), expected, "{channels}, planar: {planar}");
        }
    }
}

/// Cameras write infrared as a fourth sample of colours; it was left out by the decoder.
#[test]
fn infrared_beside_colours_is_a_band() {
    let levels = levels(4);
    let file = Bands { colours: true, ..Bands::new(WIDTH, 4) }.file(&levels);
    assert_eq!(read(&file, 4).bytes(), levels);
    // As colours alone it is read as before.
    let colours: Vec<u8> = levels.chunks(4).flat_map(|pixel| &pixel[..3]).copied().collect();
    assert_eq!(read(&file, 3).bytes(), colours);
}

#[test]
fn the_order_of_bytes_does_not_matter() {
    for big_endian in [false, true] {
        assert_eq!(read(&infrared(big_endian), 4).bytes(), [1, 2, 3, 4], "big endian: {big_endian}");
    }
}

/// One pixel of red, green, blue and infrared, byte by byte.
fn infrared(big_endian: bool) -> Vec<u8> {
    const HEADER: u32 = 8;
    let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
    file.extend(short(42));
    file.extend(long(HEADER + 4));
    file.extend([1, 2, 3, 4]);
    let fields = [
        (Tag::ImageWidth, 1),
        (Tag::ImageLength, 1),
        (Tag::BitsPerSample, 8),
        (Tag::PhotometricInterpretation, 2),
        (Tag::StripOffsets, HEADER as u16),
        (Tag::SamplesPerPixel, 4),
        (Tag::RowsPerStrip, 1),
        (Tag::StripByteCounts, 4),
        (Tag::ExtraSamples, 0),
    ];
    file.extend(short(fields.len() as u16));
    for (tag, value) in fields {
        file.extend([short(tag.to_u16()), short(3)].concat());
        file.extend(long(1));
        file.extend([short(value), [0; 2]].concat());
    }
    file.extend(long(0));
    file
}

#[test]
fn bands_are_turned_upright() {
    let levels = levels(5);
    // Stored lying on its side: 6 is a turn by 90 degrees, clockwise.
    let file = Bands { orientation: 6, ..Bands::new(WIDTH, 5) }.file(&levels);
    let (upright, stored) = (read(&file, 5), decode(&file, "", 5, Orientation::Ignore).unwrap());
    assert_eq!((upright.width(), upright.height()), (HEIGHT, WIDTH));
    for (x, y) in (0..WIDTH).flat_map(|x| (0..HEIGHT).map(move |y| (x, y))) {
        assert_eq!(upright.pixel(HEIGHT - 1 - y, x), stored.pixel(x, y));
    }
}

#[test]
fn alpha_is_a_channel_where_four_or_two_are_asked_for() {
    for (channels, color) in [(4, ExtendedColorType::Rgba8), (2, ExtendedColorType::La8)] {
        let levels = levels(channels);
        assert_eq!(read(&png(color, &levels), channels).bytes(), levels);
    }
}

#[test]
fn other_numbers_of_channels_are_refused_by_name() {
    let five = Bands::new(WIDTH, 5).file(&levels(5));
    let without_meaning = Bands { colours: true, ..Bands::new(WIDTH, 6) }.file(&levels(6));
    let (colours, alpha) =
        (png(ExtendedColorType::Rgb8, &levels(3)), png(ExtendedColorType::Rgba8, &levels(4)));
    for (bytes, found, expected) in [
        (&five, 5, 4),
        (&five, 5, 3),
        (&five, 5, 1),
        (&without_meaning, 6, 5),
        (&colours, 3, 4),
        (&colours, 3, 5),
        (&alpha, 4, 2),
        (&golden("gray.jpg"), 1, 2),
        (&golden("cmyk.jpg"), 3, 4),
    ] {
        let message = refused(bytes, expected);
        assert!(
            message.starts_with(&format!("fields/a.tif has {found} channel(s), but {expected} are needed"))
                && message.contains(&format!("--channels {found}")),
            "{message}"
        );
    }
}

#[test]
fn bands_of_32_bit_are_read_and_damaged_files_are_refused() {
    let wide = Bands::new(WIDTH, 5).file(&vec![0x6000_0000_u32; WIDTH * HEIGHT * 5]);
    assert_eq!(read(&wide, 5).bytes(), [96; WIDTH * HEIGHT * 5]);
    let file = Bands::new(WIDTH, 5).file(&levels(5));
    // The last four bytes say that no further directory follows; up to them everything is needed.
    for length in [0, 1, 10, file.len() / 2, file.len() - 5] {
        let message = refused(&file[..length], 5);
        assert!(message.starts_with("fields/a.tif is not a readable image"), "{message}");
    }
}
