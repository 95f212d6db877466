//! Check that indices of palettes mean the same in all masks.

use crate::segmentation::class_table::ClassTable;
use crate::segmentation::palettes::Palettes;
use crate::segmentation::refusal::{self, Refusal};

/// Refuses palettes whose indices are no numbers of classes, as programs leave them that make a palette for each file: an
/// index has two colours, or one that belongs to another number in the table of classes.
///
/// # Errors
/// [`Refusal`] with the index and its colours.
pub(crate) fn check_palettes(
    palettes: &Palettes,
    table: Option<&(ClassTable, String)>,
) -> Result<(), Refusal> {
    if let Some(differing) = &palettes.differing {
        return Err(refusal::differing_palettes(differing));
    }
    let Some((table, source)) = table.filter(|(table, _)| table.has_ids() && table.has_colours()) else {
        return Ok(());
    };
    for (&index, &(colour, mask)) in &palettes.colours {
        let Some(class) = table.classes.iter().find(|class| class.ids.contains(&index)) else { continue };
        let other = table.classes.iter().find(|other| other.colours.contains(&colour));
        // Colours that the table does not know are for the eye alone.
        if let Some(other) = other.filter(|_| !class.colours.contains(&colour)) {
            let names = [class.name.as_str(), other.name.as_str()];
            return Err(refusal::contradicted_table(source, (index, colour), names, mask));
        }
    }
    Ok(())
}
