//! Image files of any common format become pictures.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use convnext_core::COLOURS;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, metadata::Orientation as Turn};

use crate::{
    Channels, DataError, Orientation, Picture, bands, facts::Facts, grey::grey, jpeg, orientation::turned,
};

/// The largest picture that is decoded: 512 MiB of pixels.
pub(crate) const MAX_DECODED_BYTES: u64 = 512 << 20;

const MEBIBYTE: u64 = 1 << 20;

/// Decodes a JPEG, PNG, WebP, BMP or TIFF file, told apart by content and not by name, to so many channels.
///
/// To three channels, red, green and blue, everything comes: greyscale becomes three equal colours, palettes and
/// CMYK become RGB, alpha is dropped. To one channel the same, followed by Pillow's conversion to greyscale (`L`).
/// For any other number the file must have it: bands of a TIFF file, chunky or planar, whatever colours it calls
/// them, or alpha as the last channel. A TIFF file of bands without colours must have one or three for these.
///
/// 16 bit are rounded to 8. Of an animation the first picture counts. `name` is used in messages only.
///
/// # Errors
/// [`DataError::Decode`] when the bytes are not an image, damaged or incomplete, or of a kind that is
/// not supported (palette TIFF); [`DataError::Channels`] when there are others; [`DataError::TooLarge`] above
/// 512 MiB of pixels.
pub fn decode(
    bytes: &[u8],
    name: &str,
    channels: usize,
    orientation: Orientation,
) -> Result<Picture, DataError> {
    decode_with_facts(bytes, name, channels, orientation).map(|(picture, _)| picture)
}

/// [`decode`], and what the file tells beside the pixels.
pub(crate) fn decode_with_facts(
    bytes: &[u8],
    name: &str,
    channels: usize,
    orientation: Orientation,
) -> Result<(Picture, Facts), DataError> {
    // A file must never end a run: should a decoder panic on damaged data, that is an error like others.
    catch_unwind(AssertUnwindSafe(|| decode_checked(bytes, name, channels, orientation)))
        .unwrap_or_else(|_| Err(DataError::decode(name, "the decoder failed on damaged data")))
}

fn decode_checked(
    bytes: &[u8],
    name: &str,
    channels: usize,
    orientation: Orientation,
) -> Result<(Picture, Facts), DataError> {
    let unreadable = |error: image::ImageError| DataError::decode(name, error);
    if bytes.is_empty() {
        return Err(DataError::decode(name, "the file is empty"));
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| DataError::decode(name, error))?;
    // Everything can be shown in colours, and colours in grey.
    let shown = channels == COLOURS || channels == 1;
    let format = match reader.format() {
        Some(ImageFormat::Jpeg) => return jpeg::decode(bytes, name, channels, orientation),
        Some(ImageFormat::Tiff) if !shown || bands::has_no_colours(bytes) => {
            return bands::decode(bytes, name, channels, orientation);
        }
        Some(ImageFormat::Png) => "PNG",
        Some(ImageFormat::WebP) => "WebP",
        Some(ImageFormat::Bmp) => "BMP",
        Some(ImageFormat::Tiff) => "TIFF",
        Some(other) => return Err(DataError::decode(name, format!("{other:?} images are not supported"))),
        None => return Err(DataError::decode(name, "its content is no JPEG, PNG, WebP, BMP or TIFF image")),
    };
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let found = usize::from(decoder.color_type().channel_count());
    if !shown && found != channels {
        return Err(DataError::Channels { name: name.to_owned(), expected: channels, found });
    }
    let (width, height) = decoder.dimensions();
    let as_colours = u64::from(width) * u64::from(height) * COLOURS as u64;
    check_size(name, width, height, decoder.total_bytes().max(as_colours))?;
    let turn = match orientation {
        Orientation::Honour => decoder.orientation().map_err(unreadable)?,
        Orientation::Ignore => Turn::NoTransforms,
    };
    let kind = Channels::of(decoder.original_color_type());
    let facts = Facts { format, channels: kind, turned: turn != Turn::NoTransforms };
    let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let bytes = match channels {
        1 => image.into_rgb8().as_chunks::<COLOURS>().0.iter().map(|&colour| grey(colour)).collect(),
        2 => image.into_luma_alpha8().into_raw(),
        4 => image.into_rgba8().into_raw(),
        _ => image.into_rgb8().into_raw(),
    };
    Ok((turned(Picture::new(width as usize, height as usize, channels, bytes)?, turn), facts))
}

/// Refuses a picture that takes too many bytes when it is decoded.
pub(crate) fn check_size(name: &str, width: u32, height: u32, bytes: u64) -> Result<(), DataError> {
    if bytes <= MAX_DECODED_BYTES {
        return Ok(());
    }
    Err(DataError::TooLarge {
        name: name.to_owned(),
        width,
        height,
        mebibytes: bytes / MEBIBYTE,
        limit: MAX_DECODED_BYTES / MEBIBYTE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8], name: &str) -> String {
        decode(bytes, name, COLOURS, Orientation::Honour).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let text = message(b"just some text that is long enough", "cats/text.png");
        assert!(text.starts_with("cats/text.png is not a readable image"), "{text}");
        assert!(message(b"", "empty.png").contains("the file is empty"));
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0;", "a.gif").contains("Gif images are not supported"));
    }

    #[test]
    fn enormous_pictures_are_refused_before_they_take_memory() {
        // The header of a bitmap of 20,000 x 20,000 pixels of 24 bit, without any pixels.
        let mut header = b"BM".to_vec();
        header.extend([54_u32, 0, 54, 40, 20_000, 20_000].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([1_u16, 24].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([0; 24]);
        let text = message(&header, "bomb.bmp");
        assert!(text.contains("bomb.bmp is 20000x20000 pixels, 1144 MiB"), "{text}");
    }
}
