//! Numbers of the classes of a table that has none.

use crate::segmentation::class_table::ClassTable;
use crate::segmentation::value::MaskValue;

/// Numbers of masks that are black and white.
pub(crate) const BLACK_AND_WHITE: [u16; 2] = [0, 255];

/// The table with numbers that fit those of the masks, and in words which they are: positions in the table from `first`
/// on, or where the masks have others the grey levels of its colours, or black and white.
pub(crate) fn with_numbers(table: &ClassTable, ids: &[u16], first: u16) -> (ClassTable, String) {
    let by_position = table.clone().numbered(first);
    let fits = |table: &ClassTable| {
        let labels = table.labels();
        ids.iter().all(|&id| labels.contains_key(&MaskValue::Id(id)))
    };
    if first == 0 && !fits(&by_position) {
        if let Some(by_level) = by_level(table).filter(fits) {
            return (by_level, "by the grey levels of their colours".into());
        }
        let [black, white] = BLACK_AND_WHITE;
        let are_black_and_white = ids.contains(&white) && ids.iter().all(|id| BLACK_AND_WHITE.contains(id));
        if are_black_and_white && table.classes.len() == 2 && table.ignored.is_empty() {
            let mut numbered = table.clone();
            for (class, id) in numbered.classes.iter_mut().zip(BLACK_AND_WHITE) {
                class.ids = vec![id];
            }
            return (numbered, format!("in its order for {black} and {white}, as the masks hold no others"));
        }
    }
    let first = by_position.classes.iter().flat_map(|class| &class.ids).min().copied().unwrap_or(first);
    (by_position, format!("in its order from {first} on"))
}

/// The table with the levels of its colours as numbers, where each class has a colour and all are grey.
fn by_level(table: &ClassTable) -> Option<ClassTable> {
    let mut levels = table.clone();
    for class in &mut levels.classes {
        let colours = class.colours.iter().map(|&colour| MaskValue::Colour(colour).grey());
        class.ids = colours.collect::<Option<_>>()?;
    }
    levels.ignored.extend(table.ignored.iter().filter_map(|value| value.grey()).map(MaskValue::Id));
    table.has_colours().then_some(levels)
}
