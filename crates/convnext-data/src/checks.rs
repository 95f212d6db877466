//! Checks of whole data sets: file headers before a training, the value range, and a survey.

pub(crate) mod header_check;
pub(crate) mod range;
pub(crate) mod survey;
