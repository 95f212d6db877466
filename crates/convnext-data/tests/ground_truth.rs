//! ImageNet as it comes: class folders for training, and for validation a folder of images whose labels
//! stand in one of the files that people have.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

#[path = "ground_truth/indices.rs"]
mod indices;

use std::{
    fs::{self, File},
    path::PathBuf,
};

use convnext_core::Seed;
use convnext_data::{
    DataError, Dataset, Image, Split, open_for_evaluation, open_labelled, open_part, open_parts,
};
use tempfile::TempDir;

/// Kit fox, English setter and tench: the IDs 1 and 2 of ILSVRC2012, and the first of all synsets.
const SYNSETS: [&str; 3] = ["n02119789", "n02100735", "n01440764"];

/// The list of IDs, as in the development kit.
const IDS: &str = "n02119789 1 kit_fox\nn02100735 2 English_setter\nn01440764 449 tench\n";

/// The synset of every validation image, in the order of their names.
const TRUTH: [&str; 4] = ["n02100735", "n01440764", "n02119789", "n02100735"];

struct ImageNet {
    folder: TempDir,
}

impl ImageNet {
    fn new() -> Self {
        let data = Self { folder: tempfile::tempdir().unwrap() };
        for synset in SYNSETS {
            data.image(&format!("train/{synset}/{synset}_1.JPEG"));
        }
        for number in 1..=TRUTH.len() {
            data.image(&format!("val/{}", name(number)));
        }
        data
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn image(&self, path: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::new(1, 1, 3, vec![7; 3]).unwrap().save_png(&path).unwrap();
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        fs::write(&path, text).unwrap();
        path
    }

    fn message(&self) -> String {
        open_labelled(&self.root(), None, 0.5, Seed(0)).unwrap_err().to_string()
    }
}

fn name(number: usize) -> String {
    format!("ILSVRC2012_val_{number:08}.JPEG")
}

/// Class and number of every image.
fn contents(dataset: &Dataset) -> Vec<String> {
    let number = |name: &str| name.trim_end_matches(".JPEG").chars().last().unwrap();
    (0..dataset.len())
        .map(|i| {
            format!("{}:{}", dataset.classes().name(dataset.label(i).unwrap()), number(&dataset.name(i)))
        })
        .collect()
}

/// Content of every label file below.
const EXPECTED: [&str; 4] = ["n01440764:2", "n02100735:1", "n02100735:4", "n02119789:3"];

/// Name and content of every kind of file.
fn files() -> Vec<(&'static str, String)> {
    let numbered = |line: &dyn Fn(usize, &str) -> String| -> String {
        // The order of lines with names is free.
        TRUTH.iter().enumerate().rev().map(|(i, synset)| line(i + 1, synset)).collect()
    };
    let mut sorted = SYNSETS;
    sorted.sort_unstable();
    let index = |synset: &str| sorted.iter().position(|known| *known == synset).unwrap();
    vec![
        ("LOC_val_solution.csv", {
            let lines = numbered(&|i, synset| {
                format!("{},{synset} 85 1 499 272 {synset} 1 2 3 4 \n", name(i).trim_end_matches(".JPEG"))
            });
            format!("ImageId,PredictionString\n{lines}")
        }),
        ("imagenet_2012_validation_synset_labels.txt", TRUTH.join("\r\n") + "\r\n\r\n"),
        ("val.txt", numbered(&|i, synset| format!("{} {}\n", name(i), index(synset)))),
        ("val.txt", numbered(&|i, synset| format!("val/{}\t{synset}\n", name(i)))),
        ("ILSVRC2012_validation_ground_truth.txt", "2\n449\n1\n2\n".into()),
    ]
}

#[test]
fn class_folders_count_in_the_order_of_synsets() {
    let data = ImageNet::new();
    fs::remove_dir_all(data.root().join("val")).unwrap();
    for (number, synset) in TRUTH.iter().enumerate() {
        data.image(&format!("val/{synset}/{}", name(number + 1)));
    }
    let opened = open_labelled(&data.root(), None, 0.5, Seed(0)).unwrap();
    assert_eq!(opened.train.classes().0, ["n01440764", "n02100735", "n02119789"]);
    assert_eq!(opened.validation.classes(), opened.train.classes());
    assert_eq!(contents(&opened.validation), EXPECTED);
    assert!(!opened.held_out);
}

#[test]
fn every_kind_of_file_labels_the_images() {
    for (file, text) in files() {
        for place in ["", "val/"] {
            let data = ImageNet::new();
            data.write(&format!("{place}map_clsloc.txt"), IDS);
            data.write(&format!("{place}{file}"), &text);
            let opened = open_labelled(&data.root(), None, 0.5, Seed(0)).unwrap();
            assert_eq!(contents(&opened.validation), EXPECTED, "{place}{file}");
            assert_eq!(opened.train.labels_per_class(), [1, 1, 1]);
            assert!(!opened.held_out);
            assert_eq!(
                contents(&open_for_evaluation(&data.root(), None).unwrap()),
                EXPECTED,
                "{place}{file}"
            );
        }
        // Named, under another name, and for an archive.
        let data = ImageNet::new();
        let extension = file.rsplit('.').next().unwrap();
        let named = data.folder.path().join(format!("truth.{extension}"));
        fs::write(&named, &text).unwrap();
        fs::write(data.folder.path().join("map_clsloc.txt"), IDS).unwrap();
        let archive = data.folder.path().join("data.tar");
        let mut builder = tar::Builder::new(File::create(&archive).unwrap());
        builder.append_dir_all("top", data.root()).unwrap();
        builder.finish().unwrap();
        for path in [data.root(), archive] {
            let opened = open_labelled(&path, Some(&named), 0.5, Seed(0)).unwrap();
            assert_eq!(contents(&opened.validation), EXPECTED, "{file}");
            assert_eq!(contents(&open_for_evaluation(&path, Some(&named)).unwrap()), EXPECTED, "{file}");
        }
    }
}

#[test]
fn a_validation_folder_alone_needs_names_of_synsets() {
    for (file, text) in files() {
        let data = ImageNet::new();
        data.write("map_clsloc.txt", IDS);
        data.write(file, &text);
        // The folder itself, with the file beside it.
        let opened = open_for_evaluation(&data.root().join("val"), None);
        if text.contains("JPEG 0") {
            let message = opened.unwrap_err().to_string();
            assert!(message.contains("val.txt, line 1: expected a synset"), "{message}");
        } else {
            assert_eq!(contents(&opened.unwrap()), EXPECTED, "{file}");
        }
    }
}

#[test]
fn without_labels_the_advice_names_the_files() {
    let data = ImageNet::new();
    let message = data.message();
    for words in ["data/val has the wrong layout", "no class folders", "LOC_val_solution.csv", "val.txt"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    data.write("ILSVRC2012_validation_ground_truth.txt", "2\n449\n1\n2\n");
    let message = data.message();
    assert!(message.contains("ILSVRC2012_IDs") && message.contains("put map_clsloc.txt there"), "{message}");
}

#[test]
fn mistakes_are_named_by_line() {
    let first = name(1);
    for (file, text, words) in [
        ("val.txt", String::new(), "line 1: expected labels of the 4 images in "),
        ("val.txt", "n02100735\n".repeat(5), "line 5: expected labels of the 4 images in "),
        ("val.txt", "n02100735\nn02100735\nn00000001\n1".into(), "line 3: expected one of the 3 classes"),
        ("val.txt", "n02100735\n\n1\n2\n".into(), "line 2: expected one of the 3 classes"),
        ("val.txt", "a\n3\n1\n2\n".into(), "or a number below 3, but found 'a'"),
        ("val.txt", format!("{first} 1\n{first} 1\nx 1\nx 1"), "line 2: expected no image of line 1"),
        ("val.txt", format!("{first} 1\ngone.JPEG 1\nx 1\nx 1"), "found 'gone.JPEG'"),
        ("val.txt", format!("{first} 1\n{first}\nx 1\nx 1"), "line 2: expected 'FILE LABEL'"),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\na,n02100735 1".into(),
            "line 2: expected labels of",
        ),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\na\nb\nc\nd".into(),
            "line 2: expected 'IMAGE,SYNSET",
        ),
        (
            "ILSVRC2012_validation_ground_truth.txt",
            "1\n2\n3\n449".into(),
            "line 3: expected an ILSVRC2012_ID",
        ),
    ] {
        let data = ImageNet::new();
        data.write("map_clsloc.txt", IDS);
        data.write(file, &text);
        let message = data.message();
        assert!(message.contains(file) && message.contains(words), "{file} {text:?}: {message}");
    }
    for (ids, words) in [
        ("n02119789 kit fox", "line 1: expected 'nXXXXXXXX ID name'"),
        ("n02119789 1 a\nn02100735 1 b", "line 2: expected every ID once, but found ID 1 again"),
    ] {
        let data = ImageNet::new();
        data.write("map_clsloc.txt", ids);
        data.write("ILSVRC2012_validation_ground_truth.txt", "1\n1\n1\n1");
        let message = data.message();
        assert!(message.contains("map_clsloc.txt") && message.contains(words), "{message}");
    }
}

