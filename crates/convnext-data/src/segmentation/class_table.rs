//! Classes of masks, with the values that stand for each.

use std::collections::HashMap;

use convnext_core::ClassNames;

use crate::segmentation::value::MaskValue;

/// The classes of masks, in the order of the logits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClassTable {
    pub(crate) classes: Vec<TableClass>,
    /// Values of rows that are called like what is ignored.
    pub(crate) ignored: Vec<MaskValue>,
    /// The name of the class of each row that was added; `None` for what is ignored.
    pub(crate) rows: Vec<Option<String>>,
}

/// A class of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableClass {
    pub(crate) name: String,
    pub(crate) ids: Vec<u16>,
    pub(crate) colours: Vec<[u8; 3]>,
}

impl ClassTable {
    /// Words that name what is ignored and no class.
    pub(crate) const IGNORED: [&'static str; 6] =
        ["void", "unlabelled", "unlabeled", "ignore", "ignored", "unknown"];

    /// Adds a row. Rows of one name are one class.
    pub(crate) fn add(&mut self, row: TableClass) {
        let lower = row.name.to_lowercase();
        if Self::IGNORED.contains(&lower.as_str()) {
            self.ignored.extend(row.ids.into_iter().map(MaskValue::Id));
            self.ignored.extend(row.colours.into_iter().map(MaskValue::Colour));
            self.rows.push(None);
            return;
        }
        self.rows.push(Some(row.name.clone()));
        match self.classes.iter_mut().find(|class| class.name == row.name) {
            Some(class) => {
                class.ids.extend(row.ids);
                class.colours.extend(row.colours);
            }
            None => self.classes.push(row),
        }
    }

    /// The names of the classes.
    pub(crate) fn names(&self) -> ClassNames {
        ClassNames(self.classes.iter().map(|class| class.name.clone()).collect())
    }

    /// `true` if any row has a number.
    pub(crate) fn has_ids(&self) -> bool {
        self.classes.iter().any(|class| !class.ids.is_empty())
    }

    /// The numbers of each class; empty where each is the position of its class.
    pub(crate) fn numbers(&self) -> Vec<Vec<u16>> {
        let are_positions = (0_u16..).zip(&self.classes).all(|(at, class)| class.ids == [at]);
        match are_positions {
            true => Vec::new(),
            false => self.classes.iter().map(|class| class.ids.clone()).collect(),
        }
    }

    /// `true` if every class has a colour.
    pub(crate) fn has_colours(&self) -> bool {
        !self.classes.is_empty() && self.classes.iter().all(|class| !class.colours.is_empty())
    }

    /// The first colour of each class; empty where one has none.
    pub(crate) fn palette(&self) -> Vec<[u8; 3]> {
        let colours: Option<Vec<_>> =
            self.classes.iter().map(|class| class.colours.first().copied()).collect();
        colours.unwrap_or_default()
    }

    /// Numbers in the place of those of the classes: the positions of their rows, from `first` on. Rows of what is ignored
    /// have theirs, and one of these at the top has 0.
    pub(crate) fn numbered(mut self, first: u16) -> Self {
        let first = if self.rows.first() == Some(&None) { 0 } else { first };
        self.classes.iter_mut().for_each(|class| class.ids.clear());
        for (id, row) in (first..).zip(&self.rows) {
            match self.classes.iter_mut().find(|class| Some(&class.name) == row.as_ref()) {
                Some(class) => class.ids.push(id),
                None => self.ignored.push(MaskValue::Id(id)),
            }
        }
        self
    }

    /// The table without classes that have nothing but ignored numbers.
    pub(crate) fn without_ignored(mut self, ignored: &[u16]) -> Self {
        self.classes.retain_mut(|class| {
            let had = !class.ids.is_empty();
            class.ids.retain(|id| !ignored.contains(id));
            !(had && class.ids.is_empty())
        });
        self
    }

    /// The label of every value that is named: an index of a class, or `None` for what is ignored.
    pub(crate) fn labels(&self) -> HashMap<MaskValue, Option<u16>> {
        let mut labels: HashMap<MaskValue, Option<u16>> =
            self.ignored.iter().map(|&value| (value, None)).collect();
        for (label, class) in (0..).zip(&self.classes) {
            labels.extend(class.ids.iter().map(|&id| (MaskValue::Id(id), Some(label))));
            labels.extend(class.colours.iter().map(|&colour| (MaskValue::Colour(colour), Some(label))));
        }
        labels
    }

    /// The first colour of two classes, or of one and what is ignored, and their names.
    pub(crate) fn repeated_colour(&self) -> Option<([u8; 3], [&str; 2])> {
        let ignored = self.ignored.iter().filter_map(|value| match value {
            MaskValue::Colour(colour) => Some((*colour, Self::IGNORED[0])),
            MaskValue::Id(_) => None,
        });
        let named = self
            .classes
            .iter()
            .flat_map(|class| class.colours.iter().map(move |&colour| (colour, class.name.as_str())));
        let mut seen: HashMap<[u8; 3], &str> = HashMap::new();
        named.chain(ignored).find_map(|(colour, name)| {
            let other = seen.insert(colour, name).filter(|&other| other != name)?;
            Some((colour, [other, name]))
        })
    }

    /// The first value that two classes have.
    pub(crate) fn repeated(&self) -> Option<(MaskValue, [&str; 2])> {
        let mut seen: HashMap<MaskValue, &str> = HashMap::new();
        let pairs = self.classes.iter().flat_map(|class| {
            let ids = class.ids.iter().map(|&id| MaskValue::Id(id));
            ids.map(move |value| (value, class.name.as_str()))
        });
        // Colours may repeat where numbers tell the classes apart.
        let by_id = self.has_ids();
        let colours = self.classes.iter().filter(|_| !by_id).flat_map(|class| {
            class.colours.iter().map(move |&colour| (MaskValue::Colour(colour), class.name.as_str()))
        });
        for (value, name) in pairs.chain(colours) {
            match seen.insert(value, name) {
                Some(other) if other != name => return Some((value, [other, name])),
                _ => {}
            }
        }
        None
    }
}
