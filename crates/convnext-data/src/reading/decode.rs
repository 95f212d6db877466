//! Image files of any common format become images.

use std::io::Cursor;

use convnext_core::COLOURS;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, metadata::Orientation as Turn,
};

use crate::error::DataError;
use crate::pixels::image::Image;
use crate::pixels::orientation::{self, Orientation};
use crate::pixels::turned::turned;
use crate::reading::caught::caught;
use crate::reading::decoding::Decoding;
use crate::reading::facts::{Channels, Facts};
use crate::reading::format::{self, Format};
use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};
use crate::reading::size_limit::check_size;
use crate::reading::{gif, jpeg, png_end, tiff_file};

/// Decodes a JPEG, PNG, WebP, BMP, GIF or TIFF file, told apart by content and not by name, to this number of
/// channels.
///
/// To three channels, red, green and blue, everything comes: greyscale becomes three equal colours, palettes and
/// CMYK become RGB, alpha is dropped. To one channel the same, followed by Pillow's conversion to greyscale (`L`).
/// For any other number the file must have it: bands of a TIFF file, chunky or planar, whatever colours it calls
/// them, or alpha as the last channel. A TIFF file of bands without colours must have one or three for these.
///
/// More than 8 bit are rounded to 8 by the whole range of their type; [`decode_as`] knows other ranges. Of an animation
/// the first image counts. `name` is used in messages only.
///
/// # Errors
/// [`DataError::Decode`] when the bytes are not an image, damaged or incomplete; [`DataError::Unsupported`] for a sound
/// file of a kind that is not read; [`DataError::Channels`] when there are others; [`DataError::TooLarge`] above 512 MiB
/// of pixels.
pub fn decode(
    bytes: &[u8],
    name: &str,
    channels: usize,
    orientation: Orientation,
) -> Result<Image, DataError> {
    decode_as(bytes, name, &Decoding::new(channels, orientation))
}

/// [`decode`] with everything that decides what a file becomes.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_as(bytes: &[u8], name: &str, decoding: &Decoding) -> Result<Image, DataError> {
    decode_named(bytes, &|| name.to_owned(), decoding)
}

/// [`decode_as`] of a file whose name may have to be read, so that only messages ask for it.
pub(crate) fn decode_named(
    bytes: &[u8],
    name: &dyn Fn() -> String,
    decoding: &Decoding,
) -> Result<Image, DataError> {
    let read = || {
        let (samples, facts) = samples(bytes, "", decoding.channels, decoding.range.is_unstated())?;
        Ok((upright(samples, &facts, decoding)?, facts))
    };
    let (image, facts) = read().map_err(|error: DataError| error.named(name()))?;
    decoding.warn_once(&facts);
    decoding.look_at(&image, &facts);
    if let Some(damage) = &facts.damage {
        decoding.warn_of_damage(name(), damage);
    }
    Ok(image)
}

/// The image of samples.
pub(crate) fn upright(samples: Samples, facts: &Facts, decoding: &Decoding) -> Result<Image, DataError> {
    let image = samples.into_image(&decoding.range)?;
    Ok(match decoding.orientation {
        Orientation::Honour => turned(image, facts.turn),
        Orientation::Ignore => image,
    })
}

/// The values of a file in this number of channels, lying as they are stored, and what the file tells beside
/// them. With `rounded` they are of 8 bit before their channels are changed.
pub(crate) fn samples(
    bytes: &[u8],
    name: &str,
    channels: usize,
    rounded: bool,
) -> Result<(Samples, Facts), DataError> {
    let read = caught(|| stored(bytes, name, channels));
    let failed = || Err(DataError::decode(name, "the decoder failed on damaged data"));
    let (samples, facts) = read.unwrap_or_else(failed)?;
    let samples = if rounded { samples.in_eight_bit() } else { samples };
    Ok((samples.in_channels(channels, name)?, facts))
}

