//! One object of an image.

use convnext_core::{BoundingBox, ImageSize};

use crate::instances::run_lengths::RunLengths;

/// An object of a class in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Index into the classes.
    pub class: usize,
    /// Its box in pixels of the image.
    pub bounds: BoundingBox,
    /// Its pixels; `None` for objects that have a box alone.
    pub mask: Option<InstanceMask>,
    /// Area in pixels by which evaluation calls it small, medium or large: the annotation's own, else that of the mask, else
    /// that of the box.
    pub area: f64,
    /// `true` for a region of many objects (COCO's `iscrowd`) and what else is to be ignored: it is not learned, and
    /// evaluation counts nothing that is found there as wrong.
    pub is_crowd: bool,
}

/// The pixels of an object, as they are annotated.
#[derive(Debug, Clone, PartialEq)]
pub enum InstanceMask {
    /// The union of rings `x, y, x, y, ...`, each of at least three corners.
    Rings(Vec<Vec<f64>>),
    /// Run lengths.
    RunLengths(RunLengths),
}

impl InstanceMask {
    /// The pixels in an image of this size.
    pub fn run_lengths(&self, size: ImageSize) -> RunLengths {
        match self {
            Self::Rings(rings) => RunLengths::of_rings(rings, size),
            Self::RunLengths(found) => found.clone(),
        }
    }
}
