//! Class folders.

use std::collections::{BTreeMap, BTreeSet};

use convnext_core::counted;

use crate::datasets::class_name::canonical_name;
use crate::datasets::classes::Classes;
use crate::datasets::listing::Listing;
use crate::datasets::relative::last;
use crate::datasets::tree::Tree;
use crate::error::DataError;

/// Advice for a class folder without images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyFolder {
    /// It is an error: nothing would be learned about the class.
    Refuse,
    /// The class counts as one that is not there.
    LeaveOut,
}

/// The names of the folders directly below a part, sorted.
pub(crate) fn class_names(tree: &Tree<'_>, part: &str) -> Vec<String> {
    let mut names: Vec<String> = tree.folders(part).iter().map(|path| name(path)).collect();
    names.sort_unstable();
    names
}

/// The classes of a part: each folder directly below it, with all images at any depth.
pub(crate) fn classes(
    listing: &Listing,
    tree: &Tree<'_>,
    part: &str,
    empty: EmptyFolder,
) -> Result<Classes, DataError> {
    let of_folder = class_of_each_folder(listing, tree, part)?;
    let mut classes: Classes = of_folder.values().map(|class| (class.clone(), Vec::new())).collect();
    let prefix = if part.is_empty() { String::new() } else { format!("{part}/") };
    let mut loose = 0;
    for (position, path) in listing.images.iter().enumerate() {
        let Some(path) = path.strip_prefix(&prefix) else { continue };
        let class = path.split_once('/').and_then(|(folder, _)| of_folder.get(folder));
        match class.and_then(|class| classes.get_mut(class)) {
            Some(images) => images.push(position),
            None => loose += 1,
        }
    }
    if loose > 0 {
        let loose = counted(loose, "image lies", "images lie");
        log::warn!("{}: {loose} beside the class folders and left out", listing.name(part));
    }
    if empty == EmptyFolder::LeaveOut {
        let all = classes.len();
        classes.retain(|_, images| !images.is_empty());
        if classes.len() < all {
            let count = all - classes.len();
            log::warn!("{}: {count} class folder(s) without images count as missing", listing.name(part));
        }
    }
    match classes.iter().find(|(_, images)| images.is_empty()) {
        Some((class, _)) => Err(DataError::EmptyClass { class: class.clone(), path: listing.name(part) }),
        None if classes.is_empty() => Err(listing.no_images(part)),
        None => Ok(classes),
    }
}

/// The class of each folder directly below a part, by the last part of its path.
fn class_of_each_folder<'a>(
    listing: &Listing,
    tree: &Tree<'a>,
    part: &str,
) -> Result<BTreeMap<&'a str, String>, DataError> {
    let wrong = |found: String, advice: &str| DataError::Layout {
        path: listing.name(part),
        found,
        advice: advice.into(),
    };
    let mut known = BTreeSet::new();
    let mut of_folder = BTreeMap::new();
    for path in tree.folders(part) {
        let class = name(path);
        if !known.insert(class.clone()) {
            return Err(wrong(
                format!(
                    "it has two folders for the class '{class}', whose names differ in white space or Unicode form only"
                ),
                "put their images into one folder",
            ));
        }
        of_folder.insert(last(path), class);
    }
    if of_folder.is_empty() {
        return Err(DataError::NoClasses { path: listing.name(part), unused: unused_labels(listing) });
    }
    Ok(of_folder)
}

/// Layout found where class folders are missing.
pub(crate) fn no_class_folders(listing: &Listing) -> String {
    format!("it has no class folders{}", unused_labels(listing))
}

/// Remark on a label file that nobody asked for.
fn unused_labels(listing: &Listing) -> String {
    let metadata = listing.metadata.as_ref();
    metadata.map_or(String::new(), |file| format!(", and {file} is used only with --labels"))
}

fn name(path: &str) -> String {
    canonical_name(last(path))
}
