//! `convnext data split`, and flat folders in `data check`.

use std::fs;

use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

fn count(bench: &Bench, folder: &str) -> usize {
    fs::read_dir(bench.path(folder)).map_or(0, Iterator::count)
}

fn counts(bench: &Bench, out: &str) -> [usize; 3] {
    ["train", "val", "test"]
        .map(|part| CLASSES.iter().map(|class| count(bench, &format!("{out}/{part}/{class}"))).sum())
}

#[test]
fn classes_are_divided_and_used_at_once() {
    let bench = Bench::new();
    bench.draw_classes("photos", 10);
    let said = bench.succeed("data split photos divided --test 0.1");
    assert!(
        said.contains("copied images of 3 classes: 21 to divided/train, 6 to divided/val, 3 to"),
        "{said}"
    );
    assert_eq!(counts(&bench, "divided"), [21, 6, 3]);
    for class in CLASSES {
        assert_eq!(count(&bench, &format!("divided/test/{class}")), 1);
    }
    bench.succeed("data split photos again --test 0.1 --link");
    bench.succeed("data split photos other --test 0.1 --seed 1");
    let names = |out: &str| -> Vec<String> {
        let mut names: Vec<String> = (CLASSES.iter())
            .flat_map(|class| fs::read_dir(bench.path(&format!("{out}/val/{class}"))).unwrap())
            .map(|entry| entry.unwrap().path().strip_prefix(bench.path(out)).unwrap().display().to_string())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names("divided"), names("again"));
    assert_ne!(names("divided"), names("other"));
    bench
        .run("finetune --data divided --init none --model micro --image-size 32 --steps 1 --out run -v")
        .success()
        .stderr(contains("on 21 images of 3 classes (6 for validation)"));
    let measured =
        bench.json("evaluate --data divided --split test --weights run/weights.safetensors --json");
    assert_eq!(measured["images"], 3, "{measured}");
}

/// Bug: there was always a part for validation.
#[test]
fn a_test_alone_may_be_set_aside() {
    let bench = Bench::new();
    bench.draw_classes("photos", 10);
    let said = bench.succeed("data split photos divided --val 0 --test 0.2");
    assert!(said.contains("24 to divided/train, 6 to divided/test\n"), "{said}");
    assert_eq!(counts(&bench, "divided"), [24, 0, 6]);
    assert!(!bench.exists("divided/val"));
}

#[test]
fn identical_files_stay_in_one_part() {
    let bench = Bench::new();
    bench.draw_classes("photos", 6);
    for class in CLASSES {
        let image = bench.read(&format!("photos/{class}/00.png"));
        bench.write(&format!("photos/{class}/copies/00.png"), image);
    }
    for seed in 0..4 {
        let said = bench.succeed(&format!("data split photos divided{seed} --val 0.4 --seed {seed}"));
        assert!(said.contains("3 of them are identical"), "{said}");
        for class in CLASSES {
            // The second file of the name is numbered.
            let parts = ["00.png", "00-2.png"].map(|name| {
                ["train", "val"].map(|part| bench.exists(&format!("divided{seed}/{part}/{class}/{name}")))
            });
            assert_eq!(parts[0], parts[1], "{class}");
        }
    }
}

#[test]
fn a_label_file_becomes_folders() {
    let bench = Bench::new();
    let mut rows = String::from("path,label\n");
    for (class, label) in CLASSES.iter().zip(["a", "b", "a"]) {
        for number in 0..4 {
            bench.draw(&format!("photos/{class}-{number}.png"), class, number);
            rows.push_str(&format!("{class}-{number}.png,{label}\n"));
        }
    }
    bench.write("labels.csv", rows);
    bench.succeed("data split photos divided --labels labels.csv --val 0.25");
    let found =
        ["train/a", "train/b", "val/a", "val/b"].map(|folder| count(&bench, &format!("divided/{folder}")));
    assert_eq!(found, [6, 3, 2, 1]);
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let bench = Bench::new();
    bench.draw_classes("photos", 2);
    bench.draw_classes("parts/train", 2);
    bench.draw_classes("parts/val", 2);
    bench.draw_classes("trained/train", 2);
    bench.write("used/notes.txt", "mine");
    bench.write("labels.csv", "path,label\nvertical/00.png,a/b\nvertical/01.jpg,c\n");
    bench.refuse(
        1,
        &[
            ("data split photos used", &["used", "it holds files already"]),
            ("data split photos photos/divided", &["lie one in the other"]),
            ("data split parts divided", &["parts has", "has parts already, 'train', 'val'", "its folder"]),
            // Bug: it was said to ask for the part with a flag that there is not.
            (
                "data split trained divided",
                &["has parts already, 'train'; give one of them alone, its folder"],
            ),
            ("data split photos divided --val 0.6 --test 0.5", &["below 1 together"]),
            ("data split photos divided --val 0", &["above 0 and below 1 together"]),
            ("data split photos divided --labels labels.csv", &["'a/b'", "folder"]),
            ("data split nowhere divided", &["nowhere"]),
        ],
    );
    bench.refuse(2, &[("data split photos divided --val 1", &["from 0 to 1"])]);
    assert!(!bench.exists("divided"));
}

#[test]
fn a_flat_folder_is_checked_as_unlabelled_data() {
    let bench = Bench::new();
    for number in 0..3 {
        bench.draw(&format!("flat/{number}.png"), CLASSES[0], number);
    }
    let said = bench.succeed("data check flat");
    assert!(
        said.contains("all: 3 images from flat (no class folders, so checked as unlabelled data"),
        "{said}"
    );
    assert_eq!(bench.json("data check flat --json")["taken"][0]["part"], "all");
    let words = ["no class folders", "CLASS/*", "train/CLASS/*", "--labels", "pretrain"];
    bench.refuse(1, &[("finetune --data flat --init none --model micro --out run", &words)]);
    bench.write("weights.safetensors", classifier());
}
