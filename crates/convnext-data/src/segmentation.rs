//! Data for semantic segmentation: masks, what their values mean, and which image each belongs to.

pub(crate) mod class_file;
pub(crate) mod class_table;
pub(crate) mod coco;
pub(crate) mod data;
pub(crate) mod decide;
pub(crate) mod decode;
pub(crate) mod error;
pub(crate) mod found;
pub(crate) mod image_size;
pub(crate) mod known;
pub(crate) mod learned_classes;
pub(crate) mod lists;
pub(crate) mod mask;
pub(crate) mod masks;
pub(crate) mod open;
pub(crate) mod pairs;
pub(crate) mod palette_check;
pub(crate) mod palettes;
pub(crate) mod place;
pub(crate) mod refusal;
pub(crate) mod rule;
pub(crate) mod seen;
pub(crate) mod set;
pub(crate) mod survey;
pub(crate) mod table_numbers;
pub(crate) mod value;
