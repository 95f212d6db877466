//! Images that are missing, broken or in the wrong place: code 1, the file's name and what to do.

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier};

/// Quick settings for training commands that end before they train, or soon.
const PRETRAIN: &str = "pretrain --model micro --image-size 64 --batch-size 4 --epochs 1 --out run --data";
const FINETUNE: &str =
    "finetune --init none --model micro --image-size 32 --batch-size 4 --epochs 1 --out run --data";
const EVALUATE: &str = "evaluate --weights classifier.safetensors --data";
const CLASSIFY: &str = "classify --weights classifier.safetensors";
const CLASSIFY_STRICTLY: &str = "classify --weights classifier.safetensors --strict";
const EMBED_STRICTLY: &str = "embed --weights classifier.safetensors --strict --out vectors.npy";
const RECONSTRUCT: &str = "reconstruct --weights autoencoder.safetensors --out images";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("autoencoder.safetensors", autoencoder());
    bench.write("classifier.safetensors", classifier());
    bench
}

/// All `commands` on `path` must say `words`.
fn refuse(bench: &Bench, commands: &[&str], path: &str, words: &[&str]) {
    let lines: Vec<String> = commands.iter().map(|command| format!("{command} {path}")).collect();
    let refusals: Vec<(&str, &[&str])> = lines.iter().map(|line| (&line[..], words)).collect();
    bench.refuse(1, &refusals);
}

#[test]
fn a_missing_folder() {
    let bench = bench();
    refuse(&bench, &[PRETRAIN, FINETUNE, EVALUATE, CLASSIFY], "gone", &["gone", "check"]);
    assert!(!bench.exists("run"), "an output folder was made for data that is not there");
}

#[test]
fn a_missing_image() {
    refuse(&bench(), &[CLASSIFY, RECONSTRUCT], "gone.png", &["gone.png", "check"]);
}

#[test]
fn an_empty_folder() {
    let bench = bench();
    bench.make_folder("empty");
    bench.write("words/notes.txt", "no image");
    for folder in ["empty", "words"] {
        let commands = [PRETRAIN, FINETUNE, EVALUATE, CLASSIFY, RECONSTRUCT];
        refuse(&bench, &commands, folder, &["no images found", folder, "expected files ending in", ".jpg"]);
    }
}

#[test]
fn a_class_without_images() {
    let bench = bench();
    let words = ["class 'lonely'", "has no images", "add images", "remove"];
    bench.draw_classes("labelled", 2);
    bench.make_folder("labelled/lonely");
    refuse(&bench, &[FINETUNE, EVALUATE], "labelled", &words);
    bench.draw_classes("parts/train", 2);
    bench.make_folder("parts/train/lonely");
    bench.draw_classes("parts/val", 2);
    refuse(&bench, &[FINETUNE], "parts", &words);
}

#[test]
fn images_without_classes() {
    let bench = bench();
    bench.draw("loose/1.png", CLASSES[0], 1);
    refuse(&bench, &[FINETUNE, EVALUATE], "loose", &["loose", "no class folders", "folder of its own"]);
}

#[test]
fn one_class_alone() {
    let bench = bench();
    bench.draw("single/checkers/1.png", CLASSES[0], 1);
    bench.draw("single/checkers/2.png", CLASSES[0], 2);
    refuse(&bench, &[FINETUNE], "single", &["single", "only one class", "at least two"]);
}

#[test]
fn a_class_that_nothing_was_learnt_about() {
    let bench = bench();
    bench.draw_classes("labelled", 2);
    bench.draw("labelled/zebra/1.png", CLASSES[0], 1);
    refuse(&bench, &[EVALUATE], "labelled", &["'zebra'", "checkers, horizontal, vertical"]);
    bench.draw_classes("parts/train", 2);
    bench.draw_classes("parts/val", 2);
    bench.draw("parts/val/zebra/1.png", CLASSES[0], 1);
    refuse(&bench, &[FINETUNE], "parts", &["'zebra'", "parts/val", "rename or remove"]);
}

