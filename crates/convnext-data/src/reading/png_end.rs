//! PNG files that end too early, but after all of their pixels.

/// Bytes of the signature, and of a chunk without its data: length, name and checksum.
const SIGNATURE: usize = 8;
const FRAME: usize = 12;

/// The chunk that ends a file, with its checksum.
const END: [u8; FRAME] = *b"\0\0\0\0IEND\xAE\x42\x60\x82";

/// The file with an end after its last whole chunk, where it has none but pixels. Whether these are all there is for
/// the decoder to find out.
pub(crate) fn with_end(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut position = SIGNATURE;
    let mut has_pixels = false;
    while let Some(length) = bytes.get(position..).and_then(<[u8]>::first_chunk) {
        let length = u32::from_be_bytes(*length) as usize;
        let end = position.checked_add(FRAME)?.checked_add(length)?;
        if end > bytes.len() {
            break;
        }
        let name = &bytes[position + 4..position + 8];
        if name == b"IEND" {
            return None;
        }
        has_pixels |= name == b"IDAT";
        position = end;
    }
    has_pixels.then(|| [&bytes[..position], &END].concat())
}

#[cfg(test)]
mod tests {
    use convnext_core::COLOURS;

    use super::*;
    use crate::pixels::image::Image;
    use crate::pixels::orientation::Orientation;
    use crate::reading::decode::decode;

    #[test]
    fn a_png_file_without_its_end_is_read_and_one_without_pixels_is_not() {
        let levels = (0..40 * 30 * 3_usize).map(|i| (i * i % 251) as u8).collect();
        let image = Image::new(40, 30, COLOURS, levels).unwrap();
        let whole = image.png();
        let read = |bytes: &[u8]| decode(bytes, "x.png", COLOURS, Orientation::Honour);
        assert_eq!(with_end(&whole), None);
        for missing in 1..=FRAME {
            assert_eq!(read(&whole[..whole.len() - missing]).unwrap(), image, "{missing} bytes are missing");
        }
        for missing in FRAME + 1..whole.len() {
            let error = read(&whole[..whole.len() - missing]);
            assert!(error.is_err(), "{missing} bytes are missing");
        }
    }
}
