//! From an image to the values that a model sees, in training and in evaluation.

pub(crate) mod augment;
pub(crate) mod crop;
#[cfg(test)]
pub(crate) mod distributions;
pub(crate) mod evaluation;
pub(crate) mod transform;
