//! Mask files: their values as they are stored, which decoding to an image would change.
//!
//! Opened as images, palettes lose their indices and 16 bit their lower half (facts, "Segmentation folders").

use std::io::Cursor;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;
use image::{DynamicImage, ImageFormat};
use png::{BitDepth, ColorType, Decoder, Transformations};

use crate::error::DataError;
use crate::reading::caught::caught;
use crate::reading::format::Format;
use crate::reading::png_end;
use crate::reading::size_limit::check_size;
use crate::reading::stored_size::stored_in_file;
use crate::segmentation::mask::{Mask, MaskPixels};

const ADVICE: &str = "save label maps as PNG with one channel, a palette, or colours";

/// Reads a mask: PNG of any kind, BMP or TIFF, told apart by content. Alpha is dropped. A palette of greys in a PNG file
/// means its greys, as programs that shrink such files make them; any other means its indices. A BMP file with a palette
/// gives its colours.
///
/// # Errors
/// [`DataError::Unsupported`] for a JPEG file, whose compression invents values, and other formats;
/// [`DataError::Decode`] for a damaged file; [`DataError::TooLarge`] above 512 MiB.
pub(crate) fn decode_mask(bytes: &[u8], name: &str) -> Result<Mask, DataError> {
    let unsupported =
        |what: String| Err(DataError::Unsupported { name: name.to_owned(), what, advice: ADVICE });
    let read = caught(|| match Format::of(bytes) {
        Some(Format::Png) => match read_png(bytes, name) {
            Err(error @ DataError::Decode { .. }) => match png_end::with_end(bytes) {
                Some(whole) => read_png(&whole, name),
                None => Err(error),
            },
            read => read,
        },
        Some(Format::Bmp) => through_image(bytes, name, ImageFormat::Bmp),
        Some(Format::Tiff) => through_image(bytes, name, ImageFormat::Tiff),
        Some(Format::Jpeg) => {
            unsupported("a mask in JPEG, whose compression invents values near the borders of regions".into())
        }
        Some(other) => unsupported(format!("a mask in {}", other.name())),
        None => Err(DataError::decode(name, "it is in no format that masks are read from")),
    });
    let mask = read.unwrap_or_else(|| Err(DataError::decode(name, "the decoder failed on damaged data")))?;
    let turn = stored_in_file(bytes).map_or(Turn::NoTransforms, |stored| stored.turn);
    Ok(Mask { turn, ..mask })
}

fn read_png(bytes: &[u8], name: &str) -> Result<Mask, DataError> {
    let damaged = |error: png::DecodingError| DataError::decode(name, error);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (width, height) = (info.width, info.height);
    let (kind, depth) = (info.color_type, info.bit_depth);
    let palette: Vec<[u8; 3]> = info.palette.as_deref().map_or(Vec::new(), |rgb| rgb.as_chunks().0.to_vec());
    check_size(name, width, height, u64::from(width) * u64::from(height) * kind.samples() as u64 * 2)?;
    let size = ImageSize { height: height as usize, width: width as usize };
    let length = reader.output_buffer_size().ok_or_else(|| DataError::decode(name, "it is too large"))?;
    let mut rows = vec![0; length];
    reader.next_frame(&mut rows).map_err(damaged)?;
    let samples = samples(&rows, size, kind.samples(), depth);
    let pixels = match kind {
        ColorType::Grayscale => MaskPixels::Ids(samples, depth as u8),
        ColorType::GrayscaleAlpha => MaskPixels::Ids(samples.into_iter().step_by(2).collect(), depth as u8),
        ColorType::Indexed => of_palette(samples, palette),
        ColorType::Rgb | ColorType::Rgba if depth == BitDepth::Eight => {
            let pixels = samples.chunks_exact(kind.samples());
            MaskPixels::Colours(
                pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]].map(|level| level as u8)).collect(),
            )
        }
        ColorType::Rgb | ColorType::Rgba => {
            let what = "a PNG file with colours of 16 bit as a mask".to_owned();
            return Err(DataError::Unsupported { name: name.to_owned(), what, advice: ADVICE });
        }
    };
    Ok(Mask { size, pixels, turn: Turn::NoTransforms })
}

/// The samples of rows that begin at whole bytes, as they are stored.
fn samples(rows: &[u8], size: ImageSize, channels: usize, depth: BitDepth) -> Vec<u16> {
    let in_row = size.width * channels;
    match depth {
        BitDepth::Sixteen => rows.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect(),
        BitDepth::Eight => rows.iter().map(|&byte| u16::from(byte)).collect(),
        BitDepth::One | BitDepth::Two | BitDepth::Four => {
            let bits = depth as usize;
            let mask = (1_u8 << bits) - 1;
            let row_bytes = (in_row * bits).div_ceil(8);
            let of_row = |row: &[u8]| -> Vec<u16> {
                // The first sample has the highest bits of its byte.
                let sample = |at: usize| row[at * bits / 8] >> (8 - bits - at * bits % 8) & mask;
                (0..in_row).map(|at| u16::from(sample(at))).collect()
            };
            rows.chunks_exact(row_bytes).flat_map(of_row).collect()
        }
    }
}

