//! `convnext data check --task detect` and `convnext data convert`.

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use super::bench::Bench;
use super::images::SIDE;

/// Images of two parts with YOLO's labels: an outline and a box in each.
fn zoo() -> Bench {
    let bench = Bench::new();
    for (part, count) in [("train", 4), ("val", 2)] {
        for number in 0..count {
            bench.draw(&format!("zoo/images/{part}/{part}{number}.png"), "vertical", number);
            let rows = "0 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6\n1 0.5 0.5 0.25 0.5\n";
            bench.write(&format!("zoo/labels/{part}/{part}{number}.txt"), rows);
        }
    }
    bench.write("zoo/data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n");
    bench
}

#[test]
fn a_check_counts_objects_and_shows_them() {
    let bench = zoo();
    bench.write("zoo/labels/train/train0.txt", "");
    let said = bench.succeed("data check zoo --task detect --out page.html");
    for words in [
        "train: 4 images",
        "6 objects (3 with masks), 0 to 2 in an image",
        "1 image without",
        "validation: 2",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let page = bench.read_text("page.html");
    assert_eq!(page.matches("data:image/png;base64,").count(), 6);
    assert!(page.contains("Small objects") && page.contains("1 image has no objects"));
    let found = bench.json("data check zoo --task detect --json --out page.html");
    assert_eq!(found["parts"][0]["objects_per_class"], serde_json::json!([3, 3]), "{found}");
    assert_eq!((&found["images"], &found["found"]["images"]), (&6.into(), &6.into()), "{found}");
}

#[test]
fn a_check_names_annotations_that_training_would_refuse() {
    let bench = zoo();
    bench.write("zoo/labels/val/val1.txt", "0 12 40 5 5\n");
    bench
        .run("data check zoo --task detect")
        .code(1)
        .stdout(contains("val1.txt: line 1: 12 is no fraction"))
        .stderr(contains("of 1 of 6 images cannot be used"));
    bench.write("zoo/labels/val/val1.txt", "9 0.5 0.5 0.1 0.1\n");
    bench
        .run("data check zoo --task detect")
        .code(1)
        .stdout(contains("class 9, but").and(contains("name every class")))
        .stderr(contains("the annotations cannot be used"));
    bench.draw("plain/a.png", "vertical", 0);
    bench.refuse(
        1,
        &[
            ("data check plain --task detect", &["no annotations of objects", "--annotations"]),
            ("data check plain --crowd-as-object", &["--task detect"]),
            ("data check plain --task detect --unlabelled", &["--unlabelled"]),
            ("data check plain --task detect --annotations gone.json", &["cannot open gone.json"]),
            ("data convert plain out --to yolo", &["no annotations of objects"]),
        ],
    );
}

#[test]
fn annotations_are_converted_there_and_back() {
    let bench = zoo();
    let said = bench.succeed("data convert zoo coco --to coco --link");
    assert!(said.contains("train: 4 images with 8 objects") && said.contains("wrote coco"), "{said}");
    let text = bench.read_text("coco/annotations/instances_val.json");
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["categories"][1]["name"], "dog");
    let side = SIDE as f64;
    assert_eq!(
        written["annotations"][1]["bbox"],
        serde_json::json!([0.375 * side, 0.25 * side, 0.25 * side, 0.5 * side])
    );
    bench.succeed("data convert coco yolo --to yolo");
    let rows = bench.read_text("yolo/labels/val/val0.txt");
    // The box beside a mask is written as an outline: ultralytics refuses files of both.
    let outline = "1 0.375 0.25 0.625 0.25 0.625 0.75 0.375 0.75";
    assert_eq!(rows, format!("0 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6\n{outline}\n"));
    assert!(bench.read_text("yolo/data.yaml").contains("  1: \"dog\""));
    bench.refuse(
        1,
        &[
            ("data convert zoo coco --to coco", &["it holds files already"]),
            // Bug: the share was ignored where the data has a part to measure on.
            (
                "data convert zoo other --to coco --val-fraction 0.3",
                &["--val-fraction 0.3", "zoo/images/val", "leave --val-fraction out"],
            ),
        ],
    );
    assert!(!bench.exists("other"));
}
