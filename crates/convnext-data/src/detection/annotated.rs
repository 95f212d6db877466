//! Images with their objects as files have them, of any layout.

use convnext_core::{BoundingBox, ImageSize};

use crate::datasets::parts::Split;
use crate::instances::coco_region::Region;

/// An image that a file of annotations lists.
#[derive(Debug, Default)]
pub(crate) struct AnnotatedFile {
    /// Position of the image among all files.
    pub(crate) file: usize,
    /// Its number in the file of annotations.
    pub(crate) id: i64,
    /// Its size as that says; `None` where it does not.
    pub(crate) stated: Option<ImageSize>,
    /// Position of the file of annotations.
    pub(crate) source: usize,
    /// The part that it belongs to.
    pub(crate) split: Option<Split>,
    /// `true` if coordinates are fractions of the sides of the image.
    pub(crate) is_relative: bool,
    pub(crate) objects: Vec<AnnotatedObject>,
}

/// An object as a file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnnotatedObject {
    /// Number in messages: the annotation's id, or its line.
    pub(crate) id: i64,
    /// Index into the classes.
    pub(crate) class: usize,
    pub(crate) bounds: Option<BoundingBox>,
    pub(crate) region: Region,
    pub(crate) area: Option<f64>,
    /// A region of many objects.
    pub(crate) is_crowd: bool,
    /// An object that is neither learned nor counted as wrong, whatever is said of crowds.
    pub(crate) is_ignored: bool,
}

/// A file of annotations, or all small ones of a layout with one for each image.
#[derive(Debug, Default)]
pub(crate) struct AnnotationSource {
    /// Name in messages.
    pub(crate) name: String,
    /// The number of each class in it; `None` for a class that it does not have.
    pub(crate) category_ids: Vec<Option<i64>>,
}
