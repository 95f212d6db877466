//! Outputs of the part behind a backbone.

use crate::messages::{Dimension, FLOAT, INT64, ValueInfo};

/// An output of a part: its name, shape and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartOutput {
    name: String,
    /// The name of the first axis, whose length is known when the network has run; the batch where there is none.
    first: Option<&'static str>,
    sides: Vec<usize>,
    element_type: i32,
}

impl PartOutput {
    /// Numbers in `f32` for each image, `[batch, sides...]`.
    pub fn of_images(name: &str, sides: &[usize]) -> Self {
        Self { name: name.to_owned(), first: None, sides: sides.to_vec(), element_type: FLOAT }
    }

    /// Numbers in `f32` for each of the things that were found, `[n, sides...]`; the first axis gets the name `things`.
    pub fn of_found(name: &str, things: &'static str, sides: &[usize]) -> Self {
        Self { first: Some(things), ..Self::of_images(name, sides) }
    }

    /// The same as whole numbers, `i64`.
    #[must_use]
    pub fn whole_numbers(self) -> Self {
        Self { element_type: INT64, ..self }
    }

    /// The output as the file states it.
    pub(crate) fn value(&self, batch: &Dimension) -> ValueInfo {
        let first = self.first.map_or_else(|| batch.clone(), Dimension::named);
        let sides = self.sides.iter().copied().map(Dimension::fixed);
        ValueInfo::tensor(&self.name, self.element_type, [first].into_iter().chain(sides).collect())
    }
}
