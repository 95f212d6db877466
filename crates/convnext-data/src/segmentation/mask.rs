//! The values of a mask file, before anything says what they mean.

use std::collections::BTreeMap;

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;

use crate::pixels::orientation::turned_size;
use crate::pixels::turned::moved;
use crate::segmentation::value::MaskValue;

/// The pixels of a mask file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mask {
    pub(crate) size: ImageSize,
    pub(crate) pixels: MaskPixels,
    /// The turn that its file names; the pixels lie as they are stored until [`Self::upright`].
    pub(crate) turn: Turn,
}

/// Pixels of a mask, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MaskPixels {
    /// Greyscale of so many bits, as it is stored: 1 bit gives 0 and 1. Of no bits where it was drawn of annotations.
    Ids(Vec<u16>, u8),
    /// Indices of colours, which are told beside them.
    Palette(Vec<u16>, Vec<[u8; 3]>),
    /// Red, green and blue.
    Colours(Vec<[u8; 3]>),
}

impl Mask {
    /// The same with its pixels in the places that the turn says.
    pub(crate) fn upright(self) -> Self {
        let Self { size, pixels, turn } = self;
        if turn == Turn::NoTransforms {
            return Self { size, pixels, turn };
        }
        let pixels = match pixels {
            MaskPixels::Ids(ids, bits) => MaskPixels::Ids(moved(&ids, 1, size, turn), bits),
            MaskPixels::Palette(indices, palette) => {
                MaskPixels::Palette(moved(&indices, 1, size, turn), palette)
            }
            MaskPixels::Colours(colours) => MaskPixels::Colours(moved(&colours, 1, size, turn)),
        };
        Self { size: turned_size(size, turn), pixels, turn }
    }

    /// The number of pixels of each value. With `by_colour` a palette counts by its colours.
    pub(crate) fn counts(&self, by_colour: bool) -> BTreeMap<MaskValue, u64> {
        let mut counts = BTreeMap::new();
        match &self.pixels {
            MaskPixels::Colours(colours) => {
                count_runs(colours, |colour| MaskValue::Colour(*colour), &mut counts);
            }
            MaskPixels::Palette(indices, palette) if by_colour => {
                count_runs(indices, |&index| MaskValue::Colour(colour(palette, index)), &mut counts);
            }
            MaskPixels::Ids(ids, _) | MaskPixels::Palette(ids, _) => {
                count_runs(ids, |&id| MaskValue::Id(id), &mut counts);
            }
        }
        counts
    }
}

/// The colour of an index; black beyond the palette, as in Pillow.
pub(crate) fn colour(palette: &[[u8; 3]], index: u16) -> [u8; 3] {
    palette.get(usize::from(index)).copied().unwrap_or_default()
}

/// Counts values run by run: labels have long ones.
fn count_runs<T: PartialEq>(
    pixels: &[T],
    value: impl Fn(&T) -> MaskValue,
    counts: &mut BTreeMap<MaskValue, u64>,
) {
    for run in pixels.chunk_by(|left, right| left == right) {
        *counts.entry(value(&run[0])).or_default() += run.len() as u64;
    }
}
