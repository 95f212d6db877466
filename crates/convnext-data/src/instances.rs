//! Objects in images, one by one: boxes, and masks as polygons or run lengths.

pub(crate) mod coco_files;
pub(crate) mod coco_json;
pub(crate) mod coco_region;
pub(crate) mod instance;
pub(crate) mod polygon;
pub(crate) mod run_length_text;
pub(crate) mod run_lengths;
