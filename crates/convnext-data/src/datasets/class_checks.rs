//! Class folders that look like parts, and parts below classes.

use std::collections::{BTreeMap, BTreeSet};

use crate::datasets::class_name::canonical_name;
use crate::datasets::listing::Listing;
use crate::datasets::parts::{HOW_TO_NAME, Named, Split};
use crate::datasets::relative::{last, quoted};
use crate::datasets::tree::Tree;
use crate::error::DataError;

/// Refuses parts that lie below classes, where they would all be taken for one. `own` is the part that the folder is
/// itself: folders that only repeat it divide nothing.
///
/// # Errors
/// [`DataError::Layout`] when most classes hold nothing but parts, or when folders that are named wholly after parts lie
/// at any depth below two classes, or those of two parts below one.
pub(crate) fn check_no_parts_below_classes(
    listing: &Listing,
    tree: &Tree<'_>,
    folder: &str,
    own: Option<Split>,
) -> Result<(), DataError> {
    match divided_classes(&inner_names(tree, folder)).or_else(|| parts_below(tree, folder, own)) {
        None => Ok(()),
        Some((names, inner)) => Err(DataError::Layout {
            path: listing.name(folder),
            found: format!("its folders {names} hold the parts {inner}, so that parts lie below classes"),
            advice: format!("put parts above classes, as train/CLASS and val/CLASS; {HOW_TO_NAME}"),
        }),
    }
}

/// Refuses classes that look like parts.
///
/// # Errors
/// [`DataError::Layout`] when most of several folders hold the same folders.
pub(crate) fn check_classes_differ(
    listing: &Listing,
    tree: &Tree<'_>,
    folder: &str,
) -> Result<(), DataError> {
    match same_inner_folders(&inner_names(tree, folder)) {
        None => Ok(()),
        Some((names, inner)) => Err(DataError::Layout {
            path: listing.name(folder),
            found: format!(
                "its folders {names} hold the same folders ({inner}), which look like the classes"
            ),
            advice: format!(
                "if they are parts, {HOW_TO_NAME}; if {names} are the classes, move their images out of the folders below \
                 them, or name the labels in a CSV file (--labels)"
            ),
        }),
    }
}

/// The folders in a folder, each with the names of those in it.
fn inner_names<'a>(tree: &Tree<'a>, folder: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let names = |top: &str| tree.full_folders(top).into_iter().map(last).collect();
    tree.full_folders(folder).into_iter().map(|top| (top, names(top))).collect()
}

/// Folders below which others are named wholly after parts, at any depth, and the names of these.
fn parts_below(tree: &Tree<'_>, folder: &str, own: Option<Split>) -> Option<(String, String)> {
    let tops = tree.full_folders(folder).into_iter().map(|top| (top, parts_in(tree, top, own)));
    let divided: Vec<(&str, Vec<&str>)> = tops.filter(|(_, inner)| !inner.is_empty()).collect();
    let several = |inner: &[&str]| {
        let splits: BTreeSet<_> = inner.iter().filter_map(|path| Named::of(last(path)).split()).collect();
        splits.len() > 1
    };
    let names: BTreeSet<&str> =
        divided.iter().flat_map(|(_, inner)| inner.iter().map(|path| last(path))).collect();
    (divided.len() > 1 || divided.iter().any(|(_, inner)| several(inner)))
        .then(|| (quoted(divided.iter().map(|(top, _)| *top)), quoted(names)))
}

/// The folders at any depth that are named wholly after parts, but for one part.
fn parts_in<'a>(tree: &Tree<'a>, folder: &str, own: Option<Split>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for inner in tree.full_folders(folder) {
        if matches!(Named::of(last(inner)), Named::Wholly(split) if Some(split) != own) {
            found.push(inner);
        }
        found.extend(parts_in(tree, inner, own));
    }
    found
}

/// Folders most of which hold nothing but parts, and these.
fn divided_classes(tops: &[(&str, Vec<&str>)]) -> Option<(String, String)> {
    let split = |name: &&str| Named::of(name).split();
    let divided: Vec<_> = (tops.iter())
        .filter(|(_, inner)| !inner.is_empty() && inner.iter().all(|name| split(name).is_some()))
        .collect();
    let first = divided.iter().flat_map(|(_, inner)| inner.iter()).find_map(split)?;
    let several = divided.iter().flat_map(|(_, inner)| inner).any(|name| split(name) != Some(first));
    (several && 2 * divided.len() > tops.len())
        .then(|| (quoted(divided.iter().map(|(top, _)| *top)), quoted(divided[0].1.iter().copied())))
}

/// Folders most of which hold the same folders, at least two, and these.
fn same_inner_folders(tops: &[(&str, Vec<&str>)]) -> Option<(String, String)> {
    let mut counts = BTreeMap::<String, usize>::new();
    for (_, inner) in tops {
        let names: BTreeSet<String> = inner.iter().map(|name| folded(name)).collect();
        names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    counts.retain(|_, count| *count > 1 && 2 * *count > tops.len());
    let holds_them = |inner: &[&str]| {
        let shared = inner.iter().filter(|name| counts.contains_key(&folded(name))).count();
        shared > 1 && 2 * shared > inner.len()
    };
    let same: Vec<&str> = tops.iter().filter(|(_, inner)| holds_them(inner)).map(|(top, _)| *top).collect();
    (same.len() > 1 && 2 * same.len() > tops.len())
        .then(|| (quoted(same), quoted(counts.keys().map(String::as_str))))
}

fn folded(name: &str) -> String {
    canonical_name(name).to_lowercase()
}
