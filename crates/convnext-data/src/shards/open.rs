//! Opening folders of shards as data sets.

use std::{path::Path, path::PathBuf, sync::Arc};

use convnext_core::{ClassNames, Seed};

use super::{Shards, classes, index::Index};
use crate::{
    DataError, Dataset, LabelledData,
    files::Files,
    layout::{TRAIN, VALIDATION},
    listing::Listing,
    split::{check_fraction, split_class},
};

/// `true` for a folder with `.tar` files and without images.
pub(crate) fn holds_shards(listing: &Listing) -> bool {
    listing.images.len() == 0 && !listing.archives.is_empty()
}

/// All images of all shards, without labels.
pub(crate) fn open_unlabelled(listing: &Listing) -> Result<Dataset, DataError> {
    let mut all = Shards::default();
    for paths in listing.archives.values() {
        add(&mut all, &Index::open(&folder_of(paths), paths)?);
    }
    dataset(all, listing)
}

/// Shards for training and for validation: those of `train` and of `val` (or its other names), or a
/// division of the only ones.
pub(crate) fn open_labelled(
    listing: &Listing,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let Parts { train, validation } = parts(listing)?;
    let Some(train) = train else {
        return Err(DataError::Layout {
            path: listing.name(""),
            found: "it has shards for validation but none for training".into(),
            advice: "put shards for training into 'train'".into(),
        });
    };
    let train = Part::open(&train, None)?;
    let classes = Arc::clone(&train.classes);
    let mut with_images = vec![false; classes.len()];
    train.samples.iter().for_each(|&(_, label)| with_images[label] = true);
    if with_images.iter().filter(|&&has| has).count() < 2 {
        return Err(DataError::Layout {
            path: train.folder.display().to_string(),
            found: "its shards have images of fewer than two classes".into(),
            advice: "label images of at least two classes".into(),
        });
    }
    if let Some(validation) = validation {
        let validation = Part::open(&validation, Some(&train.classes))?;
        let [train, validation] = [train.dataset(listing)?, validation.dataset(listing)?];
        return Ok(LabelledData { train, validation, held_out: false });
    }
    check_fraction(validation_fraction)?;
    let [train_samples, validation_samples] = divide(&train.samples, &classes, validation_fraction, seed);
    let all = dataset(train.shards, listing)?;
    let part = |samples: &[(usize, usize)]| all.labelled(&classes, samples);
    let (train, validation) = (part(&train_samples), part(&validation_samples));
    Ok(LabelledData { train, validation, held_out: true })
}

/// The shards for validation, or the only ones.
pub(crate) fn open_for_evaluation(listing: &Listing) -> Result<Dataset, DataError> {
    match parts(listing)? {
        Parts { validation: Some(validation), .. } => Part::open(&validation, None)?.dataset(listing),
        Parts { train: Some(only), .. } if listing.archives.contains_key("") => {
            Part::open(&only, None)?.dataset(listing)
        }
        _ => Err(DataError::Layout {
            path: listing.name(""),
            found: "it has shards for training but none for validation".into(),
            advice: "put some into 'val', or give the path of 'train' to evaluate on it".into(),
        }),
    }
}

/// The shards of each part.
struct Parts {
    train: Option<Vec<PathBuf>>,
    validation: Option<Vec<PathBuf>>,
}

/// The parts of a data set: folders with the names of parts, else the shards of the folder itself.
fn parts(listing: &Listing) -> Result<Parts, DataError> {
    let of = |folder: &str| listing.archives.get(folder).cloned();
    let (train, validation) = (of(TRAIN), VALIDATION.into_iter().find_map(of));
    if train.is_some() || validation.is_some() {
        return Ok(Parts { train, validation });
    }
    let train = of("");
    if train.is_none() {
        return Err(DataError::Layout {
            path: listing.name(""),
            found: "its shards lie neither in it nor in a folder 'train' or 'val'".into(),
            advice: "give the path of a folder that holds shards".into(),
        });
    }
    Ok(Parts { train, validation: None })
}

/// A part with its labels.
struct Part {
    folder: PathBuf,
    shards: Shards,
    classes: Arc<ClassNames>,
    samples: Vec<(usize, usize)>,
}

impl Part {
    /// Opens shards. Their classes are `known`, or those of `classes.txt` in their folder or the one
    /// above it, or those that the labels speak of.
    fn open(paths: &[PathBuf], known: Option<&Arc<ClassNames>>) -> Result<Self, DataError> {
        let folder = folder_of(paths);
        let index = Index::open(&folder, paths)?;
        let own = match classes::read(&folder)? {
            Some(own) => Some(own),
            None => folder.parent().map_or(Ok(None), classes::read)?,
        };
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
            (None, None) => Arc::new(classes::infer(&index, &folder)?),
        };
        let samples = classes::samples(&index, &classes, &folder)?;
        let mut shards = Shards::default();
        add(&mut shards, &index);
        Ok(Self { folder, shards, classes, samples })
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

/// The folder of shards that all lie in one.
fn folder_of(paths: &[PathBuf]) -> PathBuf {
    paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned()
}
