//! The values of a TIFF file as they are stored, whatever they mean.
//!
//! The decoder of the crate `tiff` knows about strips, tiles, planes, compressions and predictors, but not about every
//! meaning and number of bits. So it is shown the file with a directory that calls the values levels of grey: then it
//! hands out all of them as they are.

use std::io::Cursor;

use convnext_core::COLOURS;
use tiff::{
    TiffError,
    decoder::{Decoder, DecodingResult, Limits},
    tags::{PhotometricInterpretation, Tag},
};

use super::{
    compression::{self, Places},
    directory::{Directory, Entry},
};
use crate::error::DataError;
use crate::reading::decode::{MAX_DECODED_BYTES, check_size};
use crate::reading::samples::{SampleType, Values};

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
    fn row(&self) -> usize {
        (self.width * self.samples * bits(self.kind)).div_ceil(8)
    }
}

fn bits(kind: SampleType) -> usize {
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

/// Reads all values, pixel after pixel.
pub(super) fn read(directory: &Directory<'_>, shape: &Shape, name: &str) -> Result<Values, DataError> {
    check_memory(shape, name)?;
    let planar = directory.number(Tag::PlanarConfiguration) == Some(2) && shape.samples > 1;
    let tiled = directory.entry(Tag::TileOffsets).is_some();
    if !planar || (is_whole(shape.kind) && !tiled) {
        let (values, planes) = read_part(&file(directory, shape, None, &[], name)?, shape, name)?;
        return Ok(if planes < 2 { values } else { interleaved(&[values], planes) });
    }
    // The decoder does not count the tiles of several planes right, nor planes of odd bits. So these are read one by
    // one, as images of one value a pixel.
    let plane = Shape { samples: 1, ..*shape };
    let of_plane = |number| {
        let alone = [(Tag::PlanarConfiguration, 1)];
        Ok(read_part(&file(directory, &plane, Some(number), &alone, name)?, &plane, name)?.0)
    };
    let planes = (0..shape.samples).map(of_plane).collect::<Result<Vec<_>, DataError>>()?;
    Ok(interleaved(&planes, shape.samples))
}

/// `true` if the decoder knows values of these bits.
fn is_whole(kind: SampleType) -> bool {
    matches!(bits(kind), 8 | 16 | 32 | 64)
}

pub(super) fn check_memory(shape: &Shape, name: &str) -> Result<(), DataError> {
    let memory = match bits(shape.kind) {
        ..=8 => 1,
        9..=16 => 2,
        _ => 8,
    };
    let pixels = (shape.width as u64).saturating_mul(shape.height as u64);
    let values = pixels.saturating_mul(shape.samples.max(COLOURS) as u64);
    check_size(name, shape.width as u32, shape.height as u32, values.saturating_mul(memory))
}

/// The values of a file that [`file`] has made, and in how many planes they lie.
pub(super) fn read_part(file: &[u8], shape: &Shape, name: &str) -> Result<(Values, usize), DataError> {
    let unreadable = |error| unreadable(error, name);
    let mut decoder = Decoder::new(Cursor::new(file)).map_err(unreadable)?.with_limits(limits());
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(unreadable)?;
    let values = match result {
        DecodingResult::U8(bytes) if !is_whole(shape.kind) => unpacked(&bytes, shape, bits(shape.kind)),
        DecodingResult::U8(values) => Values::Eight(values),
        DecodingResult::U16(values) => Values::Sixteen(values),
        DecodingResult::U32(values) => reals(values, f64::from),
        DecodingResult::U64(values) => reals(values, |value| value as f64),
        DecodingResult::F16(values) => reals(values, |value| f32::from(value).into()),
        DecodingResult::F32(values) => reals(values, f64::from),
        DecodingResult::F64(values) => Values::Real(values),
        DecodingResult::I8(values) => reals(values, f64::from),
        DecodingResult::I16(values) => reals(values, f64::from),
        DecodingResult::I32(values) => reals(values, f64::from),
        DecodingResult::I64(values) => reals(values, |value| value as f64),
    };
    if values.len() != shape.width * shape.height * shape.samples {
        return Err(DataError::decode(name, "the TIFF file holds fewer values than it says"));
    }
    Ok((values, layout.planes))
}

fn reals<T>(values: Vec<T>, real: impl Fn(T) -> f64) -> Values {
    Values::Real(values.into_iter().map(real).collect())
}

/// Plane after plane, in one part or in one for each, as pixel after pixel.
fn interleaved(parts: &[Values], planes: usize) -> Values {
    fn mixed<T: Copy>(values: &[T], planes: usize) -> Vec<T> {
        let pixels = values.len() / planes;
        (0..pixels).flat_map(|pixel| (0..planes).map(move |plane| values[plane * pixels + pixel])).collect()
    }
    let mut eight = Vec::new();
    let mut sixteen = Vec::new();
    let mut real = Vec::new();
    for part in parts {
        match part {
            Values::Eight(values) => eight.extend(values),
            Values::Sixteen(values) => sixteen.extend(values),
            Values::Real(values) => real.extend(values),
        }
    }
    // All parts have values of one type.
    match (eight.is_empty(), sixteen.is_empty()) {
        (false, _) => Values::Eight(mixed(&eight, planes)),
        (_, false) => Values::Sixteen(mixed(&sixteen, planes)),
        _ => Values::Real(mixed(&real, planes)),
    }
}

/// Values that lie bit by bit in rows of whole bytes, the highest bit first.
fn unpacked(bytes: &[u8], shape: &Shape, bits: usize) -> Values {
    let values = shape.width * shape.samples;
    let rows = bytes.chunks_exact(shape.row().max(1));
    let value = |row: &[u8], index: usize| {
        (index * bits..(index + 1) * bits)
            .fold(0_u64, |value, bit| value << 1 | u64::from(row[bit / 8] >> (7 - bit % 8) & 1))
    };
    let all = rows.flat_map(|row| (0..values).map(move |index| value(row, index)));
    match bits {
        ..=8 => Values::Eight(all.map(|value| value as u8).collect()),
        9..=16 => Values::Sixteen(all.map(|value| value as u16).collect()),
        _ => Values::Real(all.map(|value| value as f64).collect()),
    }
}

/// Tags that are copied from the directory of the file.
const KEPT: [Tag; 12] = [
    Tag::ImageWidth,
    Tag::ImageLength,
    Tag::RowsPerStrip,
    Tag::TileWidth,
    Tag::TileLength,
    Tag::PlanarConfiguration,
    Tag::Predictor,
    Tag::JPEGTables,
    Tag::StripOffsets,
    Tag::StripByteCounts,
    Tag::TileOffsets,
    Tag::TileByteCounts,
];

/// The file with a directory that calls everything levels of grey; with `plane` only those of one plane. Some numbers
/// of the directory may be replaced.
pub(super) fn file(
    directory: &Directory<'_>,
    shape: &Shape,
    plane: Option<usize>,
    replaced: &[(Tag, u64)],
    name: &str,
) -> Result<Vec<u8>, DataError> {
    let order = directory.order;
    compression::check(directory, name)?;
    let mut bytes = directory.bytes().to_vec();
    compression::straighten(&mut bytes, directory);
    let unpacked = compression::unpack(&mut bytes, directory, name)?;
    let compression = if unpacked.is_empty() { compression::of(directory) } else { compression::NONE };
    let unpacked = match plane {
        None => unpacked,
        Some(plane) => {
            let all = if unpacked.is_empty() { compression::places(directory).collect() } else { unpacked };
            all.into_iter().map(|places| of_plane(places, plane, directory)).collect()
        }
    };
    let moved = |tag: &Tag| unpacked.iter().flatten().any(|(moved, _)| moved == tag);
    let mut entries: Vec<Vec<u8>> = KEPT
        .into_iter()
        .filter(|tag| !moved(tag) && !replaced.iter().any(|(replaced, _)| replaced == tag))
        .filter_map(|tag| directory.entry(tag))
        .map(|entry| entry.raw.to_vec())
        .collect();
    for (tag, numbers) in unpacked.iter().flatten() {
        entries.push(Entry::of_places(*tag, numbers, order, &mut bytes));
    }
    if let Some(length) = only_strip(directory, shape) {
        entries.push(Entry::of_number(Tag::StripByteCounts, length, order));
    }
    let (bits, samples) = match bits(shape.kind) {
        // The decoder takes so many values of one bit for one value.
        bits if bits > 8 && !matches!(bits, 16 | 32 | 64) => (1, bits * shape.samples),
        bits => (bits, shape.samples),
    };
    let format = match shape.kind {
        SampleType::Unsigned(_) => 1,
        SampleType::Signed(_) => 2,
        SampleType::Float(_) => 3,
    };
    let grey = PhotometricInterpretation::BlackIsZero.to_u16();
    for (tag, number) in [
        (Tag::PhotometricInterpretation, u64::from(grey)),
        (Tag::BitsPerSample, bits as u64),
        (Tag::SamplesPerPixel, samples as u64),
        (Tag::SampleFormat, format),
        (Tag::Compression, compression),
    ]
    .into_iter()
    .chain(replaced.iter().copied())
    {
        entries.push(Entry::of_number(tag, number, order));
    }
    let start = order.bytes(bytes.len() as u64, order.offset());
    bytes.extend(order.bytes(entries.len() as u64, if order.big { 8 } else { 2 }));
    bytes.extend(entries.concat());
    bytes.extend(order.bytes(0, order.offset()));
    bytes[if order.big { 8..16 } else { 4..8 }].copy_from_slice(&start);
    Ok(bytes)
}

/// The places of one plane, of which all have as many strips or tiles.
fn of_plane(places: Places, plane: usize, directory: &Directory<'_>) -> Places {
    let planes = directory.number(Tag::SamplesPerPixel).unwrap_or(1).max(1) as usize;
    places.map(|(tag, places)| {
        let each = places.len() / planes;
        let own = places.get(plane * each..(plane + 1) * each).unwrap_or_default().to_vec();
        (tag, own)
    })
}

/// The length of a single strip whose length the file does not tell, as old programs write it.
fn only_strip(directory: &Directory<'_>, shape: &Shape) -> Option<u64> {
    let told = directory.numbers(Tag::StripByteCounts).is_some_and(|lengths| lengths.iter().any(|&n| n > 0));
    let single = directory.entry(Tag::StripOffsets).is_some_and(|entry| entry.count() == 1);
    (!told && single && compression::of(directory) == compression::NONE)
        .then_some((shape.row() * shape.height) as u64)
}

/// Limits of the decoder by [`check_size`]; the sizes of other memory follow from that of the image.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODED_BYTES as usize;
    limits.intermediate_buffer_size = MAX_DECODED_BYTES as usize;
    limits
}

fn unreadable(error: TiffError, name: &str) -> DataError {
    match error {
        TiffError::UnsupportedError(error) => {
            DataError::unsupported(name, format!("a TIFF file of an unsupported variant ({error})"))
        }
        error => DataError::decode(name, format!("the TIFF data is damaged or incomplete ({error})")),
    }
}
