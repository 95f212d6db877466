//! What is unusual in annotations, and what is done about it (facts, "COCO JSON").

use std::collections::BTreeMap;

use serde::Serialize;

/// Something that was mended or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quirk {
    /// An annotation of an image that the file does not list.
    Elsewhere,
    /// An annotation of no category that the file lists.
    Nameless,
    /// An id that several annotations have.
    RepeatedId,
    /// A ring of fewer than three corners, or with half a corner.
    ShortRing,
    /// An annotation whose region has nothing left, and whose box is used.
    NoRegion,
    /// An annotation with neither box nor region.
    Empty,
    /// A box that was made from the region.
    NoBox,
    /// A box that lies elsewhere than its region.
    OffBox,
    /// A box that reaches beyond its image.
    Clipped,
    /// A box without area inside of its image.
    Outside,
    /// An annotation with `ignore`.
    Ignored,
    /// An object that a file of an image has twice.
    Repeated,
    /// A shape that is no region, such as a point or a line.
    NoShape,
    /// A region of many objects that is taken as one.
    Crowd,
    /// An object that VOC calls difficult.
    Difficult,
}

impl Quirk {
    /// The sentence about one and about several, without their number.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Elsewhere => [
                "annotation of an image that is not listed is left out",
                "annotations of images that are not listed are left out",
            ],
            Self::Nameless => {
                ["annotation of no category is left out", "annotations of no category are left out"]
            }
            Self::RepeatedId => [
                "annotation has the id of another; ids are not used",
                "annotations have the ids of others; ids are not used",
            ],
            Self::ShortRing => [
                "ring of fewer than three corners is left out",
                "rings of fewer than three corners are left out",
            ],
            Self::NoRegion => {
                ["object has no region and keeps its box", "objects have no region and keep their boxes"]
            }
            Self::Empty => [
                "annotation with neither box nor region is left out",
                "annotations with neither box nor region are left out",
            ],
            Self::NoBox => {
                ["object gets its box from its region", "objects get their boxes from their regions"]
            }
            Self::OffBox => [
                "box is not around its region and is made from it",
                "boxes are not around their regions and are made from them",
            ],
            Self::Clipped => [
                "box reaches beyond its image and is cut off there",
                "boxes reach beyond their images and are cut off there",
            ],
            Self::Outside => [
                "box without area inside of its image is left out",
                "boxes without area inside of their images are left out",
            ],
            Self::Ignored => [
                "annotation to be ignored is treated as a crowd",
                "annotations to be ignored are treated as crowds",
            ],
            Self::Repeated => {
                ["object occurs twice and is taken once", "objects occur twice and are taken once"]
            }
            Self::NoShape => [
                "shape that is no region (point, line) is left out",
                "shapes that are no regions (points, lines) are left out",
            ],
            Self::Crowd => ["crowd is taken as one object", "crowds are taken as one object each"],
            Self::Difficult => {
                ["difficult object is treated as a crowd", "difficult objects are treated as crowds"]
            }
        }
    }
}

/// Something that was found in annotations, how often, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnnotationRemark {
    /// Number of times.
    pub count: usize,
    /// The thing and what is done about it, in words.
    pub what: String,
    /// The first place.
    pub first: String,
}

impl AnnotationRemark {
    /// The whole sentence.
    pub fn sentence(&self) -> String {
        let (count, what, first) = (self.count, &self.what, &self.first);
        let place = if count == 1 { "in" } else { "first in" };
        format!("{count} {what}; {place} {first}")
    }
}

/// Number of each quirk, and the place of the first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quirks(BTreeMap<Quirk, (usize, String)>);

impl Quirks {
    /// Counts one; `place` is called for the first.
    pub(crate) fn add(&mut self, quirk: Quirk, place: impl FnOnce() -> String) {
        self.0.entry(quirk).or_insert_with(|| (0, place())).0 += 1;
    }

    /// All that was counted, in words.
    pub(crate) fn remarks(&self) -> Vec<AnnotationRemark> {
        let remark = |(quirk, (count, first)): (&Quirk, &(usize, String))| AnnotationRemark {
            count: *count,
            what: quirk.words()[usize::from(*count > 1)].to_owned(),
            first: first.clone(),
        };
        self.0.iter().map(remark).collect()
    }
}
