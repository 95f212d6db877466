//! Check of the first and last bytes of a file: a complete image, as far as they tell.
//!
//! This is much faster than decoding. What it is not sure of must be decoded to know.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use image::ImageReader;
use tiff::{decoder::Decoder, tags::Tag};

use convnext_core::COLOURS;

use crate::reading::caught::caught;
use crate::reading::size_limit::MAX_DECODED_BYTES;
use crate::reading::tiff_file::DNG_VERSION;

/// A source of bytes that can seek.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A file with room for its first bytes.
type File<'a> = BufReader<Box<dyn ReadSeek + 'a>>;

/// Bytes that are read at a time: enough for most headers.
const BUFFER: usize = 4096;

/// `true` if a file certainly looks like a whole image that can be decoded to this number of channels.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn looks_sound(file: Box<dyn ReadSeek + '_>, channels: usize) -> io::Result<bool> {
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut start = [0; 12];
    if file.read_exact(&mut start).is_err() {
        return Ok(false);
    }
    // Everything can be shown in colours, and colours in grey.
    let shown = channels == COLOURS || channels == 1;
    Ok(match start {
        [0xFF, 0xD8, ..] => shown && jpeg(&mut file)?,
        [0x89, b'P', b'N', b'G', ..] => png(&mut file, (!shown).then_some(channels))?,
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
            caught(|| tiff(file, channels)).unwrap_or(false)
        }
        [b'G', b'I', b'F', b'8', ..] => shown && gif(&mut file)?,
        [b'B', b'M', ..] => shown && bitmap(&mut file)?,
        [b'R', b'I', b'F', b'F', size @ .., b'W', b'E', b'B', b'P'] => {
            shown && webp(file, u32::from_le_bytes(size))?
        }
        _ => false,
    })
}

/// The frame header tells the sides; a whole file ends with the end of the image, or soon after it.
fn jpeg(file: &mut File<'_>) -> io::Result<bool> {
    file.seek(SeekFrom::Start(2))?;
    loop {
        let mut marker = [0; 4];
        if file.read_exact(&mut marker).is_err() || marker[0] != 0xFF {
            return Ok(false);
        }
        let length = u16::from_be_bytes([marker[2], marker[3]]);
        match marker[1] {
            // Start of frame: baseline, extended or progressive with Huffman codes.
            0xC0..=0xC2 => break,
            // Another kind of frame, no segment, or image data before any frame.
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xFF | 0x00..=0x01 | 0xD0..=0xDA => {
                return Ok(false);
            }
            _ => file.seek_relative(i64::from(length.max(2)) - 2)?,
        }
    }
    let mut frame = [0; 6];
    if file.read_exact(&mut frame).is_err() || frame[0] != 8 || !matches!(frame[5], 1 | 3 | 4) {
        return Ok(false);
    }
    let side = |place: usize| u64::from(u16::from_be_bytes([frame[place], frame[place + 1]]));
    Ok(fits(side(3), side(1)) && end::<64>(file)?.windows(2).any(|bytes| bytes == [0xFF, 0xD9]))
}

/// The first chunk tells the sides and, where it matters, the channels; the last one is empty.
fn png(file: &mut File<'_>, channels: Option<usize>) -> io::Result<bool> {
    const LAST_CHUNK: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";
    let mut header = [0; 14];
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"IHDR") {
        return Ok(false);
    }
    // A palette has colours, but perhaps alpha too.
    let found = match header[13] {
        0 => Some(1),
        2 => Some(3),
        4 => Some(2),
        6 => Some(4),
        _ => None,
    };
    let side = |place: usize| {
        u64::from(u32::from_be_bytes([
            header[place],
            header[place + 1],
            header[place + 2],
            header[place + 3],
        ]))
    };
    let right_channels = channels.is_none_or(|channels| found == Some(channels));
    Ok(right_channels && fits(side(4), side(8)) && end::<12>(file)? == LAST_CHUNK)
}

fn gif(file: &mut File<'_>) -> io::Result<bool> {
    file.seek(SeekFrom::Start(6))?;
    let mut sides = [0; 4];
    file.read_exact(&mut sides)?;
    let side = |place: usize| u64::from(u16::from_le_bytes([sides[place], sides[place + 1]]));
    Ok(fits(side(0), side(2)) && end::<1>(file)? == [0x3B])
}

/// Bitmaps without compression tell how long they are.
fn bitmap(file: &mut File<'_>) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut header = [0; 34];
    if file.read_exact(&mut header).is_err() {
        return Ok(false);
    }
    let number = |place: usize| {
        u32::from_le_bytes([header[place], header[place + 1], header[place + 2], header[place + 3]])
    };
    let (width, height) = (u64::from(number(18)), u64::from(number(22).cast_signed().unsigned_abs()));
    let bits = u64::from(u16::from_le_bytes([header[28], header[29]]));
    let plain = matches!(number(30), 0 | 3) && number(14) >= 40;
    let row = (width.saturating_mul(bits)).div_ceil(32).saturating_mul(4);
    let wanted = u64::from(number(10)).saturating_add(row.saturating_mul(height));
    Ok(plain && fits(width, height) && wanted <= file.seek(SeekFrom::End(0))?)
}

/// The container tells how long it is; the rest is told by the decoder, which reads no pixels for it.
fn webp(mut file: File<'_>, size: u32) -> io::Result<bool> {
    let whole = u64::from(size) + 8 <= file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let sides = caught(|| ImageReader::with_format(file, image::ImageFormat::WebP).into_dimensions());
    let fit = |(width, height): (u32, u32)| fits(width.into(), height.into());
    Ok(whole && sides.is_some_and(|sides| sides.is_ok_and(fit)))
}

