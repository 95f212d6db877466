//! Opening folders of shards as data sets.

use std::{collections::BTreeSet, path::Path, path::PathBuf, sync::Arc};

use convnext_core::{ClassNames, Seed};

use super::{
    Shards, classes,
    index::Index,
    open_index::open_index,
    parts::{ShardParts, ShardSet},
};
use crate::datasets::dataset::Dataset;
use crate::datasets::files::Files;
use crate::datasets::labelled_data::{LabelledData, Part};
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::datasets::split::{check_fraction, split_class};
use crate::error::DataError;

/// `true` for a folder with `.tar` files and without images.
pub(crate) fn holds_shards(listing: &Listing) -> bool {
    listing.images.len() == 0 && !listing.archives.is_empty()
}

/// All images of all shards, without labels.
pub(crate) fn open_unlabelled(listing: &Listing) -> Result<Dataset, DataError> {
    let mut all = Shards::default();
    for paths in listing.archives.values() {
        let folder = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new(""));
        add(&mut all, &open_index(folder, paths, listing.keeps_index)?);
    }
    dataset(all, listing)
}

/// Shards for training and for validation, or a division of the only ones.
pub(crate) fn open_labelled(
    listing: &Listing,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let parts = ShardParts::of(listing)?;
    let chosen = parts.available().for_training();
    let (train, validation) = chosen.map_err(|missing| missing.at(listing.name("")))?;
    let train = Labelled::open(&parts, train, None, listing)?;
    let with_images: BTreeSet<usize> = train.samples.iter().map(|&(_, label)| label).collect();
    if with_images.len() < 2 {
        return Err(DataError::Layout {
            path: train.source,
            found: "its shards have images of fewer than two classes".into(),
            advice: "label images of at least two classes".into(),
        });
    }
    let mut empty = train.classes.0.iter().enumerate().filter(|(class, _)| !with_images.contains(class));
    if let Some((_, first)) = empty.next() {
        let count = 1 + empty.count();
        log::warn!(
            "{}: {count} of {} classes have no image to train on, the first '{first}'; number the classes from 0 on, or leave them \
             out of classes.txt",
            train.source,
            train.classes.0.len(),
        );
    }
    match validation {
        Some(split) => {
            let validation = Labelled::open(&parts, Which::Part(split), Some(&train.classes), listing)?;
            measured_apart(train, validation, split, listing)
        }
        None => held_out(train, validation_fraction, seed, listing),
    }
}

/// Two parts.
fn measured_apart(
    train: Labelled,
    validation: Labelled,
    split: Split,
    listing: &Listing,
) -> Result<LabelledData, DataError> {
    let [train_source, validation_source] = [&train, &validation].map(|part| part.source.clone());
    if split == Split::Test {
        log::info!(
            "{}: there is no part for validation, so that the test part, {validation_source}, is measured on while \
             training",
            listing.name("")
        );
    }
    Ok(LabelledData {
        train: train.dataset(listing)?,
        validation: validation.dataset(listing)?,
        held_out: false,
        validation_split: Some(split),
        train_source,
        validation_source,
    })
}

/// A division of the only part.
fn held_out(
    Labelled { source, shards, classes, samples }: Labelled,
    validation_fraction: f64,
    seed: Seed,
    listing: &Listing,
) -> Result<LabelledData, DataError> {
    check_fraction(validation_fraction)?;
    let parts = divide(&samples, &classes, validation_fraction, seed);
    let all = dataset(shards, listing)?;
    let [train, validation] = parts.map(|samples| all.labelled(&classes, &samples));
    Ok(LabelledData {
        train,
        validation,
        held_out: true,
        validation_split: None,
        train_source: source.clone(),
        validation_source: source,
    })
}

/// The shards of a part, or those that a classifier is evaluated on.
pub(crate) fn open_part(listing: &Listing, asked: Option<Split>) -> Result<Part, DataError> {
    let parts = ShardParts::of(listing)?;
    let which = parts.available().for_evaluation(asked).map_err(|missing| missing.at(listing.name("")))?;
    let part = Labelled::open(&parts, which, None, listing)?;
    let split = match which {
        Which::Part(split) => Some(split),
        Which::Whole => None,
    };
    Ok(Part { split, source: part.source.clone(), images: part.dataset(listing)? })
}

