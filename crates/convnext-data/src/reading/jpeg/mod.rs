//! JPEG files become images with the pixels of libjpeg, which models were trained on.
//!
//! `libjpeg-turbo-rs` computes what libjpeg-turbo computes: the slow integer transform, chroma enlarged with a
//! triangle filter, the same conversion to colours.

mod apart;
mod complete;
mod ink;
mod planes;
pub(crate) mod scaled;
mod unusual;

use convnext_core::COLOURS;
use image::metadata::Orientation as Turn;
use libjpeg_turbo_rs::{Decoder, JpegError, PixelFormat, ScalingFactor};

use crate::error::DataError;
use crate::pixels::grey::grey;
use crate::pixels::image::Image;
use crate::pixels::orientation::{Orientation, turn_of_xmp};
use crate::reading::facts::{Channels, Facts};
use crate::reading::format::Format;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};
use crate::reading::size_limit::check_size;
use complete::{Layout, check_complete};
use unusual::is_unusual;

/// Eighths of the whole size.
const FULL: u8 = 8;

/// Rows that are decoded below those that are wanted. These may depend on the next row of blocks, which is 32 rows
/// high at most.
const MARGIN: usize = 64;

/// The values of a JPEG file, grey or colours, and what the file tells beside them.
pub(crate) fn read(bytes: &[u8], name: &str) -> Result<(Samples, Facts), DataError> {
    let unreadable = |why: String| DataError::decode(name, why);
    let mut jpeg = Jpeg::read(bytes).map_err(unreadable)?;
    let (width, height) = (jpeg.width as u32, jpeg.height as u32);
    check_size(name, width, height, u64::from(width) * u64::from(height) * COLOURS as u64)?;
    let (turn, meaning) = (jpeg.turn(Orientation::Honour), jpeg.channels);
    let (image, damage) = match jpeg.image() {
        Err(damage) if can_be_passed_over(&damage) => {
            let image = jpeg.rescued().map_err(|error| unreadable(message_of(error)))?;
            (image, Some(message_of(damage)))
        }
        read => (read.map_err(|error| unreadable(message_of(error)))?, None),
    };
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let shown = if channels == 1 { Channels::Greyscale } else { Channels::Colour };
    let (kind, values) = (SampleType::EIGHT_BIT, Values::Eight(image.into_bytes()));
    let facts = Facts { format: Format::Jpeg.name(), channels: meaning, turn, samples: kind, damage };
    Ok((Samples { width, height, channels, meaning: shown, kind, values }, facts))
}

/// Grey and colours made of each other.
fn of_channels(image: Image, channels: usize) -> Image {
    let (width, height) = (image.width(), image.height());
    let bytes: Vec<u8> = match (image.channels(), channels) {
        (1, COLOURS) => image.bytes().iter().flat_map(|&level| [level; COLOURS]).collect(),
        (COLOURS, 1) => image.bytes().as_chunks().0.iter().map(|&colour| grey(colour)).collect(),
        _ => return image,
    };
    Image::from_parts(width, height, channels, bytes)
}