#[test]
fn a_file_of_labels_needs_a_folder_of_images() {
    let data = ImageNet::new();
    let named = data.write("truth.txt", "n02100735\n".repeat(4));
    let message = |named: &PathBuf| -> String {
        let opened: Result<_, DataError> = open_labelled(&data.root(), Some(named), 0.5, Seed(0));
        opened.unwrap_err().to_string()
    };
    data.image("val/n02100735/1.JPEG");
    assert!(message(&named).contains("but it has folders"), "{}", message(&named));
    fs::remove_dir_all(data.root().join("val")).unwrap();
    assert!(message(&named).contains("it has no 'val'"), "{}", message(&named));
    let gone = data.root().join("gone.txt");
    assert!(message(&gone).contains("gone.txt"), "{}", message(&gone));
}

#[test]
fn labels_of_validation_are_not_given_to_a_test_without_classes() {
    let data = ImageNet::new();
    // As many as for validation, so that their number tells nothing.
    for number in 1..=TRUTH.len() {
        data.image(&format!("test/ILSVRC2012_test_{number:08}.JPEG"));
    }
    for (file, text) in files() {
        data.write("map_clsloc.txt", IDS);
        let found = data.write(file, &text);
        let named = data.folder.path().join(format!("truth.{}", file.rsplit('.').next().unwrap()));
        fs::write(&named, &text).unwrap();
        fs::write(data.folder.path().join("map_clsloc.txt"), IDS).unwrap();
        for labels in [None, Some(named.as_path())] {
            let (opened, test) = open_parts(&data.root(), labels, 0.5, Seed(0)).unwrap();
            assert_eq!(contents(&opened.validation), EXPECTED, "{file}");
            assert!(test.is_none(), "{file}");
        }
        let message = open_part(&data.root(), None, Some(Split::Test)).unwrap_err().to_string();
        let words = ["data/test", "no class folders", "is for the validation images", "--labels"];
        assert!(words.iter().all(|word| message.contains(word)), "{file}: {message}");
        fs::remove_file(found).unwrap();
    }
    // A file that is named together with the part is for it.
    let named = data.folder.path().join("test_truth.txt");
    fs::write(&named, TRUTH.join("\n")).unwrap();
    let part = open_part(&data.root(), Some(&named), Some(Split::Test)).unwrap();
    assert_eq!((part.split, part.images.len()), (Some(Split::Test), TRUTH.len()));
    // Without validation the test takes its place.
    fs::remove_dir_all(data.root().join("val")).unwrap();
    let opened = open_labelled(&data.root(), Some(&named), 0.5, Seed(0)).unwrap();
    assert_eq!(opened.validation_split, Some(Split::Test));
    assert_eq!(contents(&opened.validation), EXPECTED);
}

#[test]
fn class_folders_of_a_test_count_beside_a_file_of_labels_for_validation() {
    let data = ImageNet::new();
    data.image(&format!("test/{}/1.JPEG", SYNSETS[0]));
    let named = data.write("truth.txt", TRUTH.join("\n"));
    let (opened, test) = open_parts(&data.root(), Some(&named), 0.5, Seed(0)).unwrap();
    assert_eq!(contents(&opened.validation), EXPECTED);
    assert_eq!(contents(&test.unwrap().images), [format!("{}:1", SYNSETS[0])]);
}
