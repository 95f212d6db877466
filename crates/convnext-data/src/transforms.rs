//! Transforms of training and evaluation: from an image to the input of a model.

pub(crate) mod augment;
pub(crate) mod bordered;
pub(crate) mod copy_paste;
pub(crate) mod crop;
pub(crate) mod detection;
pub(crate) mod distortion;
#[cfg(test)]
pub(crate) mod distributions;
pub(crate) mod drawn;
pub(crate) mod evaluation;
pub(crate) mod instance_maps;
pub(crate) mod mirror;
pub(crate) mod resized_cut;
pub(crate) mod segmentation;
pub(crate) mod step;
pub(crate) mod transform;
