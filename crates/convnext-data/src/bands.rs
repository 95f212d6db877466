//! TIFF files of any number of samples a pixel, such as those of satellites and microscopes.

use std::io::{Cursor, Read, Seek};

use image::metadata::Orientation as Turn;
use tiff::{
    ColorType, TiffResult,
    decoder::{Decoder, DecodingResult, Limits},
    tags::{ByteOrder, PhotometricInterpretation, Tag},
};

use crate::{
    Channels, DataError, Orientation, Picture,
    decode::{MAX_DECODED_BYTES, check_size},
    facts::Facts,
    orientation::turned,
};

/// Samples of a pixel above which they cannot all be colours: red, green, blue and alpha.
const MOST_COLOURS: u16 = 4;

/// Whether the samples of a TIFF file are bands without a colour, so that it cannot be shown.
pub(crate) fn has_no_colours(bytes: &[u8]) -> bool {
    let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else { return false };
    match decoder.colortype() {
        Ok(color) => matches!(color, ColorType::Multiband { .. }),
        Err(_) => samples(&mut decoder).is_ok_and(|samples| samples > MOST_COLOURS),
    }
}

/// Decodes a TIFF file of `channels` samples a pixel, chunky or planar, of 8 or 16 bit: the latter rounded to 8.
pub(crate) fn decode(
    bytes: &[u8],
    name: &str,
    channels: usize,
    orientation: Orientation,
) -> Result<(Picture, Facts), DataError> {
    let unreadable = |error: tiff::TiffError| DataError::decode(name, error);
    let bytes = without_colours(bytes).map_err(unreadable)?;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(unreadable)?.with_limits(limits());
    let found = usize::from(samples(&mut decoder).map_err(unreadable)?);
    if found != channels {
        return Err(DataError::Channels { name: name.to_owned(), expected: channels, found });
    }
    let (width, height) = decoder.dimensions().map_err(unreadable)?;
    let bits = decoder.colortype().map_err(unreadable)?.bit_depth();
    if bits != 8 && bits != 16 {
        return Err(other_samples(name, bits));
    }
    let size = u64::from(width) * u64::from(height) * channels as u64;
    check_size(name, width, height, size.saturating_mul(u64::from(bits / 8)))?;
    let turn = match orientation {
        Orientation::Honour => stored_turn(&mut decoder).map_err(unreadable)?,
        Orientation::Ignore => Turn::NoTransforms,
    };
    let mut read = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut read).map_err(unreadable)?;
    let levels = match read {
        DecodingResult::U8(levels) => levels,
        DecodingResult::U16(levels) => levels.into_iter().map(eight_bit).collect(),
        _ => return Err(other_samples(name, bits)),
    };
    let (width, height) = (width as usize, height as usize);
    let picture = match layout.planes {
        1 => Picture::new(width, height, channels, levels)?,
        _ => {
            let planes = levels.chunks_exact(width * height);
            let planes = planes.map(|plane| Picture::new(width, height, 1, plane.to_vec()));
            Picture::of_bands(&planes.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let facts = Facts { format: "TIFF", channels: Channels::Bands, turned: turn != Turn::NoTransforms };
    Ok((turned(picture, turn), facts))
}

/// 16 bit rounded to 8, as `image` does it.
fn eight_bit(level: u16) -> u8 {
    ((u32::from(level) + 128) / 257) as u8
}

fn other_samples(name: &str, bits: u8) -> DataError {
    let why =
        format!("its bands are no whole numbers of 8 or 16 bit without a sign, but others of {bits} bit");
    DataError::decode(name, why)
}

fn samples<R: Read + Seek>(decoder: &mut Decoder<R>) -> TiffResult<u16> {
    Ok(decoder.find_tag_unsigned(Tag::SamplesPerPixel)?.unwrap_or(1))
}

fn stored_turn<R: Read + Seek>(decoder: &mut Decoder<R>) -> TiffResult<Turn> {
    let exif = decoder.find_tag_unsigned::<u64>(Tag::Orientation)?;
    Ok(exif.and_then(|exif| Turn::from_exif(exif.try_into().ok()?)).unwrap_or(Turn::NoTransforms))
}

/// What [`check_size`] allows; the sizes of other memory follow from that of the picture.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODED_BYTES as usize;
    limits.intermediate_buffer_size = MAX_DECODED_BYTES as usize;
    limits
}

/// The file, saying of red, green and blue that they are levels: of colours the decoder leaves out what is neither
/// these nor alpha, such as the infrared of a camera.
fn without_colours(bytes: &[u8]) -> TiffResult<Vec<u8>> {
    // Bytes of a directory before its entries, of an entry, and of an entry before its value.
    const COUNT: usize = 2;
    const ENTRY: usize = 12;
    const VALUE: usize = 8;
    /// The type of a value of 16 bit.
    const SHORT: u16 = 3;
    let mut decoder = Decoder::new(Cursor::new(bytes))?;
    let little = decoder.byte_order() == ByteOrder::LittleEndian;
    let directory = decoder.ifd_pointer().map_or(0, |pointer| pointer.0) as usize;
    let mut bytes = bytes.to_vec();
    let read = |bytes: &[u8]| match *bytes {
        [first, second, ..] if little => u16::from_le_bytes([first, second]),
        [first, second, ..] => u16::from_be_bytes([first, second]),
        _ => 0,
    };
    let levels = PhotometricInterpretation::BlackIsZero.to_u16();
    let levels = if little { levels.to_le_bytes() } else { levels.to_be_bytes() };
    // The decoder has found this entry, so it comes before whatever follows the directory.
    let entries = bytes.get_mut(directory.saturating_add(COUNT)..).unwrap_or_default();
    for fields in entries.chunks_exact_mut(ENTRY) {
        if read(fields) != Tag::PhotometricInterpretation.to_u16() {
            continue;
        }
        let colours = PhotometricInterpretation::RGB.to_u16();
        if read(&fields[2..]) == SHORT && read(&fields[VALUE..]) == colours {
            fields[VALUE..VALUE + 2].copy_from_slice(&levels);
        }
        break;
    }
    Ok(bytes)
}
