//! Writing a labelled data set as folders for training, validation and test.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use convnext_core::Seed;
use xxhash_rust::xxh3::xxh3_128;

use crate::datasets::class_files::{FreeNames, folder_name};
use crate::datasets::dataset::Dataset;
use crate::datasets::partial_folder::{PartialFolder, failed};
use crate::datasets::partition::{Grouped, Shares, partition};
use crate::datasets::parts::Split;
use crate::error::DataError;

/// Options of [`split_into_folders`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitOptions {
    /// Share of each class for validation, in [0, 1); 0 makes no such part.
    pub validation: f64,
    /// Share of each class for a test, likewise.
    pub test: f64,
    /// Seed of the choice.
    pub seed: Seed,
    /// Make hard links instead of copies, which takes no space.
    pub link: bool,
}

/// Summary of what [`split_into_folders`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitSummary {
    /// Images of each of [`Split::ALL`].
    pub images: [usize; 3],
    /// Images that are identical to another one, and in the same part.
    pub duplicates: usize,
    /// Classes with too few different images to give each part one.
    pub missing: Vec<String>,
}

/// Folders of [`Split::ALL`].
const FOLDERS: [&str; 3] = ["train", "val", "test"];

/// Writes the images of a labelled data set to `out/train/CLASS` and, as far as they are asked for, `out/val/CLASS` and
/// `out/test/CLASS`, every byte as it is. Each class gives its share to each part, rounded, at least one image; identical
/// files stay in one part. The same data and seed give the same division.
///
/// `progress` is called with the number of images done after each one. The parts appear when all are written, and after an
/// error there are none. A process that is killed leaves a hidden folder in `out`, which ends in `.partial`.
///
/// # Errors
/// [`DataError::OutOfRange`] for shares that leave nothing to train or to measure on, [`DataError::Layout`] when `out` holds
/// files or the name of a class cannot be that of a folder, [`DataError::Link`] or [`DataError::Io`] with the file that
/// cannot be linked, read or written.
pub fn split_into_folders(
    images: &Dataset,
    out: &Path,
    options: &SplitOptions,
    mut progress: impl FnMut(usize),
) -> Result<SplitSummary, DataError> {
    let SplitOptions { validation, test, seed, link } = *options;
    let is_share = |share: f64| (0.0..1.0).contains(&share);
    let both = validation + test;
    let fits = is_share(validation) && is_share(test) && both > 0.0 && both < 1.0;
    DataError::check(fits, "share of validation and test", both, "above 0 and below 1 together")?;
    check_folders(images)?;
    let partial = PartialFolder::create(out)?;
    let grouped = group(images)?;
    let parts = partition(&grouped, &images.classes().0, Shares { validation, test }, seed);
    let mut names = FreeNames::default();
    for (index, (&split, &label)) in parts.iter().zip(&grouped.labels).enumerate() {
        let part = partial.path().join(FOLDERS[split as usize]);
        let folder = part.join(folder_name(&images.classes().name(label)));
        fs::create_dir_all(&folder).map_err(|source| failed("create", &folder, source))?;
        place(images, index, &names.path(&folder, &images.file_name(index)), link)?;
        progress(index + 1);
    }
    partial.publish(Some(FOLDERS[Split::Train as usize]))?;
    Ok(summary(images, &grouped, &parts, options))
}

/// Copies an image file, or makes a hard link to it.
pub(crate) fn place(images: &Dataset, index: usize, target: &Path, link: bool) -> Result<(), DataError> {
    if !link {
        return fs::write(target, images.read(index)?).map_err(|source| failed("write", target, source));
    }
    let refused = |why: String| DataError::Link { name: images.name(index), why };
    let path = images.path(index).ok_or_else(|| refused("it lies in an archive".into()))?;
    // A link to a link would follow the first one when it changes.
    let linked = fs::canonicalize(&path).and_then(|path| fs::hard_link(path, target));
    linked.map_err(|source| refused(source.to_string()))
}

/// The images with equal bytes.
fn group(images: &Dataset) -> Result<Grouped, DataError> {
    let mut known = HashMap::new();
    let mut grouped = Grouped { groups: Vec::new(), labels: Vec::new() };
    for index in 0..images.len() {
        let next = known.len();
        grouped.groups.push(*known.entry(xxh3_128(&images.read(index)?)).or_insert(next));
        grouped.labels.push(images.label(index).unwrap_or_default());
    }
    Ok(grouped)
}

