//! YOLO's labels: a text file for each image, with a row `class x y width height` or `class x y x y ...` for each object, in
//! fractions of the sides (facts, "Others").

pub(crate) mod data_file;
pub(crate) mod gather;
pub(crate) mod places;
pub(crate) mod rows;
