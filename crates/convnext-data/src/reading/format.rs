//! Image formats, told by the content of a file and not by its name.

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Gif,
    Tiff,
}

impl Format {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
        }
    }

    /// The format of a file, `None` where it is no format that is read.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            // The raw files of Canon say so after the header of a TIFF file.
            [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', ..] => None,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// Formats that are not read, by the bytes that they have at some place.
const OTHERS: [(usize, &[u8], &str); 41] = [
    (4, b"ftypheic", "a HEIC image"),
    (4, b"ftypheix", "a HEIC image"),
    (4, b"ftyphevc", "a HEIC image"),
    (4, b"ftyphevx", "a HEIC image"),
    (4, b"ftypmif1", "a HEIF image"),
    (4, b"ftypmsf1", "a HEIF image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftypavis", "an AVIF image"),
    (4, b"ftypcrx ", "a raw photograph (Canon CR3)"),
    (4, b"ftyp", "a film"),
    (0, b"\xFF\x0A", "a JPEG XL image"),
    (0, b"\0\0\0\x0CJXL \x0D\x0A\x87\x0A", "a JPEG XL image"),
    (0, b"\0\0\0\x0CjP  \x0D\x0A\x87\x0A", "a JPEG 2000 image"),
    (0, b"\xFF\x4F\xFF\x51", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\0\0\x01\0", "an icon (ICO)"),
    (0, b"\0\0\x02\0", "a cursor (CUR)"),
    (0, b"icns", "an icon (ICNS)"),
    (128, b"DICM", "a DICOM image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (0, b"\x76\x2F\x31\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance image (HDR)"),
    (0, b"#?RGBE", "a Radiance image (HDR)"),
    (0, b"qoif", "a QOI image"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"farbfeld", "a farbfeld image"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"II*\0\x10\0\0\0CR", "a raw photograph (Canon CR2)"),
    (0, b"IIRO", "a raw photograph (Olympus ORF)"),
    (0, b"IIRS", "a raw photograph (Olympus ORF)"),
    (0, b"IIU\0", "a raw photograph (Panasonic RW2)"),
    (0, b"FUJIFILMCCD-RAW", "a raw photograph (Fujifilm RAF)"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\x0D\x0A\x1A\x0A", "an HDF5 file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1F\x8B", "a gzip archive"),
    (0, b"\x1A\x45\xDF\xA3", "a film"),
    (
        0,
        b"version https://git-lfs",
        "a pointer of Git LFS and not the file itself, which `git lfs pull` fetches",
    ),
    (0, b"\xC5\xD0\xD3\xC6", "a PostScript document"),
];

/// Bytes of the beginning in which text is looked for.
const HEAD: usize = 512;

/// Name of a format that is not read, as far as the first bytes tell.
pub(crate) fn other(bytes: &[u8]) -> Option<&'static str> {
    let starts = |&&(place, start, _): &&(usize, &[u8], &str)| {
        bytes.get(place..).is_some_and(|bytes| bytes.starts_with(start))
    };
    if let Some((_, _, name)) = OTHERS.iter().find(starts) {
        return Some(name);
    }
    if let [b'P', b'1'..=b'7', space, ..] = bytes
        && space.is_ascii_whitespace()
    {
        return Some("a portable bitmap (PBM, PGM, PPM or PAM)");
    }
    let head = bytes[..bytes.len().min(HEAD)].to_ascii_lowercase();
    let holds = |text: &[u8]| head.windows(text.len()).any(|part| part == text);
    match head.trim_ascii_start().first() {
        Some(b'<') if holds(b"<svg") => Some("an SVG drawing"),
        Some(b'<') if holds(b"<html") || holds(b"<!doctype html") => Some("a web page"),
        Some(b'<') => Some("an XML document"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (bytes, format) in [
            (&b"\xFF\xD8\xFF\xE0"[..], Some(Format::Jpeg)),
            (b"GIF89a\x01\0", Some(Format::Gif)),
            (b"MM\0\x2B\0\x08", Some(Format::Tiff)),
            (b"II*\0\x10\0\0\0CR\x02\0", None),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(bytes), format, "{bytes:?}");
        }
    }

    #[test]
    fn other_formats_are_called_by_name() {
        for (bytes, name) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "a HEIC image"),
            (b"\0\0\0\x20ftypavif", "an AVIF image"),
            (b"II*\0\x10\0\0\0CR\x02\0", "a raw photograph (Canon CR2)"),
            (b"P6\n2 2\n255\n", "a portable bitmap (PBM, PGM, PPM or PAM)"),
            (b"<?xml version='1.0'?>\n<svg xmlns='x'>", "an SVG drawing"),
            (b"\n<!DOCTYPE HTML><html>", "a web page"),
        ] {
            assert_eq!(other(bytes), Some(name));
        }
        assert_eq!(other(b"just some text"), None);
        let dicom = [&[0; 128][..], b"DICM"].concat();
        assert_eq!(other(&dicom), Some("a DICOM image"));
    }
}
