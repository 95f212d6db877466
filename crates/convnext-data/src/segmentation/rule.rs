//! From the values of a mask to labels.

use std::collections::HashMap;

use crate::pixels::label_map::LabelMap;
use crate::segmentation::mask::{Mask, MaskPixels, colour};
use crate::segmentation::value::MaskValue;

/// The label of every value: an index of a class, or [`LabelMap::IGNORED`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelRule {
    labels: HashMap<MaskValue, u16>,
    /// A palette means its colours and not its indices.
    pub(crate) by_colour: bool,
    /// Colours of equal channels mean numbers.
    pub(crate) greys: bool,
}

impl LabelRule {
    /// A rule with a label for each value, `None` for what is ignored.
    pub(crate) fn new(
        labels: impl IntoIterator<Item = (MaskValue, Option<u16>)>,
        by_colour: bool,
        greys: bool,
    ) -> Self {
        let labels = labels.into_iter().map(|(value, label)| (value, label.unwrap_or(LabelMap::IGNORED)));
        let labels: HashMap<MaskValue, u16> = labels.collect();
        Self { labels, by_colour, greys }
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

    /// The labels of a mask, in the place of its numbers.
    ///
    /// # Errors
    /// The first value that has no label.
    pub(crate) fn label_map(&self, mask: Mask) -> Result<LabelMap, MaskValue> {
        let labels = match mask.pixels {
            MaskPixels::Palette(indices, palette) if self.by_colour => {
                self.of_indices(indices, |index| MaskValue::Colour(colour(&palette, index)))?
            }
            MaskPixels::Ids(ids, _) | MaskPixels::Palette(ids, _) => self.of_indices(ids, MaskValue::Id)?,
            MaskPixels::Colours(colours) => self.of_colours(&colours)?,
        };
        Ok(LabelMap { width: mask.size.width, height: mask.size.height, labels })
    }

    /// The labels of numbers that stand for values.
    fn of_indices(
        &self,
        mut indices: Vec<u16>,
        value: impl Fn(u16) -> MaskValue,
    ) -> Result<Vec<u16>, MaskValue> {
        let mut known: Vec<Option<u16>> = Vec::new();
        for place in &mut indices {
            let index = usize::from(*place);
            if known.len() <= index {
                known.resize(index + 1, None);
            }
            *place = match known[index] {
                Some(label) => label,
                None => {
                    let label = self.label(value(*place)).ok_or(value(*place))?;
                    known[index] = Some(label);
                    label
                }
            };
        }
        Ok(indices)
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
