//! Looks at whole data sets: before a training, for its range of values, and for people.

pub(crate) mod header_check;
pub(crate) mod range;
pub(crate) mod survey;
