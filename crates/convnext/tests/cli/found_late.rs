//! Unreadable files are told before the first step, and few of them end no training.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;

const FINETUNE: &str =
    "finetune --init none --model micro --image-size 32 --batch-size 50 --epochs 2 --data data";

/// 150 images to learn from and 102 to measure on.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("data/train", 50);
    bench.draw_classes("data/val", 34);
    bench
}

#[test]
fn a_broken_validation_file_is_left_out_counted_and_listed_but_not_with_strict() {
    let bench = bench();
    bench.draw_truncated("data/val/vertical/01.jpg");
    let whole = contains("1 of 102 validation images cannot be read").and(contains("01.jpg"));
    bench
        .run(&format!("{FINETUNE} --out run"))
        .success()
        .stderr(whole)
        .stderr(contains("it is left out").count(1))
        .stdout(contains("(1 of them could not be read)"));
    let evaluation: Value = serde_json::from_str(&bench.read_text("run/evaluation.json")).unwrap();
    assert_eq!(evaluation["images"], 101, "{evaluation}");
    assert!(
        evaluation["left_out"][0]["name"].as_str().unwrap().ends_with("val/vertical/01.jpg"),
        "{evaluation}"
    );
    assert!(bench.read_text("run/metrics.jsonl").contains("\"validation_left_out\":1"));
    let report = bench.read_text("run/report.html");
    assert!(report.contains("1 was left out of validation") && report.contains("01.jpg"));
    bench.refuse(
        1,
        &[(&format!("{FINETUNE} --strict --out strict"), &["01.jpg", "none may be", "repair or remove"])],
    );
    assert!(!bench.exists("strict"));
}

#[test]
fn all_broken_files_are_told_at_once_before_the_first_step() {
    let bench = bench();
    bench.write("data/train/checkers/00.png", "Dear reader,\n");
    for number in 0..11 {
        bench.draw_truncated(&format!("data/val/horizontal/{:02}.jpg", 2 * number + 1));
    }
    bench.write("data/val/vertical/00.png", "");
    let words = [
        "1 of 150 training images and 12 of 102 validation images cannot be read, more than 1 %",
        "train/checkers/00.png: ",
        "val/horizontal/01.jpg: ",
        "and 3 more",
        "repair or remove",
    ];
    bench.refuse(1, &[(&format!("{FINETUNE} --out run"), &words)]);
    assert!(!bench.exists("run"), "the run began");
}

#[test]
fn damage_within_a_file_is_met_when_it_is_decoded() {
    let bench = bench();
    // The beginning and the end are whole.
    for number in [0, 2] {
        let name = format!("data/val/vertical/{number:02}.png");
        let mut bytes = bench.read(&name);
        let middle = bytes.len() / 2;
        bytes[middle - 20..middle + 20].fill(0x55);
        bench.write(&name, bytes);
    }
    bench
        .run(&format!("{FINETUNE} --out run"))
        .code(1)
        .stderr(contains("2 of 102 images cannot be read, more than 1 %"));
    let good = "data/val/vertical/04.png";
    bench.write("data/val/vertical/00.png", bench.read(good));
    bench
        .run(&format!("{FINETUNE} --out run --resume"))
        .success()
        .stdout(contains("(1 of them could not be read)"));
}

#[test]
fn a_run_that_leaves_files_out_goes_on_with_the_same_bits() {
    let bench = bench();
    bench.draw_truncated("data/val/vertical/01.jpg");
    bench.draw_truncated("data/train/vertical/01.jpg");
    bench.succeed(&format!("{FINETUNE} --out whole"));
    let half = FINETUNE.replace("--epochs 2", "--epochs 1");
    bench.succeed(&format!("{half} --out parts"));
    bench.succeed(&format!("{FINETUNE} --out parts --resume --extend"));
    bench.succeed(&format!("{FINETUNE} --out again"));
    assert!(bench.read("whole/weights.safetensors") == bench.read("again/weights.safetensors"));
    let summary: Value = serde_json::from_str(&bench.read_text("parts/summary.json")).unwrap();
    assert_eq!(summary["corrupt"].as_array().unwrap().len(), 1, "{summary}");
    let images = |run: &str| {
        let evaluation: Value =
            serde_json::from_str(&bench.read_text(&format!("{run}/evaluation.json"))).unwrap();
        (evaluation["images"].clone(), evaluation["left_out"].clone())
    };
    assert_eq!(images("whole"), images("parts"));
}

#[test]
fn other_channels_are_told_before_the_first_step() {
    let bench = Bench::new();
    bench.draw_classes("data/train", 2);
    bench.draw_classes("data/val", 2);
    bench.refuse(
        1,
        &[(
            &format!("{FINETUNE} --channels 4 --out run"),
            &["3 channel(s), but 4 are needed", "--channels 3"],
        )],
    );
    assert!(!bench.exists("run"));
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_images_is_left_out_and_not_waited_for() {
    let bench = Bench::new();
    bench.draw_classes("data", 2);
    let pipe = bench.path("data/checkers/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let found = bench.run("data check data --json").success().stderr(contains("pipe.png: it is no file"));
    let found: Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
    assert_eq!(found["images"], 6, "{found}");
}

#[test]
fn it_is_told_when_nothing_can_be_held_out() {
    let bench = Bench::new();
    bench.draw_classes("single", 1);
    bench.run("data check single").success().stderr(contains("each class has a single image"));
}
