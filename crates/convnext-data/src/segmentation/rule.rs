//! From the values of a mask to labels.

use std::collections::HashMap;

use crate::pixels::label_map::LabelMap;
use crate::segmentation::mask::{Mask, MaskPixels, colour};
use crate::segmentation::value::MaskValue;

/// The label of every value: an index of a class, or [`LabelMap::IGNORED`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelRule {
    labels: HashMap<MaskValue, u16>,
    /// The same for numbers, which are most.
    by_id: Vec<u16>,
    /// A palette means its colours and not its indices.
    pub(crate) by_colour: bool,
    /// Colours of equal channels mean numbers.
    pub(crate) greys: bool,
}

impl LabelRule {
    /// The label of numbers without one.
    const UNKNOWN: u16 = LabelMap::IGNORED - 1;

    /// A rule with a label for each value, `None` for what is ignored.
    pub(crate) fn new(
        labels: impl IntoIterator<Item = (MaskValue, Option<u16>)>,
        by_colour: bool,
        greys: bool,
    ) -> Self {
        let labels = labels.into_iter().map(|(value, label)| (value, label.unwrap_or(LabelMap::IGNORED)));
        let labels: HashMap<MaskValue, u16> = labels.collect();
        let ids = labels.iter().filter_map(|(value, &label)| match value {
            MaskValue::Id(id) => Some((usize::from(*id), label)),
            MaskValue::Colour(_) => None,
        });
        let mut by_id = Vec::new();
        for (id, label) in ids {
            if by_id.len() <= id {
                by_id.resize(id + 1, Self::UNKNOWN);
            }
            by_id[id] = label;
        }
        Self { labels, by_id, by_colour, greys }
    }

    /// The label of a value; `None` for one that is not known.
    pub(crate) fn label(&self, value: MaskValue) -> Option<u16> {
        let value = if self.greys { value.grey().map_or(value, MaskValue::Id) } else { value };
        self.labels.get(&value).copied()
    }

    /// The same rule with other labels in the places of these.
    pub(crate) fn relabelled(&self, new: &[u16]) -> Self {
        let changed = |label: u16| new.get(usize::from(label)).copied().unwrap_or(label);
        let labels = self.labels.iter().map(|(&value, &label)| {
            (value, Some(changed(label)).filter(|&label| label != LabelMap::IGNORED))
        });
        Self::new(labels, self.by_colour, self.greys)
    }

    /// The labels of a mask.
    ///
    /// # Errors
    /// The first value that has no label.
    pub(crate) fn label_map(&self, mask: &Mask) -> Result<LabelMap, MaskValue> {
        let of_id = |&id: &u16| match self.by_id.get(usize::from(id)) {
            Some(&label) if label != Self::UNKNOWN => Ok(label),
            _ => Err(MaskValue::Id(id)),
        };
        let labels: Result<Vec<u16>, MaskValue> = match &mask.pixels {
            MaskPixels::Ids(ids, _) => ids.iter().map(of_id).collect(),
            MaskPixels::Palette(ids, palette) if self.by_colour => {
                let of_index = |index| self.label(MaskValue::Colour(colour(palette, index)));
                let table: Vec<Option<u16>> = (0..=u16::from(u8::MAX)).map(of_index).collect();
                let label = |&index: &u16| {
                    let label = table.get(usize::from(index)).copied().flatten();
                    label.ok_or_else(|| MaskValue::Colour(colour(palette, index)))
                };
                ids.iter().map(label).collect()
            }
            MaskPixels::Palette(ids, _) => ids.iter().map(of_id).collect(),
            MaskPixels::Colours(colours) => self.of_colours(colours),
        };
        Ok(LabelMap { width: mask.size.width, height: mask.size.height, labels: labels? })
    }

    /// Run by run, because a look into the table takes longer than a comparison.
    fn of_colours(&self, colours: &[[u8; 3]]) -> Result<Vec<u16>, MaskValue> {
        let mut labels = Vec::with_capacity(colours.len());
        for run in colours.chunk_by(|left, right| left == right) {
            let value = MaskValue::Colour(run[0]);
            let label = self.label(value).ok_or(value)?;
            labels.resize(labels.len() + run.len(), label);
        }
        Ok(labels)
    }
}
