//! Classes of a network that data is measured with, where nothing in the data says what its numbers mean.

use convnext_core::ClassNames;

use crate::segmentation::class_table::{ClassTable, TableClass};
use crate::segmentation::table_numbers::BLACK_AND_WHITE;

/// The classes that a network learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LearnedClasses {
    /// Their names.
    pub names: ClassNames,
    /// The numbers that each had in the masks of the training; empty where these are positions, or not known.
    pub numbers: Vec<Vec<u16>>,
}

impl LearnedClasses {
    /// The table of the classes for masks with these numbers, classes of which begin at `first`, and in words what tells
    /// them: the numbers that were learned, else those in the names of classes without a name, else their order.
    pub(crate) fn table(&self, ids: &[u16], first: u16) -> (ClassTable, String) {
        let [black, white] = BLACK_AND_WHITE;
        if self.are_black_and_white(ids) {
            let words = format!("in its order for {black} and {white}, as the masks hold no others");
            return (self.numbered(BLACK_AND_WHITE.map(|id| vec![id])), words);
        }
        // Where 0 is ignored, numbers with 0 are those of masks that begin elsewhere.
        let is_learned = !self.numbers.is_empty() && (first == 0 || !self.has_number(0));
        if is_learned {
            let words = "by the numbers of the masks that it learned from".to_owned();
            return (self.numbered(self.numbers.iter().cloned()), words);
        }
        let words = match self.names.0.iter().any(|name| told(name).is_some()) {
            true => "by the numbers in their names".to_owned(),
            false => format!("numbered from {first} in its order"),
        };
        let number = |(at, name): (u16, &String)| vec![told(name).unwrap_or(at + first)];
        (self.numbered((0..).zip(&self.names.0).map(number)), words)
    }

    /// `true` for masks of 0 and 255 and two classes, where nothing says which number is which.
    fn are_black_and_white(&self, ids: &[u16]) -> bool {
        let [_, white] = BLACK_AND_WHITE;
        self.names.len() == BLACK_AND_WHITE.len()
            && ids.contains(&white)
            && ids.iter().all(|id| BLACK_AND_WHITE.contains(id))
            && !self.has_number(white)
            && !self.names.0.iter().any(|name| told(name).is_some())
    }

    /// `true` if the masks of the training had this number for a class.
    fn has_number(&self, number: u16) -> bool {
        self.numbers.iter().any(|numbers| numbers.contains(&number))
    }

    fn numbered(&self, numbers: impl IntoIterator<Item = Vec<u16>>) -> ClassTable {
        let class = |(name, ids): (&String, Vec<u16>)| TableClass {
            name: name.clone(),
            ids,
            ..TableClass::default()
        };
        let classes = self.names.0.iter().zip(numbers).map(class).collect();
        ClassTable { classes, ..ClassTable::default() }
    }
}

/// The number that the name of a class without a name tells.
fn told(name: &str) -> Option<u16> {
    name.strip_prefix("class_").and_then(|number| number.parse().ok())
}