/// A complete JPEG file of which nothing but the headers is read yet.
struct Jpeg<'a> {
    bytes: &'a [u8],
    decoder: Decoder<'a>,
    layout: Layout,
    /// `true` if [`unusual`] must decode it, at full size only.
    unusual: bool,
    /// As the pixels are stored.
    width: usize,
    height: usize,
    channels: Channels,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; the error names what cannot be decoded.
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let layout = check_complete(bytes)?;
        let decoder = Decoder::new(bytes).map_err(message_of)?;
        let frame = decoder.header();
        let (width, height) = frame.dimensions();
        if frame.precision != 8 {
            return Err(format!(
                "JPEG data of {} bit a sample is not supported, only 8 bit",
                frame.precision
            ));
        }
        if height == 0 || width == 0 {
            return Err("the JPEG header gives no height or width".to_owned());
        }
        let channels = match frame.components.len() {
            1 => Channels::Greyscale,
            3 => Channels::Colour,
            4 => Channels::Cmyk,
            other => return Err(format!("JPEG data of {other} channels is not supported, only 1, 3 and 4")),
        };
        let unusual = is_unusual(frame, &layout);
        if unusual && frame.is_lossless {
            return Err(
                "lossless JPEG data is supported with one or three channels at one grid only".to_owned()
            );
        }
        Ok(Self { bytes, decoder: set_up(decoder, channels), layout, unusual, width, height, channels })
    }

    /// The transform that makes the image upright, by its EXIF data or, without these, its XMP data.
    fn turn(&self, orientation: Orientation) -> Turn {
        match orientation {
            Orientation::Honour => {
                let in_exif = self.decoder.exif_data().and_then(Turn::from_exif_chunk);
                let in_xmp = || self.decoder.xmp_data().and_then(turn_of_xmp);
                in_exif.or_else(in_xmp).unwrap_or(Turn::NoTransforms)
            }
            Orientation::Ignore => Turn::NoTransforms,
        }
    }

    /// The whole image, in grey or colours.
    fn image(&self) -> Result<Image, JpegError> {
        match self.unusual {
            true => Ok(self.coloured(unusual::decode(self.bytes, &self.layout, false)?)),
            false => Ok(self.of_image(self.decoder.decode_image()?)),
        }
    }

    /// The upper part of the image at some eighths of its size: at least `rows`, which are as in the whole.
    fn scaled(&self, eighths: u8, rows: usize) -> Result<Image, JpegError> {
        let height = rows.saturating_mul(usize::from(FULL)) / usize::from(eighths) + MARGIN;
        let shortened;
        let bytes = match u16::try_from(height).ok().filter(|_| height < self.height) {
            None => self.bytes,
            Some(height) => {
                shortened = self.with_height(height);
                &shortened
            }
        };
        let mut decoder = set_up(Decoder::new(bytes)?, self.channels);
        // In lowest terms, as the decoder wants it.
        let common = 1 << eighths.trailing_zeros().min(FULL.trailing_zeros());
        decoder.set_scale(ScalingFactor::try_new(u32::from(eighths / common), u32::from(FULL / common))?);
        Ok(self.of_image(decoder.decode_image()?))
    }

    /// The file with another height in its header. Every scan begins at the top, so one that is decoded to a smaller
    /// height gives the same rows, and the rest is not looked at.
    fn with_height(&self, height: u16) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        if let Some(place) = bytes.get_mut(self.layout.height_at..self.layout.height_at + 2) {
            place.copy_from_slice(&height.to_be_bytes());
        }
        bytes
    }

    /// The image of damaged data: grey where nothing can be read, as libjpeg leaves it.
    fn rescued(&mut self) -> Result<Image, JpegError> {
        if self.unusual {
            return Ok(self.coloured(unusual::decode(self.bytes, &self.layout, true)?));
        }
        self.decoder.set_lenient(true);
        Ok(self.of_image(self.decoder.decode_image()?))
    }

    fn of_image(&self, image: libjpeg_turbo_rs::Image) -> Image {
        let channels = if self.channels == Channels::Greyscale { 1 } else { COLOURS };
        Image::from_parts(image.width, image.height, channels, image.data)
    }

    fn coloured(&self, bytes: Vec<u8>) -> Image {
        Image::from_parts(self.width, self.height, COLOURS, bytes)
    }
}

/// A decoder that makes levels of grey or colours.
fn set_up(decoder: Decoder, channels: Channels) -> Decoder {
    let format = if channels == Channels::Greyscale { PixelFormat::Grayscale } else { PixelFormat::Rgb };
    // Smoothing is libjpeg's default; it changes progressive files that lack their last scans.
    decoder.with_output_format(format).with_block_smoothing(true)
}

/// `true` if the image data is damaged, and not the headers or of a kind that cannot be decoded.
fn can_be_passed_over(error: &JpegError) -> bool {
    matches!(error, JpegError::CorruptData(_) | JpegError::UnexpectedEof)
}

/// Message of a decoder error.
fn message_of(error: JpegError) -> String {
    match error {
        JpegError::Unsupported(what) => format!("this kind of JPEG data is not supported: {what}"),
        JpegError::UnexpectedEof => "the JPEG data of the image is incomplete".to_owned(),
        other => format!("the JPEG data is damaged: {other}"),
    }
}