/// A palette that has nothing but greys stands for them.
fn of_palette(indices: Vec<u16>, palette: Vec<[u8; 3]>) -> MaskPixels {
    let grey = |&[red, green, blue]: &[u8; 3]| red == green && green == blue;
    if palette.is_empty() || !palette.iter().all(grey) {
        return MaskPixels::Palette(indices, palette);
    }
    let level = |index: u16| palette.get(usize::from(index)).map_or(0, |colour| u16::from(colour[0]));
    MaskPixels::Ids(indices.into_iter().map(level).collect(), 8)
}

fn through_image(bytes: &[u8], name: &str, format: ImageFormat) -> Result<Mask, DataError> {
    let mut reader = image::ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(image::Limits::default());
    let read = reader.decode().map_err(|error| match error {
        image::ImageError::Unsupported(error) => {
            let what = format!("a {format:?} file of an unsupported variant ({error}) as a mask");
            DataError::Unsupported { name: name.to_owned(), what, advice: ADVICE }
        }
        error => DataError::decode(name, error),
    })?;
    let size = ImageSize { height: read.height() as usize, width: read.width() as usize };
    let pixels = match read {
        DynamicImage::ImageLuma8(grey) => {
            MaskPixels::Ids(grey.into_raw().into_iter().map(u16::from).collect(), 8)
        }
        DynamicImage::ImageLuma16(grey) => MaskPixels::Ids(grey.into_raw(), 16),
        read @ (DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_)) => {
            MaskPixels::Colours(read.into_rgb8().into_raw().as_chunks().0.to_vec())
        }
        _ => {
            let what = format!("a {format:?} file of unusual values as a mask");
            return Err(DataError::Unsupported { name: name.to_owned(), what, advice: ADVICE });
        }
    };
    Ok(Mask { size, pixels, turn: Turn::NoTransforms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(kind: ColorType, depth: BitDepth, (width, height): (u32, u32), rows: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        if kind == ColorType::Indexed {
            encoder.set_palette([0, 0, 0, 128, 0, 0, 0, 128, 0, 7, 7, 7].as_slice());
        }
        encoder.write_header().unwrap().write_image_data(rows).unwrap();
        bytes
    }

    #[test]
    fn values_of_every_depth_stay_as_they_are_stored() {
        // 5 columns of 1 bit: 10110, 01001; the rest of each byte is filler.
        let one = png(ColorType::Grayscale, BitDepth::One, (5, 2), &[0b1011_0111, 0b0100_1111]);
        let read = decode_mask(&one, "x").unwrap();
        assert_eq!(read.pixels, MaskPixels::Ids(vec![1, 0, 1, 1, 0, 0, 1, 0, 0, 1], 1));
        let two = png(ColorType::Indexed, BitDepth::Two, (3, 1), &[0b11_01_10_00]);
        let MaskPixels::Palette(indices, palette) = decode_mask(&two, "x").unwrap().pixels else { panic!() };
        assert_eq!((indices, palette[1]), (vec![3, 1, 2], [128, 0, 0]));
        let deep = png(ColorType::Grayscale, BitDepth::Sixteen, (2, 1), &[1, 44, 0, 7]);
        assert_eq!(decode_mask(&deep, "x").unwrap().pixels, MaskPixels::Ids(vec![300, 7], 16));
        let alpha = png(ColorType::Rgba, BitDepth::Eight, (2, 1), &[1, 2, 3, 255, 4, 5, 6, 0]);
        assert_eq!(decode_mask(&alpha, "x").unwrap().pixels, MaskPixels::Colours(vec![[1, 2, 3], [4, 5, 6]]));
    }

    #[test]
    fn a_grey_palette_means_its_greys() {
        let greys = vec![[9; 3], [0; 3], [4; 3]];
        assert_eq!(of_palette(vec![2, 0, 1], greys), MaskPixels::Ids(vec![4, 9, 0], 8));
    }

    #[test]
    fn jpeg_and_damaged_masks_are_refused_by_name() {
        let message = decode_mask(&[0xFF, 0xD8, 0xFF, 0xE0], "m.jpg").unwrap_err().to_string();
        assert!(message.contains("m.jpg is a mask in JPEG, whose compression invents values"), "{message}");
        let whole = png(ColorType::Grayscale, BitDepth::Eight, (8, 8), &[3; 64]);
        let message = decode_mask(&whole[..whole.len() / 2], "m.png").unwrap_err().to_string();
        assert!(message.contains("m.png is not a readable image"), "{message}");
    }
}
