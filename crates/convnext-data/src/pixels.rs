//! Images in memory: their pixels, their size, and which way is up.

pub(crate) mod grey;
pub(crate) mod image;
pub(crate) mod levels;
pub(crate) mod orientation;
pub(crate) mod resample;
pub(crate) mod shrink;
