//! Colours of the indices that masks with palettes have.

use std::collections::BTreeMap;

/// The colour of each index of a palette that pixels use.
pub(crate) type IndexColours = Vec<(u16, [u8; 3])>;

/// The colours of indices, of many masks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Palettes {
    /// The colour of each index, and the position of the first mask that has it.
    pub(crate) colours: BTreeMap<u16, ([u8; 3], usize)>,
    /// The first index that has another colour in another mask.
    pub(crate) differing: Option<DifferingIndex>,
}

/// An index with two colours, and the positions of masks that have them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DifferingIndex {
    pub(crate) index: u16,
    pub(crate) colours: [[u8; 3]; 2],
    pub(crate) masks: [usize; 2],
}

impl Palettes {
    /// Adds the colours of the mask at a position.
    pub(crate) fn add(&mut self, mask: usize, colours: &IndexColours) {
        for &(index, colour) in colours {
            let &mut (known, first) = self.colours.entry(index).or_insert((colour, mask));
            if known != colour && self.differing.is_none() {
                self.differing =
                    Some(DifferingIndex { index, colours: [known, colour], masks: [first, mask] });
            }
        }
    }
}
