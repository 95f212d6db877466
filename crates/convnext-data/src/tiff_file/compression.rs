//! How the values of a TIFF file are compressed.

use tiff::tags::Tag;

use super::directory::Directory;
use crate::DataError;

/// The number of no compression, of deflate under its later name, and of what is unpacked by `tiff`.
const NONE: u64 = 1;
const DEFLATE: u64 = 32_946;
const READ: [u64; 8] = [NONE, 4, 5, 7, 8, DEFLATE, 32_773, 50_001];

/// The number of the compression.
pub(super) fn of(directory: &Directory<'_>) -> u64 {
    directory.number(Tag::Compression).unwrap_or(NONE)
}

/// Refuses what cannot be unpacked.
pub(super) fn check(directory: &Directory<'_>, name: &str) -> Result<(), DataError> {
    let compression = of(directory);
    if READ.contains(&compression) {
        return Ok(());
    }
    let what = format!("a TIFF file with {}", in_words(compression));
    Err(DataError::unsupported(name, what))
}

fn in_words(compression: u64) -> String {
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
        34_926 | 50_000 => "ZSTD compression",
        50_002 | 52_546 => "JPEG XL compression",
        _ => return format!("an unknown compression ({compression})"),
    };
    known.to_owned()
}

/// Turns the bits of each byte where the lowest of them comes first.
pub(super) fn straighten(bytes: &mut [u8], directory: &Directory<'_>) {
    if directory.number(Tag::FillOrder) != Some(2) {
        return;
    }
    for (offsets, lengths) in
        [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)]
    {
        let places = directory.numbers(offsets).unwrap_or_default();
        let lengths = directory.numbers(lengths).unwrap_or_default();
        for (start, length) in places.into_iter().zip(lengths) {
            let (start, end) = (start as usize, start.saturating_add(length) as usize);
            if let Some(strip) = bytes.get_mut(start..end) {
                strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
        }
    }
}
