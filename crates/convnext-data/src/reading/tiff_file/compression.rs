//! Compression of the values of a TIFF file.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;
use tiff::tags::Tag;

use super::directory::Directory;
use crate::error::DataError;
use crate::reading::size_limit::MAX_DECODED_BYTES;

/// The numbers of no compression, of JPEG, of deflate under its later name, and of ZSTD.
pub(super) const NONE: u64 = 1;
pub(super) const JPEG: u64 = 7;
const DEFLATE: u64 = 32_946;
const ZSTD: [u64; 2] = [34_926, 50_000];

/// Supported compressions: by `tiff`, but for ZSTD.
const READ: [u64; 9] = [NONE, 4, 5, JPEG, 8, DEFLATE, 32_773, ZSTD[0], ZSTD[1]];

/// The number of the compression.
pub(super) fn of(directory: &Directory<'_>) -> u64 {
    directory.number(Tag::Compression).unwrap_or(NONE)
}

/// Refuses what cannot be unpacked.
pub(super) fn check(directory: &Directory<'_>, name: &str) -> Result<(), DataError> {
    let compression = of(directory);
    // The decoder takes greyscale and alpha for something else.
    let is_pair = directory.number(Tag::SamplesPerPixel) == Some(2);
    let what = match READ.contains(&compression) {
        true if compression == JPEG && is_pair => "JPEG compression of greyscale with alpha".to_owned(),
        true => return Ok(()),
        false => compression_name(compression),
    };
    Err(DataError::unsupported(name, format!("a TIFF file with {what}")))
}

fn compression_name(compression: u64) -> String {
    let known = match compression {
        2 => "CCITT run-length compression",
        3 => "CCITT Group 3 fax compression",
        6 => "old-style JPEG compression",
        9 | 10 | 34_661 => "JBIG compression",
        32_766 | 32_809 | 32_908 | 32_909 | 34_676 | 34_677 => "a compression of old programs",
        33_003 | 33_004 | 33_005 | 34_712 => "JPEG 2000 compression",
        34_887 => "LERC compression",
        34_892 => "the compression of raw photographs",
        34_925 => "LZMA compression",
        50_001 => "WebP compression",
        50_002 | 52_546 => "JPEG XL compression",
        _ => return format!("an unknown compression ({compression})"),
    };
    known.to_owned()
}

/// Offsets and byte counts of strips or tiles.
pub(super) type Places = [(Tag, Vec<u64>); 2];

/// The strips and tiles that the directory names.
pub(super) fn places(directory: &Directory<'_>) -> impl Iterator<Item = Places> {
    [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)]
        .into_iter()
        .filter_map(|(starts, lengths)| {
            Some([(starts, directory.numbers(starts)?), (lengths, directory.numbers(lengths)?)])
        })
}

/// Unpacks some strips or tiles that `tiff` does not, at the end of the bytes of the file; where they lie then. `None` where
/// `tiff` unpacks them.
pub(super) fn unpack(
    bytes: &mut Vec<u8>,
    packed: &[Places],
    directory: &Directory<'_>,
    name: &str,
) -> Result<Option<Vec<Places>>, DataError> {
    if !ZSTD.contains(&of(directory)) {
        return Ok(None);
    }
    let damaged = |why: String| DataError::decode(name, format!("the ZSTD data is damaged ({why})"));
    let mut unpacked = Vec::new();
    for [(start_tag, starts), (length_tag, lengths)] in packed {
        let (mut new_starts, mut new_lengths) = (Vec::new(), Vec::new());
        for (&start, &length) in starts.iter().zip(lengths) {
            let strip = bytes.get(start as usize..start.saturating_add(length) as usize);
            let strip = strip.ok_or_else(|| damaged("the file ends before it".to_owned()))?.to_vec();
            let mut decoder =
                StreamingDecoder::new(&strip[..]).map_err(|error| damaged(error.to_string()))?;
            let before = bytes.len();
            let most =
                MAX_DECODED_BYTES.saturating_sub(before.saturating_sub(directory.bytes().len()) as u64);
            decoder.by_ref().take(most).read_to_end(bytes).map_err(|error| damaged(error.to_string()))?;
            new_starts.push(before as u64);
            new_lengths.push((bytes.len() - before) as u64);
        }
        unpacked.push([(*start_tag, new_starts), (*length_tag, new_lengths)]);
    }
    Ok(Some(unpacked))
}

/// Turns the bits of each byte where the lowest of them comes first.
pub(super) fn straighten(bytes: &mut [u8], directory: &Directory<'_>) {
    // JPEG data has an order of its own.
    if directory.number(Tag::FillOrder) != Some(2) || of(directory) == JPEG {
        return;
    }
    for [(_, starts), (_, lengths)] in places(directory) {
        for (start, length) in starts.into_iter().zip(lengths) {
            let (start, end) = (start as usize, start.saturating_add(length) as usize);
            if let Some(strip) = bytes.get_mut(start..end) {
                strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
        }
    }
}
