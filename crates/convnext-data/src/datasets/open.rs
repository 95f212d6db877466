//! Opening a folder or an archive as a data set.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use convnext_core::Seed;

use crate::datasets::classes::{Classes, names, samples};
use crate::datasets::dataset::Dataset;
use crate::datasets::division::{Division, Found};
use crate::datasets::files::Files;
use crate::datasets::labelled_data::{LabelledData, Part};
use crate::datasets::list_images::list_images;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::datasets::shards::open as shards;
use crate::datasets::split::{check_fraction, split_class};
use crate::error::DataError;
use crate::pixels::image::Image;
use crate::reading::decoding::Decoding;

/// Opens every image of a folder, a `.tar` or a `.tar.gz`, at any depth, without labels and sorted by
/// path.
///
/// Files count by their extension (jpg, jpeg, jpe, jfif, png, webp, gif, bmp, tif, tiff and some rare ones,
/// in any case); hidden files, `__MACOSX`, pipes, sockets and devices do not. A warning tells how many files
/// of other extensions are left out.
///
/// A folder that holds `.tar` files and no image is a data set in shards, by the convention of WebDataset:
/// a sample is one image and what else has its key, which is the path up to the first dot of the file
/// name, with the members of a key one after the other. The list of the members is kept beside the shards
/// in `shards.index` where the folder can be written to.
///
/// # Errors
/// [`DataError`] when the path does not exist, is no archive, holds no image, or holds shards and images.
pub fn open_unlabelled(path: &Path) -> Result<Dataset, DataError> {
    unlabelled_of(list_images(path)?)
}

/// Every image of a listing.
pub(crate) fn unlabelled_of(listing: Listing) -> Result<Dataset, DataError> {
    if shards::holds_shards(&listing) {
        return shards::open_unlabelled(&listing);
    }
    Ok(Dataset::new(Files::Listed(Arc::new(listing.with_images()?))))
}

