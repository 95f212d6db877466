//! Data for detection: images with objects, their boxes and masks.

pub(crate) mod annotated;
pub(crate) mod bounds;
pub(crate) mod checked;
pub(crate) mod coco;
pub(crate) mod convert;
pub(crate) mod data;
pub(crate) mod doubts;
pub(crate) mod error;
pub(crate) mod fingerprint;
pub(crate) mod for_classes;
pub(crate) mod found;
pub(crate) mod gathered;
pub(crate) mod labelme;
pub(crate) mod mend;
pub(crate) mod open;
pub(crate) mod quirks;
pub(crate) mod set;
pub(crate) mod sizes;
pub(crate) mod survey;
pub(crate) mod tiles;
pub(crate) mod voc;
pub(crate) mod write_coco;
pub(crate) mod write_yolo;
pub(crate) mod yolo;
