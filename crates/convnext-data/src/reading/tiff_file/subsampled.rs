//! YCbCr colours of which several pixels share the differences, outside JPEG data: a unit has the brightness of all its
//! pixels, row by row, and then both differences once.

use convnext_core::COLOURS;
use tiff::tags::Tag;

use super::{
    compression::JPEG,
    copy::file,
    directory::Directory,
    shape::Shape,
    stored::{check_memory, read_part},
};
use crate::error::DataError;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::Values;

/// Pixels that share their differences: across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    across: usize,
    down: usize,
}

impl Unit {
    /// The units of a file of such colours, `None` where each pixel has its own.
    pub(super) fn of(
        directory: &Directory<'_>,
        shape: &Shape,
        name: &str,
    ) -> Result<Option<Self>, DataError> {
        // Of JPEG data the decoder makes whole colours.
        if directory.number(Tag::Compression) == Some(JPEG) {
            return Ok(None);
        }
        let sides = directory.numbers(Tag::ChromaSubsampling).unwrap_or_else(|| vec![2, 2]);
        let &[across @ (1 | 2 | 4), down @ (1 | 2 | 4)] = &sides[..] else {
            return Err(DataError::decode(name, format!("its chroma is subsampled by {sides:?} pixels")));
        };
        let chunky = directory.number(Tag::PlanarConfiguration).unwrap_or(1) == 1;
        match (across, down) {
            (1, 1) => Ok(None),
            _ if chunky && shape.samples == COLOURS && shape.kind == SampleType::EIGHT_BIT => {
                Ok(Some(Self { across: across as usize, down: down as usize }))
            }
            _ => Err(DataError::unsupported(
                name,
                "a TIFF file of subsampled chroma in planes or of an unusual depth",
            )),
        }
    }

    /// Bytes of a unit.
    fn bytes(self) -> usize {
        self.across * self.down + 2
    }

    /// Reads brightness and differences of every pixel.
    pub(super) fn read(
        self,
        directory: &Directory<'_>,
        shape: &Shape,
        name: &str,
    ) -> Result<Values, DataError> {
        check_memory(shape, name)?;
        // To the decoder a row of units is a row of single bytes.
        let rows = Shape {
            width: shape.width.div_ceil(self.across) * self.bytes(),
            height: shape.height.div_ceil(self.down),
            samples: 1,
            kind: SampleType::EIGHT_BIT,
        };
        let mut replaced = vec![(Tag::ImageWidth, rows.width as u64), (Tag::ImageLength, rows.height as u64)];
        let wide = |side: u64| side / self.across as u64 * self.bytes() as u64;
        let high = |side: u64| side.div_ceil(self.down as u64);
        replaced.extend(directory.number(Tag::RowsPerStrip).map(|side| (Tag::RowsPerStrip, high(side))));
        replaced.extend(directory.number(Tag::TileWidth).map(|side| (Tag::TileWidth, wide(side))));
        replaced.extend(directory.number(Tag::TileLength).map(|side| (Tag::TileLength, high(side))));
        let (values, _) = read_part(&file(directory, &rows, None, &replaced, name)?, &rows, name)?;
        let Values::Eight(units) = values else { return Ok(values) };
        let pixel = |x: usize, y: usize| {
            let unit = (y / self.down * shape.width.div_ceil(self.across) + x / self.across) * self.bytes();
            let own = y % self.down * self.across + x % self.across;
            let differences = self.across * self.down;
            [own, differences, differences + 1].map(|place| units[unit + place])
        };
        let places = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (x, y)));
        Ok(Values::Eight(places.flat_map(|(x, y)| pixel(x, y)).collect()))
    }
}