/// The values as they stand in the file. What has no colours of its own, such as palettes and CMYK, has them here where
/// `channels` are colours or grey.
fn stored(bytes: &[u8], name: &str, channels: usize) -> Result<(Samples, Facts), DataError> {
    let Some(format) = Format::of(bytes) else { return Err(unknown(bytes, name)) };
    let (samples, turn, meaning) = match format {
        Format::Jpeg => return jpeg::read(bytes, name),
        Format::Tiff => tiff_file::read(bytes, name, matches!(channels, 1 | COLOURS))?,
        Format::Gif => (gif::read(bytes, name)?, Turn::NoTransforms, Channels::Colour),
        Format::Png => match through_image(bytes, name, ImageFormat::Png) {
            Ok(read) => read,
            Err(error) => match png_end::with_end(bytes) {
                Some(whole) => through_image(&whole, name, ImageFormat::Png)?,
                None => return Err(error),
            },
        },
        Format::WebP => through_image(bytes, name, ImageFormat::WebP)?,
        Format::Bmp => through_image(bytes, name, ImageFormat::Bmp)?,
    };
    let facts = Facts { format: format.name(), channels: meaning, turn, samples: samples.kind, damage: None };
    Ok((samples, facts))
}

/// The values that the crate `image` reads, the turn, and what the values are in the file.
fn through_image(
    bytes: &[u8],
    name: &str,
    format: ImageFormat,
) -> Result<(Samples, Turn, Channels), DataError> {
    let unreadable = |error: image::ImageError| match error {
        image::ImageError::Unsupported(error) => {
            let format = format!("{format:?}").to_uppercase();
            DataError::unsupported(name, format!("a {format} file of an unsupported variant ({error})"))
        }
        error => DataError::decode(name, error),
    };
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let as_colours = u64::from(width) * u64::from(height) * COLOURS as u64;
    check_size(name, width, height, decoder.total_bytes().max(as_colours))?;
    let turn = orientation::stored_turn(&mut decoder).map_err(unreadable)?;
    let meaning = Channels::of(decoder.original_color_type());
    let samples = of_image(DynamicImage::from_decoder(decoder).map_err(unreadable)?);
    Ok((samples, turn, meaning))
}

/// The values of an image in memory.
fn of_image(image: DynamicImage) -> Samples {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let channels = usize::from(image.color().channel_count());
    let meaning = Channels::of(ExtendedColorType::from(image.color()));
    let (kind, values) = match image {
        DynamicImage::ImageLuma8(image) => (SampleType::EIGHT_BIT, Values::Eight(image.into_raw())),
        DynamicImage::ImageLumaA8(image) => (SampleType::EIGHT_BIT, Values::Eight(image.into_raw())),
        DynamicImage::ImageRgb8(image) => (SampleType::EIGHT_BIT, Values::Eight(image.into_raw())),
        DynamicImage::ImageRgba8(image) => (SampleType::EIGHT_BIT, Values::Eight(image.into_raw())),
        DynamicImage::ImageLuma16(image) => (SampleType::Unsigned(16), Values::Sixteen(image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (SampleType::Unsigned(16), Values::Sixteen(image.into_raw())),
        DynamicImage::ImageRgb16(image) => (SampleType::Unsigned(16), Values::Sixteen(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (SampleType::Unsigned(16), Values::Sixteen(image.into_raw())),
        // Formats that are read through this crate have no others.
        other if channels == COLOURS => (SampleType::EIGHT_BIT, Values::Eight(other.into_rgb8().into_raw())),
        other => (SampleType::EIGHT_BIT, Values::Eight(other.into_rgba8().into_raw())),
    };
    Samples { width, height, channels, meaning, kind, values }
}

/// The error for what is no image of a format that is read.
fn unknown(bytes: &[u8], name: &str) -> DataError {
    if bytes.is_empty() {
        return DataError::decode(name, "the file is empty");
    }
    match format::other(bytes) {
        Some(what) => DataError::unsupported(name, what),
        None if bytes.iter().all(|&byte| byte == 0) => DataError::decode(name, "it holds nothing but zeros"),
        None => DataError::decode(name, "its content is no JPEG, PNG, WebP, BMP, GIF or TIFF image"),
    }
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
        assert!(message(&[0; 99], "zeros.png").contains("nothing but zeros"));
        let text = message(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "phone/a.jpg");
        assert!(text.contains("phone/a.jpg is a HEIC image") && text.contains("convert it"), "{text}");
    }

    #[test]
    fn enormous_images_are_refused_before_they_take_memory() {
        // The header of a bitmap of 20,000 x 20,000 pixels of 24 bit, without any pixels.
        let mut header = b"BM".to_vec();
        header.extend([54_u32, 0, 54, 40, 20_000, 20_000].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([1_u16, 24].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([0; 24]);
        let text = message(&header, "bomb.bmp");
        assert!(text.contains("bomb.bmp is 20000x20000 pixels, 1144 MiB"), "{text}");
    }
}