/// All shards of data that is to be divided into parts.
pub(crate) fn open_undivided(listing: &Listing) -> Result<Part, DataError> {
    let available = ShardParts::of(listing)?.available();
    available.check_undivided().map_err(|missing| missing.at(listing.name("")))?;
    open_part(listing, None)
}

/// `true` if there are shards for a final test, beside others for validation.
pub(crate) fn has_last_test(listing: &Listing) -> Result<bool, DataError> {
    let parts = ShardParts::of(listing)?;
    let has = |split: Split| parts.set(Which::Part(split)).is_some();
    Ok(has(Split::Test) && has(Split::Validation))
}

/// A part with its labels.
struct Labelled {
    source: String,
    shards: Shards,
    classes: Arc<ClassNames>,
    samples: Vec<(usize, usize)>,
}

impl Labelled {
    /// Opens shards. Their classes are `known`, or those of `classes.txt` in their folder or the one
    /// above it, or those that the labels speak of.
    fn open(
        parts: &ShardParts,
        which: Which,
        known: Option<&Arc<ClassNames>>,
        listing: &Listing,
    ) -> Result<Self, DataError> {
        let Some(set) = parts.set(which) else { return Err(listing.no_images("")) };
        let ShardSet { folder, all, own } = set;
        let mut index = open_index(folder, all, listing.keeps_index)?;
        if own.len() < all.len() {
            index = index.only(own);
        }
        let own = match classes::read(folder)? {
            Some(own) => Some(own),
            None => folder.parent().map_or(Ok(None), classes::read)?,
        };
        let source = set.source();
        let place = PathBuf::from(&source);
        let classes = match (own, known) {
            // Numbers mean the same in both parts only if the lists are the same.
            (Some(own), Some(known)) if own != **known => {
                return Err(DataError::Layout {
                    path: folder.join(classes::CLASSES_FILE).display().to_string(),
                    found: "it differs from the classes of the training part".into(),
                    advice: "give both parts the same list, best one beside the two folders".into(),
                });
            }
            (_, Some(known)) => Arc::clone(known),
            (Some(own), None) => Arc::new(own),
            (None, None) => Arc::new(classes::infer(&index, &place)?),
        };
        let samples = classes::samples(&index, &classes, &place)?;
        let mut shards = Shards::default();
        add(&mut shards, &index);
        Ok(Self { source, shards, classes, samples })
    }

    fn dataset(self, listing: &Listing) -> Result<Dataset, DataError> {
        Ok(dataset(self.shards, listing)?.labelled(&self.classes, &self.samples))
    }
}

/// Samples for training and for validation, both in the order of the shards.
fn divide(
    samples: &[(usize, usize)],
    classes: &ClassNames,
    fraction: f64,
    seed: Seed,
) -> [Vec<(usize, usize)>; 2] {
    let mut images = vec![Vec::new(); classes.len()];
    for &(image, label) in samples {
        images[label].push(image);
    }
    let mut parts = [Vec::new(), Vec::new()];
    for (label, images) in images.iter().enumerate() {
        let split = split_class(&classes.name(label), images, fraction, seed);
        for (part, images) in parts.iter_mut().zip(split) {
            part.extend(images.into_iter().map(|image| (image, label)));
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts
}

fn add(all: &mut Shards, index: &Index) {
    all.reserve(index.images.len());
    let mut rest = &index.images[..];
    for (shard, &count) in index.shards.iter().zip(&index.counts) {
        let (own, others) = rest.split_at(count as usize);
        all.push(shard.clone(), own.iter().map(|image| image.place));
        rest = others;
    }
}

fn dataset(shards: Shards, listing: &Listing) -> Result<Dataset, DataError> {
    let (count, most) = (shards.len(), u32::MAX as usize);
    if count == 0 {
        return Err(listing.no_images(""));
    }
    DataError::check(count < most, "number of images", count, "below 4294967295")?;
    Ok(Dataset::new(Files::Shards(shards)))
}
