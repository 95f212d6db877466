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
    tags::Tag,
};

use super::{
    copy::file,
    directory::Directory,
    shape::{Shape, bits},
};
use crate::error::DataError;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::Values;
use crate::reading::size_limit::{MAX_DECODED_BYTES, check_size};

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
    // As `read_part` keeps them, and one band as three, because three equal colours may be made of it.
    let memory = match shape.kind {
        SampleType::Unsigned(..=8) => 1,
        SampleType::Unsigned(9..=16) => 2,
        SampleType::Unsigned(_) | SampleType::Signed(_) | SampleType::Float(_) => 8,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_become_reals_count_as_these_whatever_their_bits() {
        let fits = |kind| {
            let shape = Shape { width: 6000, height: 6000, samples: 3, kind };
            check_memory(&shape, "x.tif").is_ok()
        };
        assert!(fits(SampleType::Unsigned(8)) && fits(SampleType::Unsigned(16)));
        for kind in
            [SampleType::Signed(8), SampleType::Signed(16), SampleType::Float(16), SampleType::Float(64)]
        {
            assert!(!fits(kind), "{kind}");
        }
    }
}
