//! Image files of any common format become RGB pictures.

use std::{
    fmt, fs,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, RgbImage,
    codecs::png::PngEncoder,
};
use serde::{Deserialize, Serialize};

use crate::{DataError, jpeg};

/// The largest picture that is decoded: 512 MiB of pixels.
pub(crate) const MAX_DECODED_BYTES: u64 = 512 << 20;

const MEBIBYTE: u64 = 1 << 20;

/// Pixels of an image: 8 bit red, green and blue, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture of `width` x `height` pixels; `rgb` holds three bytes a pixel, row by row.
    ///
    /// # Errors
    /// [`DataError::PictureSize`] when a side is 0 or the buffer has another length.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, DataError> {
        let sides_fit = [width, height].iter().all(|side| (1..=u32::MAX as usize).contains(side));
        let bytes = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        if !sides_fit || bytes != Some(rgb.len()) {
            return Err(DataError::PictureSize { width, height, found: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// A picture whose buffer was made for exactly these sides.
    pub(crate) fn from_parts(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        debug_assert!(width > 0 && height > 0 && rgb.len() == width * height * 3);
        Self { width, height, rgb }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row by row, three bytes each.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, without a copy.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// Red, green and blue of one pixel.
    ///
    /// # Panics
    /// When the position lies outside the picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let start = (y * self.width + x) * 3;
        [self.rgb[start], self.rgb[start + 1], self.rgb[start + 2]]
    }

    /// The bytes of a PNG file with the picture.
    pub fn png(&self) -> Vec<u8> {
        let (width, height) = (self.width as u32, self.height as u32);
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new(&mut bytes);
        if let Err(error) = encoder.write_image(&self.rgb, width, height, ExtendedColorType::Rgb8) {
            // Memory takes every byte, and the buffer holds what its sides promise.
            unreachable!("{self:?}: {error}");
        }
        bytes
    }

    /// Writes the picture as a PNG file, whatever the ending of the path.
    ///
    /// # Errors
    /// [`DataError::Io`] with the path.
    pub fn save_png(&self, path: &Path) -> Result<(), DataError> {
        let written = fs::write(path, self.png());
        written.map_err(|source| DataError::io("write", path.display().to_string(), source))
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// What to do with the orientation that a camera wrote into the EXIF data of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Turn the picture upright.
    #[default]
    Honour,
    /// Take the pixels as they are stored, as most Python pipelines do.
    Ignore,
}

/// Decodes a JPEG, PNG, WebP, BMP or TIFF file, told apart by content and not by name.
///
/// Greyscale becomes three equal colours, palettes and CMYK become RGB, alpha is dropped and 16 bit are
/// rounded to 8. Of an animation the first picture counts. `name` is used in messages only.
///
/// # Errors
/// [`DataError::Decode`] when the bytes are not an image, damaged or incomplete, or of a kind that is
/// not supported (palette TIFF); [`DataError::TooLarge`] above 512 MiB of pixels.
pub fn decode(bytes: &[u8], name: &str, orientation: Orientation) -> Result<Picture, DataError> {
    decode_with_facts(bytes, name, orientation).map(|(picture, _)| picture)
}

/// What the pixels of a file are, before they become red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Brightness alone.
    Greyscale,
    /// Brightness and transparency.
    GreyscaleAlpha,
    /// Three colours, or a palette of them.
    Colour,
    /// Three colours and transparency.
    ColourAlpha,
    /// Four printing colours.
    Cmyk,
}

impl Channels {
    /// As people say it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Greyscale => "greyscale",
            Self::GreyscaleAlpha => "greyscale with transparency",
            Self::Colour => "colour",
            Self::ColourAlpha => "colour with transparency",
            Self::Cmyk => "printing colours",
        }
    }

    fn of(kind: ExtendedColorType) -> Self {
        use ExtendedColorType as Kind;
        match kind {
            Kind::L1 | Kind::L2 | Kind::L4 | Kind::L8 | Kind::L16 => Self::Greyscale,
            Kind::La1 | Kind::La2 | Kind::La4 | Kind::La8 | Kind::La16 => Self::GreyscaleAlpha,
            Kind::Rgba1 | Kind::Rgba2 | Kind::Rgba4 | Kind::Rgba8 | Kind::Rgba16 => Self::ColourAlpha,
            Kind::Bgra8 | Kind::Rgba32F | Kind::A8 => Self::ColourAlpha,
            Kind::Cmyk8 | Kind::Cmyk16 => Self::Cmyk,
            _ => Self::Colour,
        }
    }
}

