//! Role of a file of data for segmentation, by its path: image, mask, or neither.

use crate::datasets::relative::{parent, stem};

/// Role of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Image,
    Mask,
    /// What lies beside masks and is no label map: instances, colours for people to look at.
    Other,
}

/// A path without the folder and the suffixes that say whether it is an image or a mask: both have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) role: Role,
    /// Folders and stem.
    pub(crate) key: String,
    /// The same with the suffix of the stem cut off, where it has one that is known.
    pub(crate) bare: String,
    /// The folders alone.
    pub(crate) folders: String,
}

const MASK_WORDS: [&str; 15] = [
    "masks",
    "mask",
    "annotations",
    "annotation",
    "annot",
    "labels",
    "label",
    "gt",
    "gtfine",
    "gtcoarse",
    "groundtruth",
    "ground_truth",
    "segmentationclass",
    "segmentations",
    "segmaps",
];
const IMAGE_WORDS: [&str; 9] =
    ["images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "pictures", "photos", "inputs"];
const OTHER_WORDS: [&str; 3] = ["segmentationobject", "instances", "panoptic"];

/// Suffixes of the stems of masks; the longer ones first.
pub(crate) const MASK_SUFFIXES: [&str; 18] = [
    "_gtFine_labelTrainIds",
    "_gtFine_labelIds",
    "_gtCoarse_labelTrainIds",
    "_gtCoarse_labelIds",
    "_labelTrainIds",
    "_labelIds",
    "_segmentation",
    "_annotation",
    "_labels",
    "_label",
    "_masks",
    "_mask",
    "-mask",
    "_seg",
    "_gt",
    "_GT",
    "_L",
    ".mask",
];
const IMAGE_SUFFIXES: [&str; 6] = ["_leftImg8bit", "_image", "_img", "_sat", "_rgb", "_RGB"];
const OTHER_SUFFIXES: [&str; 4] = ["_color", "_instanceIds", "_instanceTrainIds", "_polygons"];

impl Place {
    /// The place of a path. The folder nearest to the file that has a word for a role decides.
    pub(crate) fn of(path: &str) -> Self {
        let stem = stem(path);
        let parts: Vec<&str> = parent(path).split('/').filter(|part| !part.is_empty()).collect();
        let found = parts.iter().enumerate().rev().find_map(|(at, part)| Some((at, role_of(part)?)));
        let Some((at, (mut role, rest))) = found else {
            return Self::new(Role::Image, &parts, stem);
        };
        let mut kept = parts.clone();
        if rest.is_empty() {
            kept.remove(at);
        } else {
            kept[at] = &rest;
        }
        if role == Role::Mask && OTHER_SUFFIXES.iter().any(|suffix| stem.ends_with(suffix)) {
            role = Role::Other;
        }
        Self::new(role, &kept, stem)
    }

    fn new(role: Role, folders: &[&str], stem: &str) -> Self {
        let folders = folders.join("/");
        let at = |stem: &str| format!("{folders}/{stem}");
        let suffixes: &[&str] = if role == Role::Image { &IMAGE_SUFFIXES } else { &MASK_SUFFIXES };
        Self { role, key: at(stem), bare: at(cut(stem, suffixes)), folders }
    }
}

/// A stem without a suffix that it has, where something is left.
pub(crate) fn cut<'a>(stem: &'a str, suffixes: &[&str]) -> &'a str {
    let cut = suffixes.iter().find_map(|suffix| stem.strip_suffix(suffix));
    cut.filter(|rest| !rest.is_empty()).unwrap_or(stem)
}

/// The role that a folder names, and what else its name says: `train_masks` is `train`, `trainannot` as well.
fn role_of(folder: &str) -> Option<(Role, String)> {
    let lower = folder.to_lowercase();
    for (words, role) in
        [(&OTHER_WORDS[..], Role::Other), (&MASK_WORDS[..], Role::Mask), (&IMAGE_WORDS[..], Role::Image)]
    {
        if words.contains(&lower.as_str()) {
            return Some((role, String::new()));
        }
        let beside = words.iter().find_map(|word| {
            let before = lower.strip_suffix(word).and_then(|rest| rest.strip_suffix(['_', '-', ' ']));
            before.or_else(|| lower.strip_prefix(word).and_then(|rest| rest.strip_prefix(['_', '-', ' '])))
        });
        if let Some(rest) = beside {
            return Some((role, rest.to_owned()));
        }
    }
    let before = lower.strip_suffix("annot").filter(|rest| !rest.is_empty());
    before.map(|rest| (Role::Mask, rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_masks_of_every_layout_have_the_same_place() {
        for (image, mask) in [
            ("camvid/images/train/1.jpg", "camvid/annotations/train/1.png"),
            ("train/images/a.jpg", "train/masks/a_mask.png"),
            ("train/a.png", "train_labels/a_L.png"),
            ("train/a.png", "trainannot/a.png"),
            ("VOC2012/JPEGImages/2.jpg", "VOC2012/SegmentationClass/2.png"),
            ("leftImg8bit/val/lindau/x_0_leftImg8bit.png", "gtFine/val/lindau/x_0_gtFine_labelTrainIds.png"),
            ("images/a_sat.jpg", "labels/a_mask.png"),
            ("segmentation/images/a.jpg", "segmentation/masks/a.png"),
        ] {
            let [image, mask] = [image, mask].map(Place::of);
            assert_eq!((image.role, mask.role), (Role::Image, Role::Mask));
            assert!([&image.key, &image.bare].iter().any(|key| **key == mask.bare || **key == mask.key));
        }
        for other in ["VOC2012/SegmentationObject/2.png", "gtFine/val/x_gtFine_color.png"] {
            assert_eq!(Place::of(other).role, Role::Other);
        }
    }
}