fn summary(images: &Dataset, grouped: &Grouped, parts: &[Split], options: &SplitOptions) -> SplitSummary {
    let groups = grouped.groups.iter().max().map_or(0, |last| last + 1);
    let mut has = vec![[0_usize; 3]; images.classes().len()];
    for (&label, &split) in grouped.labels.iter().zip(parts) {
        has[label][split as usize] += 1;
    }
    let wanted = [true, options.validation > 0.0, options.test > 0.0];
    let is_short =
        |counts: &[usize; 3]| counts.iter().zip(wanted).any(|(&count, wanted)| wanted && count == 0);
    let missing = has.iter().enumerate().filter(|(_, counts)| is_short(counts));
    SplitSummary {
        images: Split::ALL.map(|split| parts.iter().filter(|&&part| part == split).count()),
        duplicates: grouped.groups.len() - groups,
        missing: missing.map(|(label, _)| images.classes().name(label)).collect(),
    }
}

/// Each class needs a folder of its own, which is called like it when it is read again.
fn check_folders(images: &Dataset) -> Result<(), DataError> {
    let wrong =
        |found: String| DataError::Layout { path: images.name(0), found, advice: "rename the class".into() };
    let mut folders = BTreeMap::new();
    for class in &images.classes().0 {
        if folder_name(class) != *class {
            return Err(wrong(format!("its class '{class}' cannot be the name of a folder everywhere")));
        }
        if let Some(other) = folders.insert(class.to_lowercase(), class) {
            return Err(wrong(format!("the classes '{other}' and '{class}' differ in capitals only")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::open::open_for_evaluation;
    use crate::pixels::image::Image;

    const HALVES: SplitOptions = SplitOptions { validation: 0.5, test: 0.0, seed: Seed(0), link: false };

    /// Eight images of two classes.
    fn draw(photos: &Path) -> Dataset {
        for (class, first) in [("cat", 0), ("dog", 4)] {
            fs::create_dir_all(photos.join(class)).unwrap();
            for shade in first..first + 4 {
                let image = Image::new(2, 2, 1, vec![shade; 4]).unwrap();
                image.save_png(&photos.join(class).join(format!("{shade}.png"))).unwrap();
            }
        }
        open_for_evaluation(photos, None).unwrap()
    }

    fn seen(out: &Path) -> usize {
        let is_seen = |name: &str| !name.starts_with('.');
        fs::read_dir(out)
            .unwrap()
            .filter(|entry| is_seen(&entry.as_ref().unwrap().file_name().to_string_lossy()))
            .count()
    }

    /// Bug: a call that was stopped half way left parts that looked whole.
    #[test]
    fn parts_appear_when_all_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let [photos, out, failed] = ["photos", "out", "failed"].map(|name| folder.path().join(name));
        let images = draw(&photos);
        let summary = split_into_folders(&images, &out, &HALVES, |_| assert_eq!(seen(&out), 0)).unwrap();
        assert_eq!((summary.images, seen(&out)), ([4, 4, 0], 2));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);

        let lose = |_: usize| drop(fs::remove_dir_all(&photos));
        let message = split_into_folders(&images, &failed, &HALVES, lose).unwrap_err().to_string();
        assert!(message.contains("photos"), "{message}");
        assert_eq!(fs::read_dir(&failed).unwrap().count(), 0);
    }

    #[test]
    fn either_part_to_measure_on_may_be_left_out_but_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let images = draw(&folder.path().join("photos"));
        let out = folder.path().join("out");
        let none = SplitOptions { validation: 0.0, ..HALVES };
        let message = split_into_folders(&images, &out, &none, |_| ()).unwrap_err().to_string();
        assert!(message.contains("is 0, but must be above 0"), "{message}");
        let tested = SplitOptions { test: 0.5, ..none };
        assert_eq!(split_into_folders(&images, &out, &tested, |_| ()).unwrap().images, [4, 0, 4]);
        assert!(out.join("test/dog").is_dir() && !out.join("val").exists());
    }
}
