//! Parts of data: what their folders, shards and rows may be called, and what is refused.

use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

pub(super) const FINETUNE: &str =
    "finetune --init none --model micro --image-size 32 --steps 2 --out run --data";

pub(super) fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("classifier.safetensors", classifier());
    bench
}

/// What `data check` took for what, as `part: images from source`, and the number of classes.
pub(super) fn taken(bench: &Bench, data: &str) -> (Vec<String>, usize) {
    let found = bench.json(&format!("data check {data} --json"));
    let parts = found["parts"].as_array().unwrap();
    let parts = parts.iter().zip(found["taken"].as_array().unwrap()).map(|(part, taken)| {
        assert_eq!(part["name"], taken["part"]);
        format!(
            "{}: {} from {}",
            part["name"].as_str().unwrap(),
            part["images"],
            taken["source"].as_str().unwrap()
        )
    });
    (parts.collect(), found["classes"].as_array().unwrap().len())
}

/// What `evaluate` measured on.
pub(super) fn measured(bench: &Bench, line: &str) -> String {
    let result = bench.json(&format!("evaluate --weights classifier.safetensors --json --data {line}"));
    let part = &result["part"];
    format!(
        "{}: {} from {}",
        part["split"].as_str().unwrap(),
        result["images"],
        part["source"].as_str().unwrap()
    )
}

#[test]
fn folders_of_parts_go_by_their_words_in_any_case() {
    for (train, other, inner) in [
        ("Train", "Test", ""),
        ("TRAINING", "TESTING", ""),
        ("training_set", "test_set", "/training_set|/test_set"),
        ("seg_train", "seg_test", "/seg_train|/seg_test"),
        ("imgs-train", "imgs-dev", ""),
        ("train2017", "val2017", ""),
        ("my.data.train", "my.data.eval", ""),
        ("trainingSet", "validSet", ""),
    ] {
        let bench = bench();
        let (in_train, in_other) = inner.split_once('|').unwrap_or_default();
        bench.draw_classes(&format!("data/{train}{in_train}"), 3);
        bench.draw_classes(&format!("data/{other}{in_other}"), 1);
        let expected = [
            format!("train: 9 from data/{train}{in_train}"),
            format!("validation: 3 from data/{other}{in_other}"),
        ];
        assert_eq!(taken(&bench, "data"), (expected.to_vec(), 3), "{train}");
        let part = measured(&bench, "data");
        assert!(part.ends_with(&format!(": 3 from data/{other}{in_other}")), "{part}");
    }
}

#[test]
fn a_test_part_beside_validation_is_for_a_last_test_alone() {
    let bench = bench();
    bench.draw_classes("data/Training", 4);
    bench.draw_classes("data/Valid", 1);
    bench.draw_classes("data/Test", 2);
    let expected =
        ["train: 12 from data/Training", "validation: 3 from data/Valid", "test: 6 from data/Test"];
    assert_eq!(taken(&bench, "data").0, expected);
    assert!(
        bench
            .succeed("data check data")
            .contains("test: 6 images of 3 classes from data/Test (for `evaluate --split test` alone)")
    );
    assert_eq!(measured(&bench, "data"), "validation: 3 from data/Valid");
    assert_eq!(measured(&bench, "data --split test"), "test: 6 from data/Test");
    assert_eq!(measured(&bench, "data --split train"), "train: 12 from data/Training");
    assert_eq!(measured(&bench, "data --split test --knn --neighbours 3"), "test: 6 from data/Test");
    assert_eq!(measured(&bench, "data --knn --neighbours 3"), "validation: 3 from data/Valid");
    let said = bench.succeed(&format!("{FINETUNE} data"));
    assert!(said.contains("% on the validation part, data/Valid"), "{said}");
    bench.refuse(
        2,
        &[(
            "evaluate --weights classifier.safetensors --data data --split test --val-fraction 0.2",
            &["--split"],
        )],
    );
    bench.refuse(
        2,
        &[(
            "evaluate --weights classifier.safetensors --data data --split dev",
            &["train, validation, test"],
        )],
    );
}

#[test]
fn a_test_part_takes_the_place_of_validation_and_that_is_said() {
    let bench = bench();
    bench.draw_classes("data/train", 3);
    bench.draw_classes("data/test", 1);
    let words = "validation: 3 images of 3 classes from data/test (the part for a test, because there is none for validation)";
    let said = bench.succeed("data check data");
    assert!(said.contains(words), "{said}");
    assert_eq!(measured(&bench, "data"), "test: 3 from data/test");
    let said = bench.succeed("evaluate --weights classifier.safetensors --data data");
    assert!(said.contains("measured on the test part, data/test"), "{said}");
    let said = bench.succeed(&format!("{FINETUNE} data"));
    assert!(said.contains("% on the test part, data/test, which chose the best weights"), "{said}");
    bench.refuse(
        1,
        &[(
            "evaluate --weights classifier.safetensors --data data --split val",
            &["no validation part, but 'train', 'test'"],
        )],
    );
}

