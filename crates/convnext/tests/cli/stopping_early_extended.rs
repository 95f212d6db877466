//! `--extend` after an early end, and what is said of one without progress on standard error.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;

/// 24 images, six steps an epoch; at such a rate no answer changes, and the first epoch stays the best.
const FINETUNE: &str =
    "finetune --data labelled --model micro --recipe plain --image-size 32 --batch-size 4 --lr 1e-12";
const PRETRAIN: &str = "pretrain --data labelled/train --model micro --recipe plain --image-size 32 --stem-stride 1 \
                        --batch-size 4 --epochs 40 --lr 1e-12";

#[test]
fn a_run_that_stopped_early_goes_on_with_more_patience_or_none() {
    let bench = Bench::labelled();
    bench.succeed(&format!("{FINETUNE} --epochs 40 --patience 2 --out run"));
    let before = bench.read("run/config.toml");
    let longer = format!("{FINETUNE} --epochs 60 --patience 2 --resume --extend --out run");
    let words = ["stopped early at epoch 3 of 40", "--patience", "more than 2, or leave it out"];
    bench.refuse(1, &[(&longer, &words)]);
    assert!(bench.read("run/config.toml") == before, "the settings changed");
    assert!(bench.exists("run/summary.json"));
    bench
        .run(&format!("{FINETUNE} --epochs 40 --patience 2 --resume --out run"))
        .success()
        .stderr(contains("give --extend and more --patience, or none"));
    let words = ["patience was 2, is not set", "--extend"];
    bench.refuse(1, &[(&format!("{FINETUNE} --epochs 40 --resume --out run"), &words)]);
}

#[test]
fn patience_comes_and_goes_when_a_run_is_extended() {
    let bench = Bench::labelled();
    bench.succeed(&format!("{FINETUNE} --epochs 5 --patience 2 --out run"));
    bench
        .run(&format!("{FINETUNE} --epochs 5 --resume --extend --out run"))
        .success()
        .stderr(contains("epoch 4/5").and(contains("epoch 5/5")))
        .stderr(contains("stopped early").not());
    assert!(!bench.read_text("run/config.toml").contains("patience"));
    // Epochs without a better one count, those before the patience as well: four so far.
    let (before, extended) =
        (bench.read("run/config.toml"), format!("{FINETUNE} --epochs 9 --resume --extend --out run"));
    bench.refuse(1, &[(&format!("{extended} --patience 4"), &["ended with 4", "no step", "more than 4"])]);
    assert!(bench.read("run/config.toml") == before, "the settings changed");
    bench
        .run(&format!("{extended} --patience 6"))
        .success()
        .stderr(contains("stopped early at epoch 7 of 9: no better top-1 in 6 validations"));
}

#[test]
fn the_results_say_an_early_end() {
    let bench = Bench::labelled();
    for (line, end) in [
        (
            format!("{FINETUNE} --epochs 40"),
            "; stopped early at epoch 2 of 40: no better top-1 in 1 validation\n",
        ),
        (PRETRAIN.to_owned(), "; stopped early at epoch "),
    ] {
        let run = line.split(' ').next().unwrap();
        bench
            .run(&format!("{line} --patience 1 --out {run} -q"))
            .success()
            .stderr("")
            .stdout(contains(end).count(1));
    }
}
