//! COCO's annotations as label maps.

pub(crate) mod maps;
pub(crate) mod open;
