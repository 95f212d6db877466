//! TIFF files: of any type and number of values, in colours, grey or bands.

mod colours;
mod compression;
mod copy;
mod differences;
mod directory;
mod pixelwise;
mod shape;
mod stored;
mod subsampled;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;
use tiff::tags::Tag;

use self::{
    colours::{Photometric, of_palette},
    directory::Directory,
    shape::Shape,
    stored::read as read_values,
    subsampled::Unit,
};
use crate::error::DataError;
use crate::pixels::orientation::turn_of_xmp;
use crate::reading::facts::Channels;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};

/// The tag by which a file says that it is a digital negative: a raw photograph, whose first image may be a mere preview.
pub(crate) const DNG_VERSION: u16 = 50_706;

/// Reads the first image of a file, its turn, and what its values are. With `shown` it is needed in colours or grey:
/// then palettes and CMYK become red, green and blue, and of these alone what else a pixel has is left
/// out. Otherwise all values are bands.
pub(crate) fn read(bytes: &[u8], name: &str, shown: bool) -> Result<(Samples, Turn, Channels), DataError> {
    let directory = Directory::read(bytes).ok_or_else(|| {
        DataError::decode(name, "the TIFF file is damaged or incomplete: it has no directory")
    })?;
    refuse_previews(&directory, name)?;
    let shape = Shape::of(&directory, name)?;
    let photometric = Photometric::of(&directory, &shape, name)?;
    let unit = match photometric {
        Photometric::YCbCr => Unit::of(&directory, &shape, name)?,
        _ => None,
    };
    let values = match unit {
        Some(unit) => unit.read(&directory, &shape, name)?,
        None => read_values(&directory, &shape, name)?,
    };
    let (samples, meaning) = match photometric.is_palette(&shape, shown) {
        // A palette has a colour for the number that means "nothing is known here" too.
        true => of_palette(&values, &shape, &directory, name)?,
        false => photometric.interpret(without_nodata(values, &directory), &shape, &directory, shown),
    };
    Ok((samples, stored_turn(&directory), meaning))
}

/// Height and width as the first image is stored, and its turn, without reading values.
pub(crate) fn size_and_turn(bytes: &[u8]) -> Option<(ImageSize, Turn)> {
    let directory = Directory::read(bytes)?;
    let Shape { width, height, .. } = Shape::of(&directory, "").ok()?;
    Some((ImageSize { height, width }, stored_turn(&directory)))
}

/// The type of a file's values, without reading them. Of a palette they are colours.
pub(crate) fn type_of(bytes: &[u8]) -> Option<SampleType> {
    let directory = Directory::read(bytes)?;
    let shape = Shape::of(&directory, "").ok()?;
    let is_palette = Photometric::of(&directory, &shape, "").ok()? == Photometric::Palette;
    Some(if is_palette || !shape.kind.is_deep() { SampleType::EIGHT_BIT } else { shape.kind })
}

/// The first image of a raw photograph is a small preview, if anything.
fn refuse_previews(directory: &Directory<'_>, name: &str) -> Result<(), DataError> {
    const REDUCED: u64 = 1;
    let reduced = directory.number(Tag::NewSubfileType).is_some_and(|kind| kind & REDUCED > 0);
    let digital_negative = directory.entry(Tag::Unknown(DNG_VERSION)).is_some();
    if digital_negative || (reduced && directory.entry(Tag::SubIfd).is_some()) {
        return Err(DataError::unsupported(
            name,
            "a raw photograph (a TIFF file that begins with a preview)",
        ));
    }
    Ok(())
}

/// The orientation that the file names.
fn stored_turn(directory: &Directory<'_>) -> Turn {
    const XMP: u16 = 700;
    let told = directory.number(Tag::Orientation).and_then(|turn| Turn::from_exif(turn.try_into().ok()?));
    let in_xmp = || directory.text(Tag::Unknown(XMP)).and_then(turn_of_xmp);
    told.or_else(in_xmp).unwrap_or(Turn::NoTransforms)
}

/// The values, of which those that mean "nothing is known here" are no numbers any more.
fn without_nodata(values: Values, directory: &Directory<'_>) -> Values {
    /// The tag in which GDAL writes that value, as text.
    const NODATA: u16 = 42_113;
    let text = directory.text(Tag::Unknown(NODATA)).and_then(|text| std::str::from_utf8(text).ok());
    let nodata = text.and_then(|text| text.trim_matches(['\0', ' ', '\n']).parse::<f64>().ok());
    let Some(nodata) = nodata else { return values };
    let known = |value: f64| if value == nodata { f64::NAN } else { value };
    match values {
        // Levels of 8 bit stay what they are for everybody else.
        Values::Eight(_) => values,
        Values::Sixteen(sixteen) => match sixteen.iter().any(|&value| f64::from(value) == nodata) {
            true => Values::Real(sixteen.into_iter().map(|value| known(value.into())).collect()),
            false => Values::Sixteen(sixteen),
        },
        // Floats are compared in the precision that the text was made from.
        Values::Real(reals) => Values::Real(
            reals
                .into_iter()
                .map(|value| if value as f32 == nodata as f32 { f64::NAN } else { value })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tiff::encoder::TiffEncoder;

    use super::*;
    use crate::checks::range::Counted;

    /// A row of two 16-bit numbers of a palette; number 7 is the colour (7, 8, 9) and means that nothing is known.
    fn deep_palette(numbers: [u16; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
        let mut directory = encoder.image_directory().unwrap();
        let start = directory.write_data(&numbers[..]).unwrap() as u32;
        for (tag, value) in [
            (Tag::ImageWidth, 2_u16),
            (Tag::ImageLength, 1),
            (Tag::BitsPerSample, 16),
            (Tag::Compression, 1),
            (Tag::PhotometricInterpretation, 3),
            (Tag::SamplesPerPixel, 1),
            (Tag::RowsPerStrip, 1),
            (Tag::StripByteCounts, 4),
        ] {
            directory.write_tag(tag, value).unwrap();
        }
        directory.write_tag(Tag::StripOffsets, start).unwrap();
        let levels = |colour: u16| (0..=u16::MAX).map(move |number| (number % 200 + colour) << 8);
        let palette: Vec<u16> = (0..3).flat_map(levels).collect();
        directory.write_tag(Tag::ColorMap, &palette[..]).unwrap();
        directory.write_tag(Tag::GdalNodata, "7").unwrap();
        directory.finish().unwrap();
        bytes
    }

    /// Bug: a deep palette of GDAL's with a pixel of which nothing is known became an image without values, and who
    /// counted these panicked.
    #[test]
    fn a_deep_palette_keeps_its_colours_beside_nodata() {
        let (samples, _, meaning) = read(&deep_palette([7, 1]), "map.tif", true).unwrap();
        assert_eq!((&samples.values, meaning), (&Values::Eight(vec![7, 8, 9, 1, 2, 3]), Channels::Colour));
        let mut counted = Counted::default();
        counted.add(&samples, 1);
        assert_eq!(counted.limits(), [[1.0, 7.0], [2.0, 8.0], [3.0, 9.0]]);
    }

    #[test]
    fn numbers_of_a_palette_that_are_not_whole_are_an_error() {
        let bytes = deep_palette([7, 1]);
        let directory = Directory::read(&bytes).unwrap();
        let shape = Shape::of(&directory, "map.tif").unwrap();
        let found = of_palette(&Values::Real(vec![f64::NAN, 1.0]), &shape, &directory, "map.tif");
        let message = found.unwrap_err().to_string();
        assert!(message.contains("map.tif") && message.contains("no whole numbers"), "{message}");
    }
}
