//! Pixels of any number of channels.

use std::{fmt, fs, path::Path};

use convnext_core::COLOURS;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::{DataError, Region, resize};

/// Pixels of an image: 8 bit for each channel, row by row, the channels of a pixel one after the other.
///
/// One channel is greyscale, three are red, green and blue; others are bands without a colour.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture of `width` x `height` pixels; `bytes` holds one byte for each channel of a pixel, row by row.
    ///
    /// # Errors
    /// [`DataError::PictureSize`] when a side or the number of channels is 0, or the buffer has another length.
    pub fn new(width: usize, height: usize, channels: usize, bytes: Vec<u8>) -> Result<Self, DataError> {
        let sides_fit = [width, height].iter().all(|side| (1..=u32::MAX as usize).contains(side));
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if !sides_fit || channels == 0 || expected != Some(bytes.len()) {
            return Err(DataError::PictureSize { width, height, channels, found: bytes.len() });
        }
        Ok(Self { width, height, channels, bytes })
    }

    /// A picture whose buffer was made for exactly these sides and channels.
    pub(crate) fn from_parts(width: usize, height: usize, channels: usize, bytes: Vec<u8>) -> Self {
        debug_assert!(width > 0 && height > 0 && channels > 0 && bytes.len() == width * height * channels);
        Self { width, height, channels, bytes }
    }

    /// Pictures of one channel and the same sides, as the channels of one.
    pub(crate) fn of_bands(bands: &[Self]) -> Self {
        let (width, height) = (bands[0].width, bands[0].height);
        let pixels = 0..width * height;
        let bytes = pixels.flat_map(|pixel| bands.iter().map(move |band| band.bytes[pixel])).collect();
        Self::from_parts(width, height, bands.len(), bytes)
    }

    /// One channel, counted from 0, as a picture of its own.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn band(&self, channel: usize) -> Self {
        let bytes = self.bytes[channel..].iter().step_by(self.channels).copied().collect();
        Self::from_parts(self.width, self.height, 1, bytes)
    }

    /// The same picture, at most `side` pixels wide and high, in its proportions; never larger than it is.
    #[must_use]
    pub fn shrunk(&self, side: usize) -> Self {
        let long = self.width.max(self.height);
        let scaled = |of: usize| match long > side {
            true => ((of * side) as f64 / long as f64).round().max(1.0) as usize,
            false => of,
        };
        resize(self, Region::whole(self), scaled(self.width), scaled(self.height))
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes of a pixel, at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The pixels, row by row, one byte for each channel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pixels, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The channels of one pixel.
    ///
    /// # Panics
    /// When the position lies outside the picture.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        &self.bytes[(y * self.width + x) * self.channels..][..self.channels]
    }

    /// The bytes of a PNG file with what of the picture can be shown: of one or two channels the greyscale of the
    /// first, of more than three the first three as red, green and blue.
    pub fn png(&self) -> Vec<u8> {
        let pixels = self.bytes.chunks_exact(self.channels);
        let (shown, color): (Vec<u8>, _) = match self.channels {
            1 | 2 => (pixels.map(|pixel| pixel[0]).collect(), ExtendedColorType::L8),
            _ => (pixels.flat_map(|pixel| &pixel[..COLOURS]).copied().collect(), ExtendedColorType::Rgb8),
        };
        let (width, height) = (self.width as u32, self.height as u32);
        let mut bytes = Vec::new();
        if let Err(error) = PngEncoder::new(&mut bytes).write_image(&shown, width, height, color) {
            // Memory takes every byte, and the buffer holds what its sides promise.
            unreachable!("{self:?}: {error}");
        }
        bytes
    }

    /// Writes [`Self::png`], whatever the ending of the path.
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
        write!(f, "Picture({}x{}x{})", self.width, self.height, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Orientation, decode};

    #[test]
    fn buffers_must_fit_their_sides() {
        assert!(Picture::new(2, 3, 3, vec![0; 18]).is_ok());
        for (width, height, channels, bytes) in
            [(2, 3, 3, 17), (2, 3, 1, 18), (0, 3, 3, 0), (2, 3, 0, 0), (usize::MAX, usize::MAX, 1, 1)]
        {
            let error = Picture::new(width, height, channels, vec![0; bytes]).unwrap_err().to_string();
            assert!(error.contains(&format!("{channels} byte(s) a pixel")), "{error}");
        }
    }

    #[test]
    fn a_saved_picture_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        for channels in [1, 3] {
            let picture = Picture::new(3, 2, channels, (0..6 * channels as u8).collect()).unwrap();
            picture.save_png(&path).unwrap();
            // The content counts, not the name.
            let bytes = fs::read(&path).unwrap();
            assert_eq!(decode(&bytes, "x.jpg", channels, Orientation::Honour).unwrap(), picture);
            let error = picture.save_png(&folder.path().join("missing/x.png")).unwrap_err().to_string();
            assert!(error.contains("cannot write") && error.contains("missing"), "{error}");
        }
    }

    #[test]
    fn what_of_a_picture_can_be_shown_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shown.png");
        for (channels, expected) in
            [(2, [0, 2, 4, 6].as_slice()), (5, &[0, 1, 2, 5, 6, 7, 10, 11, 12, 15, 16, 17])]
        {
            Picture::new(2, 2, channels, (0..4 * channels as u8).collect()).unwrap().save_png(&path).unwrap();
            let shown = expected.len() / 4;
            let read = decode(&fs::read(&path).unwrap(), "", shown, Orientation::Honour).unwrap();
            assert_eq!(read.bytes(), expected);
        }
    }

    #[test]
    fn bands_are_taken_apart_and_put_together() {
        let picture = Picture::new(3, 2, 4, (0..24).collect()).unwrap();
        assert_eq!(picture.band(2).bytes(), [2, 6, 10, 14, 18, 22]);
        assert_eq!(picture.pixel(1, 1), [16, 17, 18, 19]);
        let bands: Vec<Picture> = (0..4).map(|band| picture.band(band)).collect();
        assert_eq!(Picture::of_bands(&bands), picture);
    }
}
