//! Is a JPEG file complete? The decoder fills missing data with grey and says nothing, so this is
//! checked first.

/// Structure of a JPEG file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// Number of scans.
    pub(super) scans: usize,
    /// Channels of the scan that has the most.
    pub(super) most_channels: u8,
    /// `true` if they are arithmetically coded.
    pub(super) arithmetic: bool,
    /// Offset of the height in the frame header, two bytes.
    pub(super) height_at: usize,
}

/// Walks over the segments of a JPEG file up to its end-of-image marker.
///
/// A file that was cut anywhere before that marker is refused; bytes after it are allowed.
pub(super) fn check_complete(bytes: &[u8]) -> Result<Layout, &'static str> {
    const INCOMPLETE: &str = "the JPEG data ends before the end of the image";
    /// Length and bits of a frame header.
    const BEFORE_HEIGHT: usize = 3;
    let mut position = 2; // after the start-of-image marker
    let mut layout = Layout::default();
    loop {
        let (marker, after) = next_marker(bytes, position).ok_or(INCOMPLETE)?;
        position = after;
        match marker {
            0xD9 if layout.scans > 0 => return Ok(layout),
            0xD9 => return Err("the JPEG file holds no image data"),
            // Markers without a segment: restarts, a repeated start of image, and a reserved one.
            0xD0..=0xD8 | 0x01 => {}
            _ => {
                let length = bytes.get(position..position + 2).ok_or(INCOMPLETE)?;
                let channels = bytes.get(position + 2).copied().unwrap_or(0);
                position += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                match marker {
                    0xDA => {
                        layout.scans += 1;
                        layout.most_channels = layout.most_channels.max(channels);
                    }
                    // Start of frame; three numbers among these are tables.
                    0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                        layout.arithmetic = marker > 0xC8;
                        layout.height_at = after + BEFORE_HEIGHT;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The first marker from `position` on, and the position after it. In entropy-coded data `FF 00` stands
/// for the byte `FF`, and any number of `FF` may stand before a marker.
pub(super) fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
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
    use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

    use super::*;

    fn jpeg() -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..64 * 48 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        compress(&pixels, 64, 48, PixelFormat::Rgb, 75, Subsampling::S444).unwrap()
    }

    #[test]
    fn a_whole_file_is_complete_even_with_bytes_after_it() {
        let mut bytes = jpeg();
        let layout = check_complete(&bytes).unwrap();
        assert_eq!((layout.scans, layout.most_channels, layout.arithmetic), (1, 3, false));
        assert_eq!(bytes[layout.height_at..][..4], [0, 48, 0, 64]);
        bytes.extend([0, 1, 2, 0xFF]);
        assert_eq!(check_complete(&bytes), Ok(layout));
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
