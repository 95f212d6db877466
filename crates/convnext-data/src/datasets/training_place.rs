//! The place of the images to train on, for whoever wants these alone and without their labels.

use std::path::{Path, PathBuf};

use crate::datasets::layout::find_folders;
use crate::datasets::list_images::list_images;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::selection::Which;
use crate::datasets::shards::open::holds_shards;
use crate::datasets::shards::parts::ShardParts;
use crate::datasets::tree::Tree;
use crate::error::DataError;

/// Where in a data set the images lie that are trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainingPlace {
    /// Everywhere: it has no other parts.
    Everywhere,
    /// In this folder, which holds no others.
    Folder(PathBuf),
    /// Beside those of other parts, in an archive or in one folder of shards: no path leads to them alone.
    AmongOthers,
}

/// Finds the images that [`open_labelled`](crate::open_labelled) trains on without a file of labels, by the same rules. Files
/// are listed, and none is written.
///
/// # Errors
/// [`DataError`] when the path cannot be listed, or when its folders or shards could be several parts, or classes as well.
pub fn training_place(path: &Path) -> Result<TrainingPlace, DataError> {
    let listing = list_images(path)?;
    if holds_shards(&listing) {
        return among_shards(path, &listing);
    }
    let folders = find_folders(&listing, &Tree::of(&listing))?;
    let mut others = [Split::Validation, Split::Test].into_iter().filter_map(|split| folders.part(split));
    Ok(match folders.part(Split::Train).map(|folder| path.join(folder)) {
        // None is one within an archive, or one whose name is not Unicode.
        Some(folder) if folder.is_dir() => TrainingPlace::Folder(folder),
        Some(_) if others.next().is_some() => TrainingPlace::AmongOthers,
        _ => TrainingPlace::Everywhere,
    })
}

fn among_shards(path: &Path, listing: &Listing) -> Result<TrainingPlace, DataError> {
    let parts = ShardParts::of(listing)?;
    Ok(match parts.set(Which::Part(Split::Train)) {
        Some(set) if set.own.len() < set.all.len() => TrainingPlace::AmongOthers,
        Some(set) if set.folder != path => TrainingPlace::Folder(set.folder.clone()),
        _ => TrainingPlace::Everywhere,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io;

    use super::*;

    /// The place in a folder of these files, below it: `.` is everywhere.
    fn found(files: &[&str]) -> String {
        let data = tempfile::tempdir().unwrap();
        for file in files {
            let path = data.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        match training_place(data.path()) {
            Ok(TrainingPlace::Everywhere) => ".".to_owned(),
            Ok(TrainingPlace::Folder(folder)) => {
                folder.strip_prefix(data.path()).unwrap().display().to_string()
            }
            Ok(TrainingPlace::AmongOthers) => "among others".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_place_is_that_of_the_training_part() {
        for (files, expected) in [
            (&["train/a/1.png", "val/a/1.png"][..], "train"),
            (&["Training/a/1.png"], "Training"),
            (&["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/1.png"], "seg_train/seg_train"),
            (&["train2017/a/1.png", "val2017/a/1.png"], "train2017"),
            (&["photos/train/a/1.png", "photos/val/a/1.png"], "photos/train"),
            (&["a/1.png", "b/1.png"], "."),
            (&["photos/a/1.png", "photos/b/1.png"], "."),
            // A class that is called like a part.
            (&["car/1.png", "train/1.png", "bus/1.png"], "."),
            (&["train/0.tar", "val/0.tar"], "train"),
            (&["0.tar", "1.tar"], "."),
            (&["x-train-0.tar", "x-train-1.tar"], "."),
            (&["x-train-0.tar", "x-val-0.tar"], "among others"),
        ] {
            assert_eq!(found(files), expected, "{files:?}");
        }
        let refused = found(&["train/a/1.png", "car/b/1.png"]);
        assert!(refused.contains("may be a part of the data or a class"), "{refused}");
    }

    #[test]
    fn no_path_leads_into_an_archive() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("photos.tar");
        for (members, expected) in [
            (&["train/a/1.png", "val/a/1.png"][..], TrainingPlace::AmongOthers),
            (&["train/a/1.png"], TrainingPlace::Everywhere),
            (&["a/1.png", "b/1.png"], TrainingPlace::Everywhere),
        ] {
            let mut archive = tar::Builder::new(File::create(&path).unwrap());
            for member in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(0);
                archive.append_data(&mut header, member, io::empty()).unwrap();
            }
            archive.finish().unwrap();
            assert_eq!(training_place(&path).unwrap(), expected, "{members:?}");
        }
    }
}