/// Opens images as a user names them, in this order: files of any name, and everything in folders, shards and
/// archives ([`is_collection`]), as [`open_unlabelled`] finds it. What is in the files is not looked at yet.
///
/// # Errors
/// Those of [`open_unlabelled`], and [`DataError::Io`] for a file that is not there.
pub fn open_images(paths: &[PathBuf]) -> Result<Dataset, DataError> {
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

/// Reads the image of a file, or the only one of a collection.
///
/// # Errors
/// [`DataError::SeveralImages`], those of [`open_images`], and those of [`Dataset::image`].
pub fn open_image(path: &Path, decoding: &Decoding) -> Result<Image, DataError> {
    let images = open_images(&[path.to_owned()])?;
    match images.len() {
        1 => images.image(0, decoding),
        found => Err(DataError::SeveralImages { path: path.display().to_string(), found }),
    }
}

/// `true` for a collection of images: a folder, or an archive by its extension (`.tar`, `.tar.gz`,
/// `.tgz`).
pub fn is_collection(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    path.is_dir() || [".tar", ".tar.gz", ".tgz"].iter().any(|extension| name.ends_with(extension))
}

/// Opens a folder, a `.tar` or a `.tar.gz` whose folders are classes, or whose labels a CSV file names.
///
/// Three layouts are known, each also inside of a single top folder: `train/CLASS/*` and `val/CLASS/*`; `train/CLASS/*`
/// alone; `CLASS/*`. Folders of parts go by the words of Hugging Face's `datasets` in any case, alone or among others
/// (`Training`, `seg_train`, `val2017`; `valid`, `dev`; `test`, `eval`, ...): with a validation part, a test part is
/// not looked at, and without one the test part takes its place, as [`LabelledData::validation_split`] says. In the
/// last two layouts, `validation_fraction` of each class, chosen by the seed, is set apart for validation: rounded, at
/// least one image, while training keeps at least one. Images may lie deeper below a class.
///
/// With `labels` the folders do not matter. The file is CSV with `,`, `;` or tabs and a header with the columns `path` (or
/// `file_name`, `filename`, `image`, `file`), `label` (or `class`, `target`) and perhaps `split` with the words above;
/// empty is `train`. A column that is only called like one (`set`, `usage`, `fold`, ...) counts if it has such words, which
/// then every row must have; without any, rows in folders of several parts are refused. Rows for a test may lack a label. A
/// path is relative to the data or absolute, or the end of one, with or without its extension, that only
/// one image has. Images that the file does not name are left out, and so are those for a test; without any for
/// validation, a fraction is set apart as above.
///
/// Names of classes are compared and kept in Unicode's composed form (NFC), without white space around them.
///
/// ImageNet is read as it comes: a `val` whose images lie directly in it takes their classes from a file in it,
/// beside it or at the root of the data, or from `labels`. These are known, in this order:
/// `LOC_val_solution.csv` of Kaggle; `imagenet_2012_validation_synset_labels.txt` and `val.txt`, where a line is
/// a file and its label, a class or its index among the sorted classes, or is a class alone, in the order of
/// the files' names; `ILSVRC2012_validation_ground_truth.txt`, whose IDs `map_clsloc.txt` beside it explains
/// (lines `nXXXXXXXX ID name`). `labels` may have any name: the first line tells its kind, and the extension
/// `.txt`. There is a label for every image, and every class has a folder in `train`. A `test` without class folders
/// beside `val` has no classes, unless [`open_part`] is asked for it with `labels`.
///
/// Shards ([`open_unlabelled`]) carry their labels: `KEY.cls` with the number of a class, or `KEY.json` with
/// a number or a name under `label`, `cls` or `class`. Names for the numbers come from `classes.txt` beside
/// the shards or one folder above, one name a line from 0 on; without it a number is its own name. Parts are
/// folders with shards, or what `_info.json` beside the shards lists, or what their names say
/// (`x-train-0000.tar`); without any, a fraction of the images is set apart as above. Images without a label are left
/// out.
///
/// # Errors
/// [`DataError`] when the path cannot be opened, the layout is another one or could be several, a class has no images,
/// the validation part has a class that the training part lacks, there is only one class, or a split is
/// needed and the fraction is not in (0, 1); [`DataError::Labels`] or [`DataError::GroundTruth`] with the line
/// that is wrong.
pub fn open_labelled(
    path: &Path,
    labels: Option<&Path>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    labelled_of(list_images(path)?, labels, validation_fraction, seed)
}

/// The parts of a listing that are trained and measured on.
pub(crate) fn labelled_of(
    listing: Listing,
    labels: Option<&Path>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let listing = with_labels(listing, labels)?;
    let data = match shards::holds_shards(&listing) {
        true => shards::open_labelled(&listing, validation_fraction, seed)?,
        false => labelled(&listing, &Division::of(&listing, labels)?, validation_fraction, seed)?,
    };
    say_if_nothing_is_measured(&data);
    Ok(data)
}

/// Opens the part of a data set that a trained classifier is evaluated on: the one that is asked for, or else
/// the one for validation, or else the one for a test, or else all of `CLASS/*`. Where a label file has rows
/// for a test and none for validation, the part must be asked for. Layouts and `labels` are those of
/// [`open_labelled`].
///
/// Images directly in `val`, or directly in `path` where there are no parts, take their classes from a file
/// of ImageNet. Without `train` such a file must name synsets, because an index means nothing.
///
/// The classes are those of this part alone; match them with the model's by name. Class folders without images do not
/// count in a part.
///
/// # Errors
/// [`DataError`] when the path cannot be opened, there is no such part or only a training part, there are no class
/// folders, or a class of data without parts has no images; [`DataError::Labels`] or [`DataError::GroundTruth`] with
/// the line that is wrong.
pub fn open_part(path: &Path, labels: Option<&Path>, asked: Option<Split>) -> Result<Part, DataError> {
    let listing = list(path, labels)?;
    match shards::holds_shards(&listing) {
        true => shards::open_part(&listing, asked),
        false => Ok(part(&listing, Division::of(&listing, labels)?.for_evaluation(asked)?)),
    }
}

/// The images of [`open_part`] when nothing is asked for.
///
/// # Errors
/// Those of [`open_part`].
pub fn open_for_evaluation(path: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    open_part(path, labels, None).map(|part| part.images)
}

/// Opens all parts of a data set: those of [`open_labelled`], and the one for a test where validation does not use it.
///
/// # Errors
/// Those of [`open_labelled`] and [`open_part`].
pub fn open_parts(
    path: &Path,
    labels: Option<&Path>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<(LabelledData, Option<Part>), DataError> {
    let listing = list(path, labels)?;
    if shards::holds_shards(&listing) {
        let data = shards::open_labelled(&listing, validation_fraction, seed)?;
        say_if_nothing_is_measured(&data);
        let test = shards::has_last_test(&listing)?.then(|| shards::open_part(&listing, Some(Split::Test)));
        let test = test.transpose()?;
        return Ok((data, test));
    }
    let division = Division::of(&listing, labels)?;
    let data = labelled(&listing, &division, validation_fraction, seed)?;
    say_if_nothing_is_measured(&data);
    let test = division.has_last_test().then(|| division.for_last_test()).transpose()?;
    Ok((data, test.map(|found| part(&listing, found))))
}

/// Lists labelled data.
pub(crate) fn list(path: &Path, labels: Option<&Path>) -> Result<Arc<Listing>, DataError> {
    with_labels(list_images(path)?, labels)
}

/// Refuses a listing without images, and a label file for shards.
fn with_labels(listing: Listing, labels: Option<&Path>) -> Result<Arc<Listing>, DataError> {
    if !shards::holds_shards(&listing) {
        return listing.with_images().map(Arc::new);
    }
    match labels {
        None => Ok(Arc::new(listing)),
        Some(_) => Err(DataError::Layout {
            path: listing.name(""),
            found: "it holds shards, whose labels a label file cannot name".into(),
            advice: "put labels into the shards as KEY.cls, or leave out the label file".into(),
        }),
    }
}

/// Images for training and validation, divided by the seed where the data has no part for validation.
fn labelled(
    listing: &Arc<Listing>,
    division: &Division<'_>,
    validation_fraction: f64,
    seed: Seed,
) -> Result<LabelledData, DataError> {
    let (train, validation) = division.for_training()?;
    let class_names = Arc::new(names(&train.classes));
    let train_source = train.source;
    let held_out = validation.is_none();
    let validation_split = validation.as_ref().map(|(split, _)| *split);
    let (train, validation, validation_source) = match validation {
        Some((_, Found { classes, source })) => (train.classes, classes, source),
        None => {
            check_fraction(validation_fraction)?;
            let [train, validation] = hold_out(&train.classes, validation_fraction, seed);
            (train, validation, train_source.clone())
        }
    };
    let all = Dataset::new(Files::Listed(Arc::clone(listing)));
    let [train, validation] =
        [train, validation].map(|part| all.labelled(&class_names, &samples(&part, &class_names)));
    Ok(LabelledData { train, validation, held_out, validation_split, train_source, validation_source })
}

fn say_if_nothing_is_measured(data: &LabelledData) {
    if data.held_out && data.validation.is_empty() {
        log::warn!(
            "{}: nothing can be held out, because each class has a single image, so there is no validation",
            data.train_source
        );
    }
}

/// Training and validation images of each class.
fn hold_out(classes: &Classes, fraction: f64, seed: Seed) -> [Classes; 2] {
    let mut parts = [Classes::new(), Classes::new()];
    for (class, images) in classes {
        let split = split_class(class, images, fraction, seed);
        for (part, images) in parts.iter_mut().zip(split) {
            part.insert(class.clone(), images);
        }
    }
    parts
}

/// A part as it is measured on.
pub(crate) fn part(listing: &Arc<Listing>, (which, found): (Which, Found)) -> Part {
    let Found { classes, source } = found;
    let class_names = Arc::new(names(&classes));
    let samples = samples(&classes, &class_names);
    let images = Dataset::new(Files::Listed(Arc::clone(listing))).labelled(&class_names, &samples);
    Part { split: which.split(), source, images }
}
