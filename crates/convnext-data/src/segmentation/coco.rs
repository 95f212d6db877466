//! COCO's annotations as label maps.

mod json;
pub(crate) mod maps;
pub(crate) mod open;
