//! Layouts of folders.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::datasets::class_checks::{check_classes_differ, check_no_parts_below_classes};
use crate::datasets::extensions::OtherFiles;
use crate::datasets::relative::{add_folders, parent};
use crate::datasets::storage::Storage;

/// Paths that end in `/` are folders, others images.
fn listing(paths: &[&str]) -> Listing {
    let mut folders = BTreeSet::new();
    for path in paths {
        add_folders(&mut folders, parent(path));
    }
    let mut images: Vec<&str> = paths.iter().copied().filter(|path| !path.ends_with('/')).collect();
    images.sort_unstable();
    Listing {
        root: "data".into(),
        is_archive: false,
        images: images.into_iter().collect(),
        folders,
        archives: BTreeMap::new(),
        others: OtherFiles::default(),
        metadata: None,
        storage: Storage::Folder("data".into()),
        keeps_index: true,
    }
}

/// The parts `train|validation|test`, or the folder that holds the classes, or the refusal.
fn found(paths: &[&str]) -> String {
    let listing = listing(paths);
    match find_folders(&listing, &Tree::of(&listing)) {
        Ok(Folders { whole: Some(folder), .. }) => format!("classes in '{folder}'"),
        Ok(folders) => Split::ALL.map(|split| folders.part(split).unwrap_or("-").to_owned()).join("|"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn parts_are_found_by_the_words_of_their_names() {
    for (paths, expected) in [
        (&["train/a/1.png", "val/a/1.png", "test/a/1.png"][..], "train|val|test"),
        (&["Train/a/1.png", "Test/a/1.png"], "Train|-|Test"),
        (&["TRAINING/a/1.png", "Testing/a/1.png"], "TRAINING|-|Testing"),
        (&["training_set/a/1.png", "dev-set/a/1.png"], "training_set|dev-set|-"),
        (&["data-train/a/1.png", "data-eval/a/1.png"], "data-train|-|data-eval"),
        (&["train2017/a/1.png", "val2017/a/1.png"], "train2017|val2017|-"),
        (
            &["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/1.png"],
            "seg_train/seg_train|-|seg_test/seg_test",
        ),
        (&["train/a/1.png"], "train|-|-"),
        (&["valid/a/1.png"], "-|valid|-"),
        (&["val/1.png"], "-|val|-"),
        // Empty folders with plain names are mistakes that are told later.
        (&["train/a/1.png", "val/"], "train|val|-"),
        // The plain name goes before others, and full folders before empty ones.
        (&["Training/a/1.png", "Test/a/1.png", "test-multiple_fruits/1.png"], "Training|-|Test"),
        (&["train/a/1.png", "val/", "validation/a/1.png"], "train|validation|-"),
        // What lies beside parts is left out.
        (&["train/a/1.png", "test/a/1.png", "pred/1.png", "loose.png"], "train|-|test"),
    ] {
        assert_eq!(found(paths), expected, "{paths:?}");
    }
}

#[test]
fn single_folders_are_entered() {
    for (paths, expected) in [
        (&["top/train/a/1.png", "top/val/a/1.png"][..], "top/train|top/val|-"),
        (&["x/y/train/a/1.png", "x/y/extra/"], "x/y/train|-|-"),
        (
            &["ILSVRC/Data/CLS/train/a/1.png", "ILSVRC/Data/CLS/val/1.png", "ILSVRC/Annotations/"],
            "ILSVRC/Data/CLS/train|ILSVRC/Data/CLS/val|-",
        ),
        (&["images/train/a/1.png", "images/val/a/1.png", "labels/train/"], "images/train|images/val|-"),
        (&["Test/train/a/1.png", "Test/val/a/1.png"], "Test/train|Test/val|-"),
        (&["my-test-data/a/1.png", "my-test-data/b/1.png"], "classes in 'my-test-data'"),
        (&["top/a/1.png", "top/b/1.png"], "classes in 'top'"),
        (&["top/a/x/1.png", "top/b/1.png"], "classes in 'top'"),
        // A single folder with images is a class, whatever it holds beside them.
        (&["a/1.png"], "classes in ''"),
        (&["a/1.png", "a/more/2.png"], "classes in ''"),
        (&["1.png", "top/a/1.png", "top/b/1.png"], "classes in ''"),
    ] {
        assert_eq!(found(paths), expected, "{paths:?}");
    }
}

#[test]
fn folders_with_images_directly_in_them_are_classes() {
    for paths in [
        &["a/1.png", "b/1.png"][..],
        &["train/1.png", "car/1.png", "bus/1.png"],
        &["test/1.png", "beaker/1.png"],
        &["blood_test/1.png", "urine_test/1.png"],
        &["train_val/1.png", "b/1.png"],
    ] {
        assert_eq!(found(paths), "classes in ''", "{paths:?}");
    }
}

#[test]
fn what_could_be_either_is_refused() {
    for (paths, words) in [
        (&["train/a/1.png", "car/1.png"][..], "'train' may be a part of the data or a class beside 'car'"),
        (&["train/1.png", "car/x/1.png"], "may be a part"),
        (&["train/1.png", "test/1.png", "car/1.png"], "'test', 'train' may be a part"),
        (&["trainval/a/1.png", "test/a/1.png"], "'test' may be a part"),
        (
            &["train/a/1.png", "val/a/1.png", "valid/a/1.png"],
            "'val', 'valid' could each be the validation part",
        ),
        (&["train/a/1.png", "Train/a/1.png"], "could each be the train part"),
        (&["a_train/a/1.png", "b_train/a/1.png"], "could each be the train part"),
    ] {
        let found = found(paths);
        assert!(
            found.contains(words) && found.contains("name the folder of the training part"),
            "{paths:?}: {found}"
        );
    }
}

#[test]
fn classes_that_look_like_parts_are_refused() {
    let message = |paths: &[&str]| {
        let listing = listing(paths);
        let tree = Tree::of(&listing);
        check_no_parts_below_classes(&listing, &tree, "", None)
            .and_then(|()| check_classes_differ(&listing, &tree, ""))
            .map_err(|error| error.to_string())
    };
    for (paths, words) in [
        (
            &["p/cat/1.png", "p/dog/1.png", "q/Cat/1.png", "q/dog/1.png"][..],
            "'p', 'q' hold the same folders ('cat', 'dog')",
        ),
        (&["p/a/1.png", "p/b/1.png", "p/c/1.png", "q/a/1.png", "q/b/1.png"], "hold the same folders"),
        (
            &["cat/train/1.png", "cat/test/1.png", "dog/train/1.png"],
            "'cat', 'dog' hold the parts 'test', 'train'",
        ),
        (
            &["cat/Train/1.png", "cat/Val/1.png", "dog/Train/1.png", "dog/Val/1.png"],
            "parts lie below classes",
        ),
        // Beside images and other folders, at any depth, and in a few classes only.
        (
            &["cat/train/1.png", "cat/2.png", "dog/train/1.png", "owl/1.png", "fox/1.png", "elk/1.png"],
            "'cat', 'dog' hold the parts 'train'",
        ),
        (&["cat/x/y/train/1.png", "cat/x/test/1.png", "dog/1.png", "owl/1.png"], "'cat' hold the parts"),
        (&["cat/a/val/1.png", "dog/b/Test/1.png", "owl/1.png"], "hold the parts 'Test', 'val'"),
    ] {
        let found = message(paths).unwrap_err();
        assert!(found.contains(words) && found.contains("'train'"), "{paths:?}: {found}");
    }
    for paths in [
        &["cat/images/1.png", "dog/images/1.png"][..],
        &["cat/a/1.png", "cat/b/1.png", "dog/c/1.png"],
        &["cat/1.png", "dog/1.png"],
        &["cat/a/1.png", "cat/b/1.png", "dog/a/1.png", "dog/b/1.png", "x/1.png", "y/1.png"],
        // A class called like a part, or one folder of one class.
        &["train/1.png", "car/1.png", "test/1.png"],
        &["cat/test/1.png", "dog/1.png"],
    ] {
        message(paths).unwrap();
    }
}

#[test]
fn folders_below_classes_of_a_part_may_repeat_its_name_only() {
    let listing = listing(&["train/cat/train/1.png", "train/dog/Training/1.png", "val/cat/train/1.png"]);
    let tree = Tree::of(&listing);
    check_no_parts_below_classes(&listing, &tree, "train", Some(Split::Train)).unwrap();
    let error = check_no_parts_below_classes(&listing, &tree, "train", Some(Split::Validation)).unwrap_err();
    assert!(
        error.to_string().contains("data/train") && error.to_string().contains("'cat', 'dog'"),
        "{error}"
    );
}
