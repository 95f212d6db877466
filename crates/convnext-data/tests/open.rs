//! Folders and archives of the known layouts become the same data sets.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use convnext_core::Seed;
use convnext_data::{
    DataError, Dataset, Decoding, Image, Orientation, Split, open_for_evaluation, open_labelled, open_part,
    open_parts, open_unlabelled,
};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

/// A folder `data` with an image at each path (a path that ends in `/` is an empty folder).
fn folder(paths: &[&str]) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    for (index, path) in paths.iter().enumerate() {
        let file = data.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(file).unwrap();
        } else {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            Image::new(1, 1, 3, vec![index as u8; 3]).unwrap().save_png(&file).unwrap();
        }
    }
    (root, data)
}

/// The same content as a folder, a `.tar` and a `.tar.gz`, the archives with a top folder.
fn packed(data: &Path) -> [PathBuf; 3] {
    let (tar, gzip) = (data.with_extension("tar"), data.with_extension("tar.gz"));
    let mut builder = tar::Builder::new(File::create(&tar).unwrap());
    builder.append_dir_all("top", data).unwrap();
    builder.finish().unwrap();
    let mut encoder = GzEncoder::new(File::create(&gzip).unwrap(), Compression::fast());
    std::io::copy(&mut File::open(&tar).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap();
    [data.to_owned(), tar, gzip]
}

/// Label and first pixel value of every image.
fn content(dataset: &Dataset) -> Vec<(Option<usize>, u8)> {
    (0..dataset.len())
        .map(|i| {
            (dataset.label(i), dataset.image(i, &Decoding::new(3, Orientation::Honour)).unwrap().bytes()[0])
        })
        .collect()
}

fn many(classes: &[&str], images: usize) -> Vec<String> {
    classes.iter().flat_map(|class| (0..images).map(move |i| format!("{class}/{i:02}.png"))).collect()
}

fn message(result: Result<impl Sized, DataError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn every_source_gives_the_same_parts() {
    let (_root, data) =
        folder(&["train/dog/1.png", "train/cat/2.png", "train/cat/deep/1.png", "val/dog/1.png", "notes/"]);
    for path in packed(&data) {
        let opened = open_labelled(&path, None, 0.1, Seed(0)).unwrap();
        assert_eq!(opened.train.classes().0, ["cat", "dog"]);
        assert_eq!(content(&opened.train), [(Some(0), 1), (Some(0), 2), (Some(1), 0)]);
        assert_eq!(opened.train.labels_per_class(), [2, 1]);
        // The label is that of the training classes.
        assert_eq!(content(&opened.validation), [(Some(1), 3)]);
        assert_eq!(opened.validation.classes(), opened.train.classes());

        let evaluation = open_for_evaluation(&path, None).unwrap();
        assert_eq!(
            (evaluation.classes().0.clone(), content(&evaluation)),
            (vec!["dog".into()], vec![(Some(0), 3)])
        );

        let all = open_unlabelled(&path).unwrap();
        assert_eq!(content(&all), [(None, 1), (None, 2), (None, 0), (None, 3)]);
        assert!(all.classes().is_empty() && all.labels_per_class().is_empty());
        let separator = if path == data { "data/train" } else { ": top/train" };
        assert!(all.name(0).contains(&format!("{separator}/cat/2.png")), "{}", all.name(0));
    }
}

#[test]
fn classes_without_parts_are_split() {
    let paths = many(&["cat", "dog"], 10);
    let (_root, data) = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    for path in packed(&data) {
        let split = |seed| open_labelled(&path, None, 0.3, Seed(seed)).unwrap();
        let opened = split(1);
        assert_eq!(opened.train.labels_per_class(), [7, 7]);
        assert_eq!(opened.validation.labels_per_class(), [3, 3]);
        let mut all = [content(&opened.train), content(&opened.validation)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).map(|i| (Some(i / 10), i as u8)).collect::<Vec<_>>());
        assert_eq!(content(&opened.validation), content(&split(1).validation));
        assert_ne!(content(&opened.validation), content(&split(2).validation));
        assert_eq!(open_for_evaluation(&path, None).unwrap().len(), 20);
    }
    let error = message(open_labelled(&data, None, 1.0, Seed(0)));
    assert!(error.contains("validation fraction is 1"), "{error}");
}

#[test]
fn training_alone_is_split_but_not_evaluated() {
    let (_root, data) = folder(&["train/a/1.png", "train/a/2.png", "train/b/1.png"]);
    let opened = open_labelled(&data, None, 0.1, Seed(0)).unwrap();
    assert_eq!(
        (opened.train.labels_per_class(), opened.validation.labels_per_class()),
        (vec![1, 1], vec![1, 0])
    );
    let error = message(open_for_evaluation(&data, None));
    assert!(error.contains("it has 'train' but no 'val'"), "{error}");
}

#[test]
fn wrong_layouts_say_what_to_do() {
    for (paths, expected) in [
        (&["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png"][..], "class 'c' in"),
        (&["train/a/1.png", "train/b/"], "class 'b' in"),
        (&["a/1.png", "b/"], "class 'b' in"),
        (&["val/a/1.png"], "it has 'val' but no 'train'"),
        (&["1.png", "2.png"], "it has no class folders"),
        (&["a/1.png", "a/2.png"], "only one class, 'a'"),
    ] {
        let (_root, data) = folder(paths);
        let error = message(open_labelled(&data, None, 0.5, Seed(0)));
        assert!(error.contains(expected), "{paths:?}: {error}");
    }
    let (_root, data) = folder(&["train/a/1.png", "train/b/1.png", "val/c/1.png"]);
    let error = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(error.contains("its 2 classes are: a, b"), "{error}");
    let (_root, data) = folder(&["train/Cat/1.png", "train/dog/1.png", "val/cat/1.png"]);
    let error = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(error.contains("class 'cat' in") && error.contains("it has 'Cat', another case"), "{error}");
    let (_root, data) = folder(&["train/a/1.png", "train/a /1.png", "train/b/1.png"]);
    let error = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(error.contains("two folders for the class 'a'"), "{error}");
}

#[test]
fn parts_are_told_in_any_case_and_the_test_part_is_kept_for_the_end() {
    let (_root, data) = folder(&["Training/a/0.png", "Training/b/1.png", "Dev/a/2.png", "TEST/b/3.png"]);
    for path in packed(&data) {
        let (opened, test) = open_parts(&path, None, 0.1, Seed(0)).unwrap();
        assert_eq!(content(&opened.train), [(Some(0), 0), (Some(1), 1)]);
        assert_eq!(content(&opened.validation), [(Some(0), 2)]);
        assert!(
            opened.train_source.ends_with("Training") && opened.validation_source.ends_with("Dev"),
            "{opened:?}"
        );
        let test = test.unwrap();
        assert_eq!((test.split, test.images.len()), (Some(Split::Test), 1));
        let part = |split| open_part(&path, None, split).map(|part| content(&part.images));
        assert_eq!(part(None).unwrap(), [(Some(0), 2)]);
        assert_eq!(part(Some(Split::Test)).unwrap(), [(Some(0), 3)]);
        assert_eq!(part(Some(Split::Train)).unwrap(), [(Some(0), 0), (Some(1), 1)]);
    }
    let (_root, data) =
        folder(&["train/a/0.png", "train/a/1.png", "train/b/2.png", "train/b/3.png", "test/4.png"]);
    let opened = open_labelled(&data, None, 0.5, Seed(0)).unwrap();
    assert!(opened.held_out, "a test part without classes cannot be measured on");
}

#[test]
fn names_of_classes_are_compared_in_composed_form_and_empty_folders_count_as_missing() {
    let (_root, data) =
        folder(&["train/cafe\u{301}/0.png", "train/b/1.png", "val/caf\u{e9}/2.png", "val/b/", "val/none/"]);
    let opened = open_labelled(&data, None, 0.5, Seed(0)).unwrap();
    assert_eq!(opened.train.classes().0, ["b", "caf\u{e9}"]);
    assert_eq!(content(&opened.validation), [(Some(1), 2)]);
}

#[test]
fn labels_are_chosen_per_class() {
    let paths = many(&["cat", "dog"], 6);
    let (_root, data) = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let dataset = open_for_evaluation(&data, None).unwrap();
    let chosen = dataset.choose_per_class(4, Seed(3)).unwrap();
    assert_eq!(chosen.labels_per_class(), [4, 4]);
    assert_eq!(content(&chosen), content(&dataset.choose_per_class(4, Seed(3)).unwrap()));
    let differs =
        (4..9).any(|seed| content(&dataset.choose_per_class(4, Seed(seed)).unwrap()) != content(&chosen));
    assert!(differs);

    let few = dataset.subset(&[0, 1, 2, 3, 6, 7]);
    let error = message(few.choose_per_class(3, Seed(0)));
    assert!(error.contains("class 'dog' has 2 images, but 3 per class"), "{error}");
    assert!(open_unlabelled(&data).unwrap().choose_per_class(1, Seed(0)).is_err());
}
