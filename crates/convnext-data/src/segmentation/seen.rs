//! Values that the masks of a data set have.

use std::collections::BTreeMap;

use convnext_core::ImageSize;

use crate::segmentation::mask::{Mask, MaskPixels};
use crate::segmentation::palettes::{IndexColours, Palettes};
use crate::segmentation::value::MaskValue;

/// Most values of one mask that are counted apart; photographs taken for masks have more.
const MAX_VALUES: usize = 4096;

/// The pixels of one mask, counted by their values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MaskCounts {
    pub(crate) size: ImageSize,
    /// Kind of the file's pixels.
    pub(crate) kind: &'static str,
    /// Number of pixels of each value, the values sorted; the most frequent ones of very many.
    pub(crate) values: Vec<(MaskValue, u64)>,
    /// Pixels of values beyond these.
    pub(crate) others: u64,
    /// The colours of the values, where these are indices of a palette.
    pub(crate) palette: IndexColours,
    /// The image is turned by EXIF to the size that it has, and the mask says nothing of a turn.
    pub(crate) turned_alone: bool,
}

impl MaskCounts {
    pub(crate) fn of(mask: &Mask, by_colour: bool) -> Self {
        let kind = match &mask.pixels {
            MaskPixels::Ids(_, 0) => "annotations",
            MaskPixels::Ids(_, 16) => "greyscale of 16 bit",
            MaskPixels::Ids(_, 1) => "greyscale of 1 bit",
            MaskPixels::Ids(..) => "greyscale",
            MaskPixels::Palette(..) => "palette",
            MaskPixels::Colours(_) => "colours",
        };
        let mut values: Vec<(MaskValue, u64)> = mask.counts(by_colour).into_iter().collect();
        let mut others = 0;
        if values.len() > MAX_VALUES {
            values.sort_by_key(|&(value, pixels)| (std::cmp::Reverse(pixels), value));
            others = values.drain(MAX_VALUES..).map(|(_, pixels)| pixels).sum();
            values.sort_unstable();
        }
        let palette = match &mask.pixels {
            MaskPixels::Palette(_, colours) => used(colours, &values),
            _ => IndexColours::new(),
        };
        Self { size: mask.size, kind, values, others, palette, turned_alone: false }
    }
}

/// The colours of the indices that are among these values; none of indices beyond the palette.
fn used(colours: &[[u8; 3]], values: &[(MaskValue, u64)]) -> IndexColours {
    let colour = |&(value, _): &(MaskValue, u64)| match value {
        MaskValue::Id(index) => Some((index, *colours.get(usize::from(index))?)),
        MaskValue::Colour(_) => None,
    };
    values.iter().filter_map(colour).collect()
}

/// Pixels and masks of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pixels: u64,
    pub(crate) masks: usize,
    /// Position of the first mask.
    pub(crate) first: usize,
}

/// The values of many masks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SeenValues {
    pub(crate) values: BTreeMap<MaskValue, Seen>,
    pub(crate) pixels: u64,
    /// Pixels of values that were not counted apart.
    pub(crate) others: u64,
    /// The colours of the values that are indices of palettes.
    pub(crate) palettes: Palettes,
}

impl SeenValues {
    pub(crate) fn of<'a>(masks: impl Iterator<Item = (usize, &'a MaskCounts)>) -> Self {
        let mut all = Self::default();
        for (position, mask) in masks {
            all.others += mask.others;
            all.pixels += mask.others;
            all.palettes.add(position, &mask.palette);
            for &(value, pixels) in &mask.values {
                let seen = all.values.entry(value).or_insert(Seen { pixels: 0, masks: 0, first: position });
                seen.pixels += pixels;
                seen.masks += 1;
                all.pixels += pixels;
            }
        }
        all
    }

    /// The same with numbers in the place of colours whose channels are equal; `None` where one is a real colour.
    pub(crate) fn as_greys(&self) -> Option<Self> {
        let mut greys = Self { values: BTreeMap::new(), ..self.clone() };
        for (value, &seen) in &self.values {
            let grey = MaskValue::Id(value.grey()?);
            greys
                .values
                .entry(grey)
                .and_modify(|known| {
                    known.pixels += seen.pixels;
                    known.masks += seen.masks;
                    known.first = known.first.min(seen.first);
                })
                .or_insert(seen);
        }
        (self.others == 0).then_some(greys)
    }

    /// The numbers, sorted.
    pub(crate) fn ids(&self) -> Vec<u16> {
        let id = |value: &MaskValue| if let MaskValue::Id(id) = value { Some(*id) } else { None };
        self.values.keys().filter_map(id).collect()
    }

    /// Pixels of a value in per cent.
    pub(crate) fn percent(&self, value: MaskValue) -> f64 {
        let pixels = self.values.get(&value).map_or(0, |seen| seen.pixels);
        100.0 * pixels as f64 / self.pixels.max(1) as f64
    }

    /// `true` if there is 0 as well as 255, and most pixels are one of them.
    pub(crate) fn is_smoothed(&self) -> bool {
        const MOST: f64 = 80.0;
        let shares = [0, 255].map(|id| self.percent(MaskValue::Id(id)));
        shares.iter().all(|&share| share > 0.0) && shares.iter().sum::<f64>() > MOST
    }
}
