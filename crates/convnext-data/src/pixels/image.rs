//! Pixels of any number of channels.

use std::{fmt, fs, path::Path};

use convnext_core::{COLOURS, ImageSize};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::error::DataError;
use crate::pixels::levels::{Levels, in_eight_bit};

/// Pixels of an image, row by row, the channels of a pixel one after the other.
///
/// One channel is greyscale, three are red, green and blue; others are bands without a colour. Levels are of 8 bit, or
/// of 16 bit where a file has more than 8 and a range says what of it is black and white: such an image is *deep*. What
/// is shown of it is rounded to 8 bit.
#[derive(Clone)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    levels: Levels,
}

impl Image {
    /// An image of `width` x `height` pixels; `bytes` holds one byte for each channel of a pixel, row by row.
    ///
    /// # Errors
    /// [`DataError::ImageBuffer`] when a side or the number of channels is 0, or the buffer has another length.
    pub fn new(width: usize, height: usize, channels: usize, bytes: Vec<u8>) -> Result<Self, DataError> {
        Self::checked(width, height, channels, bytes.into())
    }

    /// A deep image; `levels` are of 65535.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn deep(width: usize, height: usize, channels: usize, levels: Vec<u16>) -> Result<Self, DataError> {
        Self::checked(width, height, channels, levels.into())
    }

    fn checked(width: usize, height: usize, channels: usize, levels: Levels) -> Result<Self, DataError> {
        let sides_fit = [width, height].iter().all(|side| (1..=u32::MAX as usize).contains(side));
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if !sides_fit || channels == 0 || expected != Some(levels.len()) {
            return Err(DataError::ImageBuffer { width, height, channels, found: levels.len() });
        }
        Ok(Self { width, height, channels, levels })
    }

    /// An image whose buffer was made for exactly these sides and channels.
    pub(crate) fn from_parts(
        width: usize,
        height: usize,
        channels: usize,
        levels: impl Into<Levels>,
    ) -> Self {
        let levels = levels.into();
        debug_assert!(width > 0 && height > 0 && channels > 0 && levels.len() == width * height * channels);
        Self { width, height, channels, levels }
    }

    /// Images of one channel and the same sides and depth, as the channels of one.
    pub(crate) fn of_bands(bands: &[Self]) -> Self {
        let (width, height) = (bands[0].width, bands[0].height);
        let deep: Option<Vec<&[u16]>> = bands.iter().map(Self::deep_levels).collect();
        let levels = match deep {
            Some(bands) => interleaved(&bands).into(),
            None => interleaved(&bands.iter().map(Self::bytes).collect::<Vec<_>>()).into(),
        };
        Self { width, height, channels: bands.len(), levels }
    }

    /// One channel, counted from 0, as an image of its own.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn band(&self, channel: usize) -> Self {
        let levels: Levels = match &self.levels {
            Levels::Eight(levels) => every(levels, channel, self.channels).into(),
            Levels::Sixteen(levels, _) => every(levels, channel, self.channels).into(),
        };
        Self::from_parts(self.width, self.height, 1, levels)
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Height and width in pixels.
    pub fn size(&self) -> ImageSize {
        ImageSize { height: self.height, width: self.width }
    }

    /// Channels of a pixel, at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// `true` if the levels are of 16 bit.
    pub fn is_deep(&self) -> bool {
        self.deep_levels().is_some()
    }

    /// The levels of a deep image, of 65535.
    pub fn deep_levels(&self) -> Option<&[u16]> {
        match &self.levels {
            Levels::Eight(_) => None,
            Levels::Sixteen(levels, _) => Some(levels),
        }
    }

    /// The pixels, row by row, one byte for each channel: those of a deep image are rounded.
    pub fn bytes(&self) -> &[u8] {
        match &self.levels {
            Levels::Eight(levels) => levels,
            Levels::Sixteen(levels, rounded) => rounded.get_or_init(|| in_eight_bit(levels)),
        }
    }

    /// As [`Self::bytes`], without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.levels {
            Levels::Eight(levels) => levels,
            Levels::Sixteen(levels, _) => in_eight_bit(&levels),
        }
    }

    /// The same image in 8 bit.
    #[must_use]
    pub fn rounded(self) -> Self {
        let Self { width, height, channels, .. } = self;
        Self::from_parts(width, height, channels, self.into_bytes())
    }

    /// The levels, for what moves pixels and leaves them as they are.
    pub(crate) fn into_levels(self) -> Levels {
        self.levels
    }

    /// The levels, as [`Self::into_levels`].
    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// One value in [0, 1], counted through rows, pixels and channels.
    #[cfg(test)]
    pub(crate) fn level(&self, index: usize) -> f64 {
        match &self.levels {
            Levels::Eight(levels) => f64::from(levels[index]) / 255.0,
            Levels::Sixteen(levels, _) => f64::from(levels[index]) / 65535.0,
        }
    }

    /// The channels of one pixel, rounded to 8 bit.
    ///
    /// # Panics
    /// When the position lies outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        &self.bytes()[(y * self.width + x) * self.channels..][..self.channels]
    }

    /// The bytes of a PNG file with what of the image can be shown: of one or two channels the greyscale of the
    /// first, of more than three the first three as red, green and blue.
    pub fn png(&self) -> Vec<u8> {
        let pixels = self.bytes().chunks_exact(self.channels);
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

    /// Writes [`Self::png`], whatever the extension of the path.
    ///
    /// # Errors
    /// [`DataError::Io`] with the path.
    pub fn save_png(&self, path: &Path) -> Result<(), DataError> {
        let written = fs::write(path, self.png());
        written.map_err(|source| DataError::io("write", path.display().to_string(), source))
    }
}

