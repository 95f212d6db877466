//! The images of each class.

use std::collections::BTreeMap;

use convnext_core::ClassNames;

/// The images of each class: class name to positions in the listing, both sorted.
pub(crate) type Classes = BTreeMap<String, Vec<usize>>;

/// The names of the classes, sorted.
pub(crate) fn names(classes: &Classes) -> ClassNames {
    ClassNames(classes.keys().cloned().collect())
}

/// Pairs of position in the listing and label, sorted by class.
pub(crate) fn samples(classes: &Classes, names: &ClassNames) -> Vec<(usize, usize)> {
    names
        .0
        .iter()
        .enumerate()
        .flat_map(|(label, class)| classes.get(class).into_iter().flatten().map(move |&file| (file, label)))
        .collect()
}
