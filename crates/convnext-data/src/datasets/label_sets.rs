//! Labels that are sets of classes, for multi-label classification.
//!
//! A set is told by its name, its classes in order with `;` between them, so that a data set of such labels is one whose
//! classes are the sets that occur; the image without any class has the empty one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use convnext_core::{ClassNames, Seed};

use crate::datasets::class_sets::{classes_of_set, classes_of_sets, members_of_sets};
use crate::datasets::classes::{Classes, names, samples};
use crate::datasets::dataset::Dataset;
use crate::datasets::division::{Division, Found};
use crate::datasets::files::Files;
use crate::datasets::labelled_data::{LabelledData, Part};
use crate::datasets::labels;
use crate::datasets::list_images::list_images;
use crate::datasets::open::part;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::datasets::split::{check_fraction, split_class};
use crate::error::DataError;

/// Opens images whose labels are sets of classes, which a CSV file names: as [`crate::open_labelled`] reads it, with `;` or `|`
/// between the classes of a label, and with an empty label for none. Where it has no rows for validation, a
/// fraction of all images is held out. Class names are the names of the sets, of which [`classes_of_sets`]
/// tells the classes.
///
/// # Errors
/// As [`crate::open_labelled`] with a label file, but for those about single classes.
pub fn open_label_sets(
    path: &Path,
    labels: &Path,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let listing = Arc::new(list_images(path)?.with_images()?);
    let division = Division::of_rows(&listing, labels, labels::read_sets(labels, &listing)?);
    let (train, validation) =
        division.available().for_training().map_err(|missing| missing.at(division.name()))?;
    let learned = division.rows(train);
    let classes = classes_of_sets(&names(&learned.classes));
    if classes.is_empty() {
        let (path, why) = (division.name(), "no image for training has a class".to_owned());
        return Err(DataError::Labels { path, line: 1, why });
    }
    let measured = validation.map(|split| division.rows(Which::Part(split)));
    if let Some(measured) = &measured {
        members_of_sets(&names(&measured.classes), &classes, &measured.source)?;
    }
    let (sources, held_out) = (learned.source.clone(), measured.is_none());
    let (learned, measured) = match measured {
        Some(measured) => (learned, measured),
        None => hold_out(learned, validation_fraction, seed)?,
    };
    say_what_is_missing(&classes, &measured);
    let sets: BTreeSet<&String> = learned.classes.keys().chain(measured.classes.keys()).collect();
    let sets = Arc::new(ClassNames(sets.into_iter().cloned().collect()));
    let all = Dataset::new(Files::Listed(Arc::clone(&listing)));
    let images = |found: &Found| all.labelled(&sets, &samples(&found.classes, &sets));
    Ok(LabelledData {
        train: images(&learned),
        validation: images(&measured),
        held_out,
        validation_split: validation,
        train_source: sources,
        validation_source: measured.source,
    })
}

/// Images for training and validation, chosen from all images, whatever their classes: most sets may occur but once. A
/// class that would have no image left for training keeps the first one.
fn hold_out(all: Found, fraction: f64, seed: Seed) -> Result<(Found, Found), DataError> {
    check_fraction(fraction)?;
    let mut images: Vec<usize> = all.classes.values().flatten().copied().collect();
    images.sort_unstable();
    let [_, chosen] = split_class("", &images, fraction, seed);
    let mut measured: BTreeSet<usize> = chosen.into_iter().collect();
    let mut by_class: BTreeMap<&str, Vec<&Vec<usize>>> = BTreeMap::new();
    for (set, images) in &all.classes {
        classes_of_set(set).for_each(|class| by_class.entry(class).or_default().push(images));
    }
    for sets in by_class.values() {
        let images = || sets.iter().copied().flatten();
        if images().all(|image| measured.contains(image))
            && let Some(first) = images().min()
        {
            measured.remove(first);
        }
    }
    let part = |is_measured: bool| {
        let of_set = |images: &Vec<usize>| -> Vec<usize> {
            images.iter().copied().filter(|image| measured.contains(image) == is_measured).collect()
        };
        let classes: Classes =
            all.classes.iter().map(|(set, images)| (set.clone(), of_set(images))).collect();
        Found { classes, source: all.source.clone() }
    };
    Ok((part(false), part(true)))
}

/// Warns of classes without an image for validation.
fn say_what_is_missing(classes: &ClassNames, measured: &Found) {
    let occurring = measured.classes.iter().filter(|(_, images)| !images.is_empty());
    let found: BTreeSet<&str> = occurring.flat_map(|(set, _)| classes_of_set(set)).collect();
    let missing: Vec<&str> =
        classes.0.iter().map(String::as_str).filter(|class| !found.contains(class)).collect();
    if !missing.is_empty() {
        let source = &measured.source;
        log::warn!("{source}: no validation image has these classes: {}", missing.join(", "));
    }
}

/// Opens the part of such images that a trained network is evaluated on, as [`crate::open_part`] chooses it.
///
/// # Errors
/// As [`crate::open_part`] with a label file, but for those about single classes.
pub fn open_label_sets_part(path: &Path, labels: &Path, asked: Option<Split>) -> Result<Part, DataError> {
    let listing = Arc::new(list_images(path)?.with_images()?);
    let division = Division::of_rows(&listing, labels, labels::read_sets(labels, &listing)?);
    let chosen = division.for_evaluation(asked)?;
    Ok(part(&listing, chosen))
}