#[test]
fn more_labels_than_there_are() {
    let bench = bench();
    bench.draw_classes("labelled/train", 3);
    bench.draw_classes("labelled/val", 1);
    refuse(
        &bench,
        &[&format!("{FINETUNE} labelled --labels-per-class")],
        "4",
        &["class 'checkers' has 3 images", "4 per class", "ask for at most 3"],
    );
}

#[test]
fn a_image_that_is_cut_off() {
    let bench = bench();
    bench.draw_classes("labelled", 3);
    bench.draw_truncated("labelled/checkers/cut-off.jpg");
    // The message says what to do: "replace or remove the file", "repair or remove these files".
    let words = ["cut-off.jpg", "remove"];
    refuse(&bench, &[CLASSIFY, RECONSTRUCT], "labelled/checkers/cut-off.jpg", &words);
    refuse(&bench, &[CLASSIFY_STRICTLY, EMBED_STRICTLY, EVALUATE, PRETRAIN], "labelled", &words);
}

#[test]
fn a_text_named_png() {
    let bench = bench();
    bench.draw_classes("labelled", 3);
    bench.write("labelled/vertical/letter.png", "Dear reader,\n");
    let words = ["letter.png", "remove"];
    refuse(&bench, &[CLASSIFY, RECONSTRUCT], "labelled/vertical/letter.png", &words);
    refuse(&bench, &[CLASSIFY_STRICTLY, EMBED_STRICTLY, EVALUATE, PRETRAIN], "labelled", &words);
}

#[test]
fn an_empty_file_named_jpg() {
    let bench = bench();
    bench.write("nothing.jpg", "");
    refuse(&bench, &[CLASSIFY, RECONSTRUCT], "nothing.jpg", &["nothing.jpg", "remove"]);
}

#[test]
fn more_than_one_percent_of_broken_images_stops_pre_training() {
    let bench = bench();
    bench.draw_classes("photos", 33);
    bench.draw_truncated("photos/cut-off.jpg");
    bench.write("photos/letter.png", "Dear reader,\n");
    // 2 of 101. The first one met is named.
    refuse(&bench, &[PRETRAIN], "photos", &["2 of 101 images", "1 %", "photos/", "repair or remove"]);
    assert!(!bench.exists("run/weights.safetensors"));
}

#[test]
fn a_few_broken_images_are_replaced_counted_and_listed_but_not_with_strict() {
    let bench = Bench::new();
    bench.draw_classes("many", 40);
    bench.draw_truncated("many/vertical/cut.jpg");
    let line =
        "pretrain --data many --model micro --image-size 32 --stem-stride 1 --batch-size 11 --epochs 1";
    bench.run(&format!("{line} --out run")).success().stderr(predicates::str::contains("cut.jpg"));
    let summary: serde_json::Value = serde_json::from_str(&bench.read_text("run/summary.json")).unwrap();
    let corrupt = summary["corrupt"].as_array().unwrap();
    assert_eq!(corrupt.len(), 1, "{summary}");
    assert!(corrupt[0]["name"].as_str().unwrap().ends_with("cut.jpg"), "{summary}");
    assert!(bench.read_text("run/report.html").contains("cut.jpg"));
    bench.refuse(1, &[(&format!("{line} --strict --out strict"), &["cut.jpg"])]);
}

#[test]
fn a_broken_image_among_those_for_validation() {
    let bench = bench();
    bench.draw_classes("labelled/train", 2);
    bench.draw_classes("labelled/val", 1);
    bench.draw_truncated("labelled/val/checkers/cut-off.jpg");
    refuse(&bench, &[FINETUNE], "labelled", &["cut-off.jpg", "remove"]);
}

#[test]
fn a_file_in_place_of_a_folder_of_images() {
    let bench = bench();
    bench.write("notes.txt", "no archive");
    refuse(
        &bench,
        &[PRETRAIN, FINETUNE, EVALUATE],
        "notes.txt",
        &["notes.txt", "neither a folder nor a .tar"],
    );
    bench.write("broken.tar", "no archive either");
    refuse(&bench, &[PRETRAIN, FINETUNE, EVALUATE], "broken.tar", &["broken.tar", "fetch it again"]);
}
