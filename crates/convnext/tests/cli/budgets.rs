//! `--budget` and `--dry-run`: what a training costs, before it begins.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;

const FINETUNE: &str = "finetune --data labelled --model micro --image-size 32 --batch-size 4";
const PRETRAIN: &str =
    "pretrain --data labelled/train --model micro --image-size 32 --stem-stride 1 --batch-size 4";

/// Steps that a run really made.
fn steps(bench: &Bench, run: &str) -> u64 {
    let summary: serde_json::Value = bench.read_text(&format!("{run}/summary.json")).parse().unwrap();
    summary["steps"].as_u64().unwrap()
}

/// Everything that lies in the bench.
fn files(bench: &Bench) -> Vec<String> {
    let mut folders = vec![bench.path("")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            found.push(entry.path().display().to_string());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_budget_becomes_steps_that_the_run_keeps() {
    let bench = Bench::labelled();
    for (name, line) in [("fine", FINETUNE), ("pre", PRETRAIN)] {
        let line = format!("{line} --budget 1s500ms --out {name}");
        let said = bench.run(&line).success();
        let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
        let made = steps(&bench, name);
        let words = format!("--budget 1.5 s: {made} step");
        assert!(said.contains(&words), "{words} is missing: {said}");
        assert!(name == "pre" || said.contains(" each"), "{said}");
        let config: toml::Table = bench.read_text(&format!("{name}/config.toml")).parse().unwrap();
        let epochs = config["recipe"]["training"]["epochs"].as_float().unwrap();
        assert_eq!((epochs * 6.0).round() as u64, made, "{config}");
        let rates = bench.read_text(&format!("{name}/metrics.jsonl"));
        let last = rates.lines().rfind(|line| line.contains("learning_rate")).unwrap();
        let last: serde_json::Value = last.parse().unwrap();
        assert!(last["step"] == made && last["learning_rate"].as_f64().unwrap() < 1e-3, "{last}");
        // As if it had been killed before the end: it goes on with the length that it began with.
        std::fs::remove_file(bench.path(&format!("{name}/summary.json"))).unwrap();
        bench
            .run(&format!("{line} --resume"))
            .success()
            .stderr(contains(format!("{made} steps, as the run began")))
            .stderr(contains("resumes at epoch"));
        assert_eq!(steps(&bench, name), made);
        assert_eq!(
            bench.read_text(&format!("{name}/metrics.jsonl")).matches("learning_rate").count() as u64,
            made
        );
    }
}

#[test]
fn a_budget_that_cannot_be_used_is_refused() {
    let bench = Bench::labelled();
    let too_short = ["--budget 0 ms is too short", "one step and its validation take", "give more time"];
    bench.refuse(1, &[(&format!("{FINETUNE} --budget 1us --out run"), &too_short)]);
    assert!(!bench.exists("run"));
    bench.refuse(
        2,
        &[
            (&format!("{FINETUNE} --budget 20 --out run"), &["--budget", "20m"]),
            (&format!("{FINETUNE} --budget 0s --out run"), &["--budget", "above 0"]),
            (&format!("{FINETUNE} --budget 20m --epochs 3 --out run"), &["--budget", "--epochs"]),
            (&format!("{FINETUNE} --budget 20m --steps 3 --out run"), &["--budget", "--steps"]),
            (&format!("{FINETUNE} --dry-run --resume --out run"), &["--dry-run", "--resume"]),
        ],
    );
}

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    let bench = Bench::labelled();
    bench.write("used/notes.txt", "mine");
    bench.write("taken", "mine");
    let before = files(&bench);
    bench
        .run(&format!("{FINETUNE} --epochs 2 --dry-run --out run --cache cache"))
        .success()
        .stdout(contains("training micro from scratch on 24 images of 3 classes (6 for validation), 32 px: 2 epochs, 12 steps"))
        .stdout(contains("of memory"))
        .stdout(contains("regularization.drop_path = 0: grows with the model"))
        .stdout(contains("training images: labelled/train"))
        .stdout(contains("validation images: the validation part, labelled/val"))
        .stdout(contains("run is free for a run\nnothing was written"))
        .stdout(contains("\n  about "))
        .stdout(contains(": 12 steps at "))
        .stdout(contains(" img/s), 2 validations of "))
        .stderr(contains("epoch 1/").not());
    bench
        .run(&format!("{PRETRAIN} --steps 5 --dry-run --out used"))
        .success()
        .stdout(contains("pre-training micro on 24 images of 32 px"))
        .stdout(contains("used is not empty"))
        .stdout(contains(": 5 steps at "));
    bench
        .run(&format!("{PRETRAIN} --steps 5 --dry-run --out taken"))
        .success()
        .stdout(contains("taken is a file: a run needs a folder"));
    bench
        .run(&format!("{FINETUNE} --budget 1s500ms --dry-run --out run"))
        .success()
        .stdout(contains("--budget 1.5 s: "));
    assert_eq!(files(&bench), before);
}
