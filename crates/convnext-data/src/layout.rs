//! How folders become classes. The rules know relative paths only, so that folders and archives follow
//! the same ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    DataError,
    listing::{Listing, parent},
};

/// The folder of the training part.
pub(crate) const TRAIN: &str = "train";

/// The folders that can be the validation part; the first that exists is taken.
pub(crate) const VALIDATION: [&str; 4] = ["val", "validation", "valid", "test"];

/// The images of each class: class name to positions in the listing, both sorted.
pub(crate) type Classes = BTreeMap<String, Vec<usize>>;

/// The parts that a data set comes in.
#[derive(Debug, PartialEq)]
pub(crate) enum Parts {
    /// Folders for training and, perhaps, validation.
    Separate {
        /// The folder of the training part.
        train: Option<String>,
        /// The folder of the validation part.
        validation: Option<String>,
    },
    /// Classes without a division.
    Together {
        /// The folder that holds the classes.
        folder: String,
    },
}

/// Finds the parts of a data set.
///
/// Where a folder holds nothing but one folder, which is no part itself (`train`, `val`, ...), holds
/// folders of its own and no images directly, that one is entered, as often as this is so. Other files,
/// such as a README, do not count.
pub(crate) fn find_parts(listing: &Listing) -> Parts {
    let mut root = String::new();
    while let [only] = subfolders(listing, &root)[..] {
        let name = only.rsplit('/').next().unwrap_or(only);
        let is_part = name == TRAIN || VALIDATION.contains(&name);
        let enters = !is_part
            && !has_images_directly(listing, &root)
            && !has_images_directly(listing, only)
            && !subfolders(listing, only).is_empty();
        if !enters {
            break;
        }
        root = only.to_owned();
    }
    let existing = |name: &str| {
        let path = join(&root, name);
        listing.folders.contains(&path).then_some(path)
    };
    let train = existing(TRAIN);
    let validation = VALIDATION.into_iter().find_map(existing);
    if train.is_none() && validation.is_none() {
        Parts::Together { folder: root }
    } else {
        Parts::Separate { train, validation }
    }
}

/// The names of the folders directly below a part, sorted.
pub(crate) fn class_folders(listing: &Listing, part: &str) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    subfolders(listing, part).into_iter().map(name).collect()
}

/// `true` for a folder with images and without folders.
pub(crate) fn is_flat(listing: &Listing, folder: &str) -> bool {
    subfolders(listing, folder).is_empty() && has_images_directly(listing, folder)
}

/// The classes of a part: each folder directly below it, with all images at any depth.
pub(crate) fn classes(listing: &Listing, part: &str) -> Result<Classes, DataError> {
    let prefix = if part.is_empty() { String::new() } else { format!("{part}/") };
    let mut classes: Classes =
        class_folders(listing, part).into_iter().map(|class| (class, Vec::new())).collect();
    if classes.is_empty() {
        return Err(DataError::Layout {
            path: listing.name(part),
            found: "it has no class folders".into(),
            advice: "put the images of each class into a folder of its own".into(),
        });
    }
    let mut loose = 0;
    for (position, path) in listing.images.iter().enumerate() {
        let Some(path) = path.strip_prefix(&prefix) else { continue };
        match path.split_once('/').and_then(|(class, _)| classes.get_mut(class)) {
            Some(images) => images.push(position),
            None => loose += 1,
        }
    }
    if loose > 0 {
        log::warn!("{}: {loose} images lie beside the class folders and are left out", listing.name(part));
    }
    if let Some((class, _)) = classes.iter().find(|(_, images)| images.is_empty()) {
        return Err(DataError::EmptyClass { class: class.clone(), path: listing.name(part) });
    }
    Ok(classes)
}

fn subfolders<'a>(listing: &'a Listing, folder: &str) -> Vec<&'a str> {
    let folders: &BTreeSet<String> = &listing.folders;
    folders.iter().map(String::as_str).filter(|path| parent(path) == folder).collect()
}

fn has_images_directly(listing: &Listing, folder: &str) -> bool {
    listing.images.iter().any(|path| parent(path) == folder)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{listing::add_folders, storage::Storage};

    /// Paths that end in `/` are folders, others images.
    fn listing(paths: &[&str]) -> Listing {
        let mut folders = BTreeSet::new();
        for path in paths {
            add_folders(&mut folders, parent(path));
        }
        let mut images: Vec<&str> = paths.iter().copied().filter(|path| !path.ends_with('/')).collect();
        images.sort_unstable();
        Listing {
            root: "data".into(),
            is_archive: false,
            images: images.into_iter().collect(),
            folders,
            archives: BTreeMap::new(),
            storage: Storage::Folder("data".into()),
        }
    }

    fn separate(train: Option<&str>, validation: Option<&str>) -> Parts {
        Parts::Separate { train: train.map(Into::into), validation: validation.map(Into::into) }
    }

    fn together(folder: &str) -> Parts {
        Parts::Together { folder: folder.into() }
    }

    #[test]
    fn parts_are_found_below_single_folders() {
        for (paths, expected) in [
            (&["train/a/1.png", "val/a/1.png", "test/a/1.png"][..], separate(Some("train"), Some("val"))),
            (&["train/a/1.png", "test/a/1.png"], separate(Some("train"), Some("test"))),
            (&["train/a/1.png"], separate(Some("train"), None)),
            (&["valid/a/1.png"], separate(None, Some("valid"))),
            (&["top/train/a/1.png", "top/val/a/1.png"], separate(Some("top/train"), Some("top/val"))),
            (&["x/y/train/a/1.png", "x/y/extra/"], separate(Some("x/y/train"), None)),
            (&["a/1.png", "b/1.png"], together("")),
            (&["top/a/1.png", "top/b/1.png"], together("top")),
            // A single folder with images is a class, whatever it holds beside them.
            (&["a/1.png"], together("")),
            (&["a/1.png", "a/more/2.png"], together("")),
            (&["1.png", "top/a/1.png", "top/b/1.png"], together("")),
            // Images nested below classes.
            (&["top/a/x/1.png", "top/b/1.png"], together("top")),
        ] {
            assert_eq!(find_parts(&listing(paths)), expected, "{paths:?}");
        }
    }

    #[test]
    fn classes_hold_nested_images() {
        let listing = listing(&["b/1.png", "a/deep/er/1.png", "a/0.png", "a-b/1.png", "loose.png"]);
        let classes = classes(&listing, "").unwrap();
        assert_eq!(classes.keys().collect::<Vec<_>>(), ["a", "a-b", "b"]);
        let images: Vec<&str> = classes["a"].iter().map(|&i| listing.images.get(i)).collect();
        assert_eq!(images, ["a/0.png", "a/deep/er/1.png"]);
    }

    #[test]
    fn missing_classes_and_images_are_named() {
        let message = classes(&listing(&["train/1.png"]), "train").unwrap_err().to_string();
        assert!(message.contains("data/train has the wrong layout: it has no class folders"), "{message}");
        let message = classes(&listing(&["train/a/1.png", "train/b/"]), "train").unwrap_err().to_string();
        assert!(message.contains("class 'b' in data/train has no images"), "{message}");
    }
}