/// Two images are equal when their pixels are, in the same depth.
impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        let sides = |image: &Self| (image.width, image.height, image.channels);
        let equal = match (&self.levels, &other.levels) {
            (Levels::Eight(levels), Levels::Eight(others)) => levels == others,
            (Levels::Sixteen(levels, _), Levels::Sixteen(others, _)) => levels == others,
            _ => false,
        };
        equal && sides(self) == sides(other)
    }
}

impl Eq for Image {}

fn every<T: Copy>(values: &[T], first: usize, step: usize) -> Vec<T> {
    values[first..].iter().step_by(step).copied().collect()
}

fn interleaved<T: Copy>(bands: &[&[T]]) -> Vec<T> {
    (0..bands[0].len()).flat_map(|pixel| bands.iter().map(move |band| band[pixel])).collect()
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}x{}x{})", self.width, self.height, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::orientation::Orientation;
    use crate::reading::decode::decode;

    #[test]
    fn buffers_must_fit_their_sides() {
        assert!(Image::new(2, 3, 3, vec![0; 18]).is_ok());
        for (width, height, channels, bytes) in
            [(2, 3, 3, 17), (2, 3, 1, 18), (0, 3, 3, 0), (2, 3, 0, 0), (usize::MAX, usize::MAX, 1, 1)]
        {
            let error = Image::new(width, height, channels, vec![0; bytes]).unwrap_err().to_string();
            assert!(error.contains(&format!("{channels} byte(s) a pixel")), "{error}");
        }
    }

    #[test]
    fn a_saved_image_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        for channels in [1, 3] {
            let image = Image::new(3, 2, channels, (0..6 * channels as u8).collect()).unwrap();
            image.save_png(&path).unwrap();
            // The content counts, not the name.
            let bytes = fs::read(&path).unwrap();
            assert_eq!(decode(&bytes, "x.jpg", channels, Orientation::Honour).unwrap(), image);
            let error = image.save_png(&folder.path().join("missing/x.png")).unwrap_err().to_string();
            assert!(error.contains("cannot write") && error.contains("missing"), "{error}");
        }
    }

    #[test]
    fn what_of_an_image_can_be_shown_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shown.png");
        for (channels, expected) in
            [(2, [0, 2, 4, 6].as_slice()), (5, &[0, 1, 2, 5, 6, 7, 10, 11, 12, 15, 16, 17])]
        {
            Image::new(2, 2, channels, (0..4 * channels as u8).collect()).unwrap().save_png(&path).unwrap();
            let shown = expected.len() / 4;
            let read = decode(&fs::read(&path).unwrap(), "", shown, Orientation::Honour).unwrap();
            assert_eq!(read.bytes(), expected);
        }
    }

    #[test]
    fn bands_are_taken_apart_and_put_together() {
        let image = Image::new(3, 2, 4, (0..24).collect()).unwrap();
        assert_eq!(image.band(2).bytes(), [2, 6, 10, 14, 18, 22]);
        assert_eq!(image.pixel(1, 1), [16, 17, 18, 19]);
        let bands: Vec<Image> = (0..4).map(|band| image.band(band)).collect();
        assert_eq!(Image::of_bands(&bands), image);
        let deep = Image::deep(3, 2, 4, (0..24).map(|level| 1000 * level).collect()).unwrap();
        assert_eq!(deep.band(2).deep_levels().unwrap()[..2], [2000, 6000]);
        let bands: Vec<Image> = (0..4).map(|band| deep.band(band)).collect();
        assert_eq!(Image::of_bands(&bands), deep);
    }

    #[test]
    fn what_is_shown_of_a_deep_image_is_rounded() {
        let deep = Image::deep(4, 1, 1, vec![0, 128, 129, 65_535]).unwrap();
        assert_eq!((deep.is_deep(), deep.bytes(), deep.pixel(3, 0)), (true, &[0, 0, 1, 255][..], &[255][..]));
        let rounded = deep.clone().rounded();
        assert!(!rounded.is_deep() && rounded != deep && rounded.png() == deep.png());
    }
}
