//! Images with the same pixels.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::parts::{Parts, SurveyedImage};
use crate::checks::range::Counted;
use crate::pixels::image::Image;

/// Images with the same size and the same pixels, two or more.
///
/// Across training and validation they make a measured accuracy better than it is; across classes at most one
/// label is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// The images, in the order of the data.
    pub images: Vec<SurveyedImage>,
    /// `true` if they lie in different parts.
    pub crosses_parts: bool,
    /// `true` if they have different classes.
    pub crosses_classes: bool,
}

/// A hash of width, pixels and what of a deep image these are made of.
pub(super) type Fingerprint = [u8; 16];

pub(super) fn fingerprint(image: &Image, counted: &Counted) -> Fingerprint {
    let mut hash = Xxh3::new();
    if image.is_deep() {
        let limits = counted.limits().into_iter().flatten();
        limits.for_each(|limit| hash.update(&limit.to_le_bytes()));
    }
    // Pixels alone are the same for 2x3 and 3x2 of one colour; with the width they tell the height.
    hash.update(&(image.width() as u64).to_le_bytes());
    hash.update(image.levels().as_bytes());
    hash.digest128().to_le_bytes()
}

/// The groups of equal fingerprints: those across parts first, then those across classes, and in the order of
/// their first images.
pub(super) fn groups(mut fingerprints: Vec<(Fingerprint, u32)>, parts: &Parts) -> Vec<DuplicateGroup> {
    fingerprints.sort_unstable();
    let same = |left: &(Fingerprint, u32), right: &(Fingerprint, u32)| left.0 == right.0;
    let mut groups: Vec<_> = fingerprints.chunk_by(same).filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by_key(|group| group[0].1);
    let mut groups: Vec<DuplicateGroup> = groups.into_iter().map(|group| describe(group, parts)).collect();
    groups.sort_by_key(|group| (!group.crosses_parts, !group.crosses_classes));
    groups
}

fn describe(group: &[(Fingerprint, u32)], parts: &Parts) -> DuplicateGroup {
    let images: Vec<_> = group.iter().map(|&(_, image)| parts.describe(image as usize)).collect();
    let crosses_parts = images.iter().any(|image| image.part != images[0].part);
    let mut classes = images.iter().filter_map(|image| image.class);
    let first = classes.next();
    let crosses_classes = classes.any(|class| Some(class) != first);
    DuplicateGroup { images, crosses_parts, crosses_classes }
}