/// The compressions of TIFF files that are always read: none, LZW, deflate under both of its names, and PackBits.
const PLAIN_COMPRESSIONS: [u64; 5] = [1, 5, 8, 32_773, 32_946];

/// The first directory tells the sides, the channels, and where all the pixels are.
fn tiff(mut file: File<'_>, channels: usize) -> bool {
    let Ok(length) = file.seek(SeekFrom::End(0)) else { return false };
    let Ok(mut decoder) = file.rewind().map_err(Into::into).and_then(|()| Decoder::new(file)) else {
        return false;
    };
    let Ok((width, height)) = decoder.dimensions() else { return false };
    let mut numbers = |tag| decoder.get_tag_u64_vec(tag).unwrap_or_default();
    let samples = numbers(Tag::SamplesPerPixel).first().copied().unwrap_or(1) as usize;
    let compression = numbers(Tag::Compression).first().copied().unwrap_or(1);
    let photometric = numbers(Tag::PhotometricInterpretation).first().copied();
    // Of others only the decoder knows.
    let is_raw = !numbers(Tag::Unknown(DNG_VERSION)).is_empty();
    let plain =
        !is_raw && PLAIN_COMPRESSIONS.contains(&compression) && photometric.is_some_and(|kind| kind <= 3);
    let mut places =
        |offsets, counts| -> Vec<(u64, u64)> { numbers(offsets).into_iter().zip(numbers(counts)).collect() };
    let mut pixels = places(Tag::StripOffsets, Tag::StripByteCounts);
    pixels.extend(places(Tag::TileOffsets, Tag::TileByteCounts));
    let whole =
        pixels.iter().all(|(offset, count)| offset.checked_add(*count).is_some_and(|end| end <= length));
    // What else colours are decoded from, only the decoder knows.
    let right_channels = samples == channels || (channels == COLOURS && samples == 1);
    plain && right_channels && !pixels.is_empty() && whole && fits(width.into(), height.into())
}

/// `true` if an image has pixels, and no more than are decoded.
fn fits(width: u64, height: u64) -> bool {
    let bytes = width.saturating_mul(height).saturating_mul(COLOURS as u64);
    bytes > 0 && bytes <= MAX_DECODED_BYTES
}

/// The last bytes of a file; fewer than asked for never match.
fn end<const COUNT: usize>(file: &mut File<'_>) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(COUNT as u64)))?;
    let mut bytes = Vec::with_capacity(COUNT);
    file.take(COUNT as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};
    use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

    use super::*;

    fn sound(bytes: &[u8], channels: usize) -> bool {
        looks_sound(Box::new(Cursor::new(bytes)), channels).unwrap_or(false)
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        if format == ImageFormat::Jpeg {
            return compress(&[0; 40 * 30 * 3], 40, 30, PixelFormat::Rgb, 90, Subsampling::S420).unwrap();
        }
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(40, 30).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn whole_files_look_sound_and_cut_ones_do_not() {
        for format in
            [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Tiff]
        {
            let bytes = encoded(format);
            assert!(sound(&bytes, 3), "{format:?}");
            for length in 0..bytes.len() - 1 {
                assert!(!sound(&bytes[..length], 3), "{format:?} cut at {length} of {}", bytes.len());
            }
        }
        let gif = b"GIF89a\x02\0\x03\0\0\0\0,\0\0\0\0\x02\0\x03\0\0\x02\x02\x44\x01\0;";
        assert!(sound(gif, 3) && !sound(&gif[..gif.len() - 1], 3));
    }

    #[test]
    fn kinds_that_are_not_read_do_not_look_sound() {
        let jpeg = encoded(ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|bytes| bytes == [0xFF, 0xC0]).unwrap();
        // Another kind of frame, 12 bit, and five channels.
        for (place, value) in [(frame + 1, 0xC9), (frame + 4, 12), (frame + 9, 5)] {
            let mut other = jpeg.clone();
            other[place] = value;
            assert!(sound(&jpeg, 3) && !sound(&other, 3), "{place}");
        }
        let tiff = encoded(ImageFormat::Tiff);
        // Entries of the directory: LZMA, and colours of a camera.
        for (tag, value) in [(259_u16, 34_925_u16), (262, 32_803)] {
            let start = [&tag.to_le_bytes()[..], &3_u16.to_le_bytes(), &1_u32.to_le_bytes()].concat();
            let entry = tiff.windows(start.len()).position(|bytes| bytes == start).unwrap() + start.len();
            let mut other = tiff.clone();
            other[entry..entry + 2].copy_from_slice(&value.to_le_bytes());
            assert!(sound(&tiff, 3) && !sound(&other, 3), "{tag}");
        }
    }

    #[test]
    fn what_is_no_image_or_of_other_channels_does_not_look_sound() {
        for bytes in
            [&b""[..], b"just some text that is long enough", &[0; 100], b"\xFF\xD8\xFF\xD9 and more bytes"]
        {
            assert!(!sound(bytes, 3), "{bytes:?}");
        }
        assert!(sound(&encoded(ImageFormat::Png), 1) && !sound(&encoded(ImageFormat::Png), 4));
        assert!(!sound(&encoded(ImageFormat::Tiff), 5) && !sound(&encoded(ImageFormat::Jpeg), 2));
    }
}