/// What a file tells about its picture beside the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Name of the format, by content.
    pub(crate) format: &'static str,
    /// What its pixels are.
    pub(crate) channels: Channels,
    /// Whether the picture was turned or mirrored to stand upright.
    pub(crate) turned: bool,
}

/// [`decode`], and what the file tells beside the pixels.
pub(crate) fn decode_with_facts(
    bytes: &[u8],
    name: &str,
    orientation: Orientation,
) -> Result<(Picture, Facts), DataError> {
    // A file must never end a run: should a decoder panic on damaged data, that is an error like others.
    catch_unwind(AssertUnwindSafe(|| decode_checked(bytes, name, orientation)))
        .unwrap_or_else(|_| Err(DataError::decode(name, "the decoder failed on damaged data")))
}

fn decode_checked(bytes: &[u8], name: &str, orientation: Orientation) -> Result<(Picture, Facts), DataError> {
    let unreadable = |error: image::ImageError| DataError::decode(name, error);
    if bytes.is_empty() {
        return Err(DataError::decode(name, "the file is empty"));
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| DataError::decode(name, error))?;
    let format = match reader.format() {
        Some(ImageFormat::Jpeg) => {
            jpeg::check_complete(bytes).map_err(|why| DataError::decode(name, why))?;
            "JPEG"
        }
        Some(ImageFormat::Png) => "PNG",
        Some(ImageFormat::WebP) => "WebP",
        Some(ImageFormat::Bmp) => "BMP",
        Some(ImageFormat::Tiff) => "TIFF",
        Some(other) => return Err(DataError::decode(name, format!("{other:?} images are not supported"))),
        None => return Err(DataError::decode(name, "its content is no JPEG, PNG, WebP, BMP or TIFF image")),
    };
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let decoded = decoder.total_bytes().max(u64::from(width) * u64::from(height) * 3);
    if decoded > MAX_DECODED_BYTES {
        return Err(DataError::TooLarge {
            name: name.to_owned(),
            width,
            height,
            mebibytes: decoded / MEBIBYTE,
            limit: MAX_DECODED_BYTES / MEBIBYTE,
        });
    }
    let turn = match orientation {
        Orientation::Honour => decoder.orientation().map_err(unreadable)?,
        Orientation::Ignore => image::metadata::Orientation::NoTransforms,
    };
    // The decoder of JPEG does not tell four printing colours from three.
    let channels = match format {
        "JPEG" if jpeg::components(bytes) == Some(4) => Channels::Cmyk,
        _ => Channels::of(decoder.original_color_type()),
    };
    let turned = turn != image::metadata::Orientation::NoTransforms;
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    image.apply_orientation(turn);
    let rgb: RgbImage = image.into_rgb8();
    let picture = Picture::new(rgb.width() as usize, rgb.height() as usize, rgb.into_raw())?;
    Ok((picture, Facts { format, channels, turned }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8], name: &str) -> String {
        decode(bytes, name, Orientation::Honour).unwrap_err().to_string()
    }

    #[test]
    fn buffers_must_fit_their_sides() {
        assert!(Picture::new(2, 3, vec![0; 18]).is_ok());
        for (width, height, bytes) in [(2, 3, 17), (0, 3, 0), (usize::MAX, usize::MAX, 3)] {
            assert!(Picture::new(width, height, vec![0; bytes]).is_err(), "{width}x{height}");
        }
    }

    #[test]
    fn a_saved_picture_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        let picture = Picture::new(3, 2, (0..18).collect()).unwrap();
        picture.save_png(&path).unwrap();
        // The content counts, not the name.
        assert_eq!(decode(&fs::read(&path).unwrap(), "x.jpg", Orientation::Honour).unwrap(), picture);
        let error = picture.save_png(&folder.path().join("missing/x.png")).unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("missing"), "{error}");
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let text = message(b"just some text that is long enough", "cats/text.png");
        assert!(text.starts_with("cats/text.png is not a readable image"), "{text}");
        assert!(message(b"", "empty.png").contains("the file is empty"));
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0;", "a.gif").contains("Gif images are not supported"));
    }

    #[test]
    fn enormous_pictures_are_refused_before_they_take_memory() {
        // The header of a bitmap of 20,000 x 20,000 pixels of 24 bit, without any pixels.
        let mut header = b"BM".to_vec();
        header.extend([54_u32, 0, 54, 40, 20_000, 20_000].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([1_u16, 24].iter().flat_map(|value| value.to_le_bytes()));
        header.extend([0; 24]);
        let text = message(&header, "bomb.bmp");
        assert!(text.contains("bomb.bmp is 20000x20000 pixels, 1144 MiB"), "{text}");
    }
}
