//! Opening a folder or an archive as a data set.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use convnext_core::{ClassNames, Seed};

use crate::{
    DataError, Dataset,
    files::Files,
    ground_truth,
    labels::{self, Labels},
    layout::{Classes, Parts, class_folders, classes, find_parts, is_flat},
    listing::Listing,
    shards,
    split::{check_fraction, split_class},
};

/// A data set for training a classifier. Both parts have the same classes.
#[derive(Debug, Clone)]
pub struct LabelledData {
    /// What is learned from.
    pub train: Dataset,
    /// What is measured on; it may lack images of some classes.
    pub validation: Dataset,
    /// Whether `validation` was held out of the training images, because the data has no such part.
    pub held_out: bool,
}

/// Opens every image of a folder, a `.tar` or a `.tar.gz`, at any depth, without labels and sorted by
/// path.
///
/// Files count by their ending (jpg, jpeg, png, webp, bmp, tif, tiff); hidden files and `__MACOSX` do not.
///
/// A folder that holds `.tar` files and no image is a data set in shards, by the convention of WebDataset:
/// a sample is one image and what else has its key, which is the path up to the first dot of the file
/// name, with the members of a key one after the other. The list of the members is kept beside the shards
/// in `shards.index` where the folder can be written to.
///
/// # Errors
/// [`DataError`] when the path does not exist, is no archive, or holds no image.
pub fn open_unlabelled(path: &Path) -> Result<Dataset, DataError> {
    let listing = Listing::open(path)?;
    if shards::holds_shards(&listing) {
        return shards::open_unlabelled(&listing);
    }
    Ok(Dataset::new(Files::Listed(listing.with_images()?)))
}

/// Opens pictures as a user names them, in this order: files of any name, and everything in folders, shards and
/// archives ([`is_collection`]), as [`open_unlabelled`] finds it. What is in the files is not looked at yet.
///
/// # Errors
/// Those of [`open_unlabelled`], and [`DataError::Io`] for a file that is not there.
pub fn open_pictures(paths: &[PathBuf]) -> Result<Dataset, DataError> {
    let mut parts: Vec<Arc<Files>> = Vec::new();
    let mut single = Vec::new();
    for path in paths {
        if is_collection(path) {
            if !single.is_empty() {
                parts.push(Arc::new(Files::Single(std::mem::take(&mut single))));
            }
            parts.push(open_unlabelled(path)?.files());
        } else {
            let found = std::fs::metadata(path);
            found.map_err(|source| DataError::io("read", path.display().to_string(), source))?;
            single.push(path.clone());
        }
    }
    parts.push(Arc::new(Files::Single(single)));
    Ok(Dataset::new(Files::Joined(parts)))
}

