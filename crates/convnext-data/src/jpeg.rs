//! Is a JPEG file complete? The decoder fills missing data with grey and says nothing, so this is
//! checked first.

/// Walks over the segments of a JPEG file up to its end-of-image marker.
///
/// A file that was cut anywhere before that marker is refused; bytes after it are allowed.
pub(crate) fn check_complete(bytes: &[u8]) -> Result<(), &'static str> {
    const INCOMPLETE: &str = "the JPEG data ends before the end of the image";
    let mut position = 2; // after the start-of-image marker
    let mut scans = 0;
    loop {
        let (marker, after) = next_marker(bytes, position).ok_or(INCOMPLETE)?;
        position = after;
        match marker {
            0xD9 if scans > 0 => return Ok(()),
            0xD9 => return Err("the JPEG file holds no image data"),
            // Markers without a segment: restarts, a repeated start of image, and a reserved one.
            0xD0..=0xD8 | 0x01 => {}
            _ => {
                let length = bytes.get(position..position + 2).ok_or(INCOMPLETE)?;
                position += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                scans += usize::from(marker == 0xDA);
            }
        }
    }
}

/// Number of colours of a JPEG file: 1 for greyscale, 3 or 4. The frame header tells it, which stands before
/// the image data.
pub(crate) fn components(bytes: &[u8]) -> Option<u8> {
    /// From the marker on: length, bits, height and width stand before the number.
    const COMPONENTS: usize = 7;
    let mut position = 2; // after the start-of-image marker
    loop {
        let (marker, after) = next_marker(bytes, position)?;
        match marker {
            // Start of frame; three numbers among these are tables.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                return bytes.get(after + COMPONENTS).copied();
            }
            0xDA | 0xD9 => return None,
            0xD0..=0xD8 | 0x01 => position = after,
            _ => {
                let length = bytes.get(after..after + 2)?;
                position = after + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

/// The first marker from `position` on, and the position after it. In entropy-coded data `FF 00` stands
/// for the byte `FF`, and any number of `FF` may stand before a marker.
fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr::memchr(0xFF, bytes.get(position..)?)?;
        position += bytes[position..].iter().take_while(|&&byte| byte == 0xFF).count();
        match *bytes.get(position)? {
            0x00 => position += 1,
            marker => return Some((marker, position + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

    use super::*;

    fn jpeg() -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..64 * 48 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new(&mut bytes).encode(&pixels, 64, 48, ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    #[test]
    fn a_whole_file_is_complete_even_with_bytes_after_it() {
        let mut bytes = jpeg();
        assert_eq!(check_complete(&bytes), Ok(()));
        bytes.extend([0, 1, 2, 0xFF]);
        assert_eq!(check_complete(&bytes), Ok(()));
    }

    #[test]
    fn the_frame_header_tells_the_colours() {
        let mut grey = Vec::new();
        JpegEncoder::new(&mut grey).encode(&[9; 64], 8, 8, ExtendedColorType::L8).unwrap();
        assert_eq!((components(&jpeg()), components(&grey)), (Some(3), Some(1)));
        let bytes = jpeg();
        for length in 0..bytes.len() {
            assert!(matches!(components(&bytes[..length]), None | Some(3)), "cut at {length}");
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = jpeg();
        for length in 2..bytes.len() {
            assert!(check_complete(&bytes[..length]).is_err(), "cut at {length} of {}", bytes.len());
        }
    }

    #[test]
    fn zeros_instead_of_the_end_are_noticed() {
        let mut bytes = jpeg();
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
        assert!(check_complete(&bytes).is_err());
    }
}
