//! Images in memory: their pixels, their size, which way is up, and the labels of their pixels.

pub(crate) mod grey;
pub(crate) mod image;
pub(crate) mod label_map;
pub(crate) mod levels;
pub(crate) mod orientation;
pub(crate) mod outlines;
pub(crate) mod palette;
pub(crate) mod resample;
pub(crate) mod shown_pixel;
pub(crate) mod shrink;
pub(crate) mod turned;