/// `true` for what holds pictures and is none: a folder, or an archive by its ending (`.tar`, `.tar.gz`, `.tgz`).
pub fn is_collection(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    path.is_dir() || [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

/// Opens a folder, a `.tar` or a `.tar.gz` whose folders are classes, or whose labels a CSV file names.
///
/// Three layouts are known, each also inside of a single top folder: `train/CLASS/*` and `val/CLASS/*`
/// (or `validation`, `valid`, `test`, in this order); `train/CLASS/*` alone; `CLASS/*`. In the last two,
/// `validation_fraction` of each class, chosen by the seed, is set apart for validation: rounded, at
/// least one image, while training keeps at least one. Images may lie deeper below a class.
///
/// With `labels` the folders do not matter: the file has a header with the columns `path` (relative to
/// `path`), `label` and perhaps `split` (`train`, or one of the names above; empty is `train`). Images that
/// it does not name are left out; without any for validation, a fraction is set apart as above.
///
/// ImageNet is read as it comes: a `val` whose images lie directly in it takes their classes from a file in it,
/// beside it or at the root of the data, or from `labels`. These are known, in this order:
/// `LOC_val_solution.csv` of Kaggle; `imagenet_2012_validation_synset_labels.txt` and `val.txt`, where a line is
/// a file and its label, a class or its index among the sorted classes, or is a class alone, in the order of
/// the files' names; `ILSVRC2012_validation_ground_truth.txt`, whose IDs `map_clsloc.txt` beside it explains
/// (lines `nXXXXXXXX ID name`). `labels` may have any name: the first line tells its kind, and the ending
/// `.txt`. There is a label for every image, and every class has a folder in `train`.
///
/// Shards ([`open_unlabelled`]) carry their labels: `KEY.cls` with the number of a class, or `KEY.json` with
/// a number or a name under `label`, `cls` or `class`. Names for the numbers come from `classes.txt` beside
/// the shards or one folder above, one name a line from 0 on; without it a number is its own name. Parts are
/// the folders `train` and `val` (or its other names) with shards; else a fraction of the shards' images
/// is set apart as above. Images without a label are left out.
///
/// # Errors
/// [`DataError`] when the path cannot be opened, the layout is another one, a class has no images, the
/// validation part has a class that the training part lacks, there is only one class, or a split is
/// needed and the fraction is not in (0, 1); [`DataError::Labels`] or [`DataError::GroundTruth`] with the line
/// that is wrong.
pub fn open_labelled(
    path: &Path,
    labels: Option<&Path>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let listing = Listing::open(path)?;
    if shards::holds_shards(&listing) {
        return match labels {
            None => shards::open_labelled(&listing, validation_fraction, seed),
            Some(_) => Err(labels_of_shards(&listing)),
        };
    }
    let listing = listing.with_images()?;
    let (train, validation) = match labels {
        Some(file) if !ground_truth::is_ground_truth(file) => division_by_file(file, &listing)?,
        truth => division_by_folders(&listing, truth)?,
    };
    let class_names = Arc::new(names(&train));
    let held_out = validation.is_none();
    let parts = match validation {
        Some(validation) => [samples(&train, &class_names), samples(&validation, &class_names)],
        None => {
            check_fraction(validation_fraction)?;
            let mut parts = [Classes::new(), Classes::new()];
            for (class, images) in &train {
                let split = split_class(class, images, validation_fraction, seed);
                for (part, images) in parts.iter_mut().zip(split) {
                    part.insert(class.clone(), images);
                }
            }
            parts.map(|part| samples(&part, &class_names))
        }
    };
    let all = Dataset::new(Files::Listed(listing));
    let [train, validation] = parts.map(|samples| all.labelled(&class_names, &samples));
    Ok(LabelledData { train, validation, held_out })
}

/// Training and, perhaps, validation images of each class, as a file of labels names them.
fn division_by_file(file: &Path, listing: &Listing) -> Result<(Classes, Option<Classes>), DataError> {
    let Labels { train, validation } = labels::read(file, listing)?;
    let name = file.display().to_string();
    if train.len() < 2 {
        let why = format!("its training images have {} class(es), but two are needed", train.len());
        return Err(DataError::Labels { path: name, line: 1, why });
    }
    check_known(&validation, &names(&train), &name)?;
    Ok((train, Some(validation).filter(|validation| !validation.is_empty())))
}

/// Training and, perhaps, validation images of each class, as the folders have them; `truth` is a file with
/// the labels for validation.
fn division_by_folders(
    listing: &Listing,
    truth: Option<&Path>,
) -> Result<(Classes, Option<Classes>), DataError> {
    let (train, validation) = match find_parts(listing) {
        Parts::Separate { train: Some(train), validation } => (train, validation),
        Parts::Together { folder } => (folder, None),
        Parts::Separate { train: None, validation } => {
            return Err(DataError::Layout {
                path: listing.name(""),
                found: format!("it has '{}' but no 'train'", validation.unwrap_or_default()),
                advice: "add 'train' with the same class folders".into(),
            });
        }
    };
    let train_classes = classes(listing, &train)?;
    if train_classes.len() < 2 {
        return Err(DataError::Layout {
            path: listing.name(&train),
            found: format!("it has only one class, '{}'", names(&train_classes).name(0)),
            advice: "put the images of each class into a folder of its own, at least two".into(),
        });
    }
    let Some(validation) = validation else {
        return match truth {
            None => Ok((train_classes, None)),
            Some(file) => Err(DataError::Layout {
                path: listing.name(""),
                found: format!("it has no 'val' whose images {} could label", file.display()),
                advice: "add 'val' with these images, or leave out the file of labels".into(),
            }),
        };
    };
    let known = names(&train_classes);
    let validation_classes = classes_for_validation(listing, &validation, truth, Some(&known))?;
    check_known(&validation_classes, &known, &listing.name(&validation))?;
    Ok((train_classes, Some(validation_classes)))
}

/// The classes of a part for validation: its folders or, where its images lie directly in it, those of a
/// file of labels.
fn classes_for_validation(
    listing: &Listing,
    part: &str,
    truth: Option<&Path>,
    known: Option<&ClassNames>,
) -> Result<Classes, DataError> {
    let flat = is_flat(listing, part);
    let wrong = |found: String, advice| Err(DataError::Layout { path: listing.name(part), found, advice });
    match truth {
        Some(file) if flat => ground_truth::read(file, listing, part, known),
        Some(file) => wrong(
            format!("{} labels images that lie directly in it, but it has folders", file.display()),
            "leave out the file of labels, or move the images out of the folders".into(),
        ),
        None if flat => match ground_truth::find(listing, part) {
            Some(file) => ground_truth::read(&file, listing, part, known),
            None => wrong("it has no class folders".into(), ground_truth::advice()),
        },
        None => classes(listing, part),
    }
}

/// Opens the part of a data set that a trained classifier is measured on: `val` (or `validation`,
/// `valid`, `test`, in this order) if there is one, else all of `CLASS/*`. With `labels`, a file as
/// [`open_labelled`] reads it, the images that it names for validation, else all that it names.
///
/// Images directly in `val`, or directly in `path` where there are no parts, take their classes from a file
/// of ImageNet, as [`open_labelled`] describes. Without `train` such a file must name synsets, because an index
/// means nothing.
///
/// The classes are those of this part alone; match them with the model's by name.
///
/// # Errors
/// [`DataError`] when the path cannot be opened, there is only a training part, there are no class
/// folders, or a class has no images; [`DataError::Labels`] or [`DataError::GroundTruth`] with the line that is
/// wrong.
pub fn open_for_evaluation(path: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let listing = Listing::open(path)?;
    if shards::holds_shards(&listing) {
        return match labels {
            None => shards::open_for_evaluation(&listing),
            Some(_) => Err(labels_of_shards(&listing)),
        };
    }
    let listing = listing.with_images()?;
    let classes = match labels {
        Some(file) if !ground_truth::is_ground_truth(file) => {
            let Labels { train, validation } = labels::read(file, &listing)?;
            if validation.is_empty() { train } else { validation }
        }
        truth => classes_for_evaluation(&listing, truth)?,
    };
    let class_names = Arc::new(names(&classes));
    let samples = samples(&classes, &class_names);
    Ok(Dataset::new(Files::Listed(listing)).labelled(&class_names, &samples))
}

fn classes_for_evaluation(listing: &Listing, truth: Option<&Path>) -> Result<Classes, DataError> {
    let (train, part) = match find_parts(listing) {
        Parts::Separate { train, validation: Some(validation) } => (train, validation),
        Parts::Together { folder } => (None, folder),
        Parts::Separate { train, validation: None } => {
            let train = train.unwrap_or_default();
            return Err(DataError::Layout {
                path: listing.name(""),
                found: format!("it has '{train}' but no 'val', 'validation', 'valid' or 'test'"),
                advice: format!("add one of them, or give the path of '{train}' to evaluate on it"),
            });
        }
    };
    // A file of labels may count the classes of the training part.
    let known = train.map(|train| ClassNames(class_folders(listing, &train)));
    let known = known.filter(|known| !known.is_empty());
    classes_for_validation(listing, &part, truth, known.as_ref())
}

fn names(classes: &Classes) -> ClassNames {
    ClassNames(classes.keys().cloned().collect())
}

/// Pairs of position in the listing and label, sorted by class.
fn samples(classes: &Classes, names: &ClassNames) -> Vec<(usize, usize)> {
    names
        .0
        .iter()
        .enumerate()
        .flat_map(|(label, class)| classes.get(class).into_iter().flatten().map(move |&file| (file, label)))
        .collect()
}

fn check_known(validation: &Classes, known: &ClassNames, path: &str) -> Result<(), DataError> {
    match validation.keys().find(|class| !known.0.contains(class)) {
        Some(class) => Err(DataError::unknown_class(class.clone(), path.to_owned(), known)),
        None => Ok(()),
    }
}

/// The error for a file of labels beside shards.
fn labels_of_shards(listing: &Listing) -> DataError {
    DataError::Layout {
        path: listing.name(""),
        found: "it holds shards, whose labels a file of labels cannot name".into(),
        advice: "put labels into the shards as KEY.cls, or leave out the file of labels".into(),
    }
}
