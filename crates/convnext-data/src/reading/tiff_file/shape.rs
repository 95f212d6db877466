//! The size of a TIFF file's image and the type of its values.

use tiff::tags::Tag;

use super::directory::Directory;
use crate::error::DataError;
use crate::reading::sample_type::SampleType;

/// The size of the image and what its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Values of a pixel.
    pub(super) samples: usize,
    pub(super) kind: SampleType,
}

impl Shape {
    /// Reads the tags of the directory.
    pub(super) fn of(directory: &Directory<'_>, name: &str) -> Result<Self, DataError> {
        let missing = |what| DataError::decode(name, format!("the TIFF file does not say {what}"));
        let side = |tag, what| {
            let side = directory.number(tag).and_then(|side| usize::try_from(side).ok());
            side.filter(|side| (1..=u32::MAX as usize).contains(side)).ok_or_else(|| missing(what))
        };
        let width = side(Tag::ImageWidth, "the width of the image")?;
        let height = side(Tag::ImageLength, "the height of the image")?;
        let samples = directory.number(Tag::SamplesPerPixel).unwrap_or(1);
        let samples =
            usize::from(u16::try_from(samples).ok().filter(|&samples| samples > 0).ok_or_else(|| {
                DataError::decode(name, format!("the TIFF file has pixels of {samples} values"))
            })?);
        Ok(Self { width, height, samples, kind: kind(directory, name)? })
    }

    /// Bytes of a row of all samples as it is stored: whole ones.
    pub(super) fn row(&self) -> usize {
        (self.width * self.samples * bits(self.kind)).div_ceil(8)
    }
}

/// Bits of a value.
pub(super) fn bits(kind: SampleType) -> usize {
    match kind {
        SampleType::Unsigned(bits) | SampleType::Signed(bits) | SampleType::Float(bits) => bits.into(),
    }
}

/// The type of all values.
fn kind(directory: &Directory<'_>, name: &str) -> Result<SampleType, DataError> {
    let refuse = |what: String| Err(DataError::unsupported(name, format!("a TIFF file of {what}")));
    let same = |tag, otherwise: u64| {
        let values = directory.numbers(tag).unwrap_or_default();
        let first = values.first().copied().unwrap_or(otherwise);
        (first, values.iter().all(|&value| value == first))
    };
    let (bits, equal_bits) = same(Tag::BitsPerSample, 1);
    let (format, equal_formats) = same(Tag::SampleFormat, 1);
    if !equal_bits || !equal_formats {
        return refuse("values of several types in one pixel".to_owned());
    }
    let bits = match u8::try_from(bits) {
        Ok(bits @ 1..=64) => bits,
        _ => return refuse(format!("{bits}-bit values")),
    };
    match (format, bits) {
        // What is not defined is taken for whole numbers, as elsewhere.
        (1 | 4, 1..=16 | 24 | 32 | 64) => Ok(SampleType::Unsigned(bits)),
        (2, 8 | 16 | 32 | 64) => Ok(SampleType::Signed(bits)),
        (3, 16 | 32 | 64) => Ok(SampleType::Float(bits)),
        (5 | 6, _) => refuse("complex numbers".to_owned()),
        (1 | 2 | 4, _) => refuse(format!("{bits}-bit integers")),
        (3, _) => refuse(format!("{bits}-bit floats")),
        _ => refuse(format!("values of an unknown type (sample format {format})")),
    }
}
