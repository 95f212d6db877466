//! TIFF files of bands, written for tests.

use std::io::Cursor;

use tiff::{encoder::TiffEncoder, tags::Tag};

/// A file of `channels` samples a pixel, all 8 or all 16 bit.
pub(crate) struct Bands {
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// Band after band, instead of pixel after pixel.
    pub(crate) planar: bool,
    /// The first three samples are said to be red, green and blue, and the others nothing.
    pub(crate) colours: bool,
    /// The orientation as in EXIF data.
    pub(crate) orientation: u16,
}

impl Bands {
    pub(crate) fn new(width: usize, channels: usize) -> Self {
        Self { width, channels, planar: false, colours: false, orientation: 1 }
    }

    /// The file of `levels` in the order (row, column, channel).
    pub(crate) fn file<T: Copy>(&self, levels: &[T]) -> Vec<u8>
    where
        [T]: tiff::encoder::TiffValue,
    {
        let Self { width, channels, .. } = *self;
        let height = levels.len() / channels / width;
        let strips: Vec<Vec<T>> = match self.planar {
            false => vec![levels.to_vec()],
            true => {
                (0..channels).map(|band| levels[band..].iter().step_by(channels).copied().collect()).collect()
            }
        };
        let mut bytes = Vec::new();
        let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
        let mut directory = encoder.image_directory().unwrap();
        let starts: Vec<u32> =
            strips.iter().map(|strip| directory.write_data(&strip[..]).unwrap() as u32).collect();
        let lengths: Vec<u32> = strips.iter().map(|strip| size_of_val(&strip[..]) as u32).collect();
        let bits = 8 * size_of::<T>() as u16;
        for (tag, value) in [
            (Tag::ImageWidth, width as u16),
            (Tag::ImageLength, height as u16),
            (Tag::Compression, 1),
            (Tag::PhotometricInterpretation, if self.colours { 2 } else { 1 }),
            (Tag::SamplesPerPixel, channels as u16),
            (Tag::RowsPerStrip, height as u16),
            (Tag::PlanarConfiguration, if self.planar { 2 } else { 1 }),
            (Tag::Orientation, self.orientation),
        ] {
            directory.write_tag(tag, value).unwrap();
        }
        directory.write_tag(Tag::BitsPerSample, &vec![bits; channels][..]).unwrap();
        directory.write_tag(Tag::StripOffsets, &starts[..]).unwrap();
        directory.write_tag(Tag::StripByteCounts, &lengths[..]).unwrap();
        if self.colours && channels > 3 {
            directory.write_tag(Tag::ExtraSamples, &vec![0_u16; channels - 3][..]).unwrap();
        }
        directory.finish().unwrap();
        bytes
    }
}