#[test]
fn a_test_part_without_classes_is_left_out() {
    let bench = bench();
    bench.draw_classes("data/train", 5);
    bench.draw("data/test/1.png", CLASSES[0], 1);
    bench
        .run("data check data")
        .success()
        .stdout(contains("held out: 3 images"))
        .stderr(contains("data/test: its images have no classes"));
}

#[test]
fn a_class_may_be_called_like_a_part() {
    let bench = bench();
    for (folder, class) in ["train", "car", "bus"].into_iter().zip(CLASSES) {
        for number in 0..5 {
            bench.draw(&format!("vehicles/{folder}/{number}.png"), class, number);
        }
    }
    let expected = ["train: 12 from vehicles", "held out: 3 from vehicles"];
    assert_eq!(taken(&bench, "vehicles"), (expected.map(str::to_owned).to_vec(), 3));
}

#[test]
fn folders_that_could_be_parts_or_classes_are_refused() {
    let bench = bench();
    for (data, folders) in [
        ("alike", &["part1/checkers", "part1/vertical", "part2/checkers", "part2/vertical"][..]),
        ("cased", &["A/Checkers", "A/Vertical", "B/checkers", "B/vertical"]),
        ("below", &["checkers/train", "checkers/test", "vertical/train", "vertical/test"]),
        ("mixed", &["train/checkers", "train/vertical", "more/checkers", "more/vertical"]),
        ("twice", &["train/checkers", "train/vertical", "val/checkers", "validation/checkers"]),
        ("joined", &["trainval/checkers", "trainval/vertical", "test/checkers"]),
        ("flat", &["seg_train", "seg_test", "seg_pred"]),
    ] {
        for folder in folders {
            bench.draw(&format!("{data}/{folder}/1.png"), CLASSES[0], 1);
            bench.draw(&format!("{data}/{folder}/2.png"), CLASSES[0], 2);
        }
        let words = &[data, "name the folder of the training part 'train'"][..];
        bench.refuse(1, &[(&format!("{FINETUNE} {data}"), words), (&format!("data check {data}"), words)]);
    }
    // Measured on as a whole, all images would be pooled.
    let evaluate = "evaluate --weights classifier.safetensors --data";
    bench.refuse(
        1,
        &[
            (&format!("{evaluate} below"), &["parts lie below classes", "train/CLASS and val/CLASS"]),
            (&format!("{evaluate} alike"), &["hold the same folders"]),
        ],
    );
    assert!(!bench.exists("run"));
}

#[test]
fn parts_in_an_archive_and_below_single_folders_are_the_same() {
    let bench = bench();
    bench.draw_classes("top/set/Training", 3);
    bench.draw_classes("top/set/Testing", 1);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all("set", bench.path("top/set")).unwrap();
    bench.write("data.tar", archive.into_inner().unwrap());
    for (data, separator) in [("top", "/"), ("data.tar", ": ")] {
        let expected = [
            format!("train: 9 from {data}{separator}set/Training"),
            format!("validation: 3 from {data}{separator}set/Testing"),
        ];
        assert_eq!(taken(&bench, data).0, expected);
    }
}

#[cfg(unix)]
#[test]
fn linked_parts_count() {
    let bench = bench();
    bench.draw_classes("elsewhere/a", 3);
    bench.draw_classes("elsewhere/b", 1);
    bench.make_folder("data");
    std::os::unix::fs::symlink(bench.path("elsewhere/a"), bench.path("data/Train")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere/b"), bench.path("data/Dev")).unwrap();
    assert_eq!(taken(&bench, "data").0, ["train: 9 from data/Train", "validation: 3 from data/Dev"]);
}

#[test]
fn parts_below_the_classes_of_a_part_are_refused() {
    let bench = bench();
    bench.draw_classes("data/val", 1);
    for class in CLASSES {
        for part in ["train", "val"] {
            bench.draw(&format!("data/train/{class}/{part}/1.png"), class, 1);
        }
    }
    let words = &["data/train", "parts lie below classes"][..];
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} data"), words),
            ("data check data", words),
            ("evaluate --weights classifier.safetensors --split train --data data", words),
        ],
    );
}

#[test]
fn a_test_without_labels_lies_beside_a_validation_part_with_a_file_of_them() {
    let bench = bench();
    let mut solution = String::from("ImageId,PredictionString\n");
    for (number, class) in CLASSES.into_iter().enumerate() {
        bench.draw(&format!("data/Data/CLS-LOC/train/{class}/1.png"), class, 1);
        bench.draw(&format!("data/Data/CLS-LOC/val/v{number}.png"), class, 2);
        bench.draw(&format!("data/Data/CLS-LOC/test/t{number}.png"), class, 3);
        solution += &format!("v{number},{class} 1 2 3 4\n");
    }
    bench.write("data/LOC_val_solution.csv", solution);
    let below = "data/Data/CLS-LOC";
    let expected = [format!("train: 3 from {below}/train"), format!("validation: 3 from {below}/val")];
    assert_eq!(taken(&bench, "data"), (expected.to_vec(), 3));
    bench.succeed("data pack data packed --labelled");
    let words = &["CLS-LOC/test", "is for the validation images"][..];
    bench.refuse(1, &[("evaluate --weights classifier.safetensors --data data --split test", words)]);
}
