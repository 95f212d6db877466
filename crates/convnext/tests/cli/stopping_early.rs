//! `--patience`: trainings that end because they get no better.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;

/// Every image has two labels, so that nothing can be learned; 24 images, six steps an epoch.
const FINETUNE: &str = "finetune --data labelled --model micro --recipe plain --image-size 32 --batch-size 4 --epochs 40 \
                        --lr 1e-12";
const PRETRAIN: &str = "pretrain --data labelled/train --model micro --recipe plain --image-size 32 --stem-stride 1 \
                        --batch-size 4 --epochs 40 --lr 1e-12";

fn summary(bench: &Bench, run: &str) -> Value {
    bench.read_text(&format!("{run}/summary.json")).parse().unwrap()
}

#[test]
fn a_run_that_gets_no_better_ends_and_says_so() {
    let bench = Bench::labelled();
    // At such a rate no answer changes: the first epoch stays the best.
    bench
        .run(&format!("{FINETUNE} --patience 2 --out run"))
        .success()
        .stderr(contains("stopped early at epoch 3 of 40: no better top-1 in 2 validations"))
        .stderr(contains("epoch 3/40"))
        .stderr(contains("epoch 4/40").not())
        .stdout(contains("--weights run/weights-best.safetensors"));
    let stopped = summary(&bench, "run");
    assert_eq!(stopped["stopped_early"]["patience"], 2, "{stopped}");
    assert_eq!((&stopped["steps"], &stopped["best"]["step"]), (&18.into(), &6.into()), "{stopped}");
    for file in ["weights.safetensors", "weights-best.safetensors", "report.html"] {
        assert!(bench.exists(&format!("run/{file}")), "{file}");
    }
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["patience"].as_integer(), Some(2), "{config}");
    bench
        .run(&format!("{FINETUNE} --patience 2 --resume --out run"))
        .success()
        .stderr(contains("finished already: 3 epochs, 18 steps"))
        .stderr(contains("stopped early at epoch 3 of 40"));
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} --patience 3 --resume --out run"), &["patience was 2, is 3"]),
            (&format!("{FINETUNE} --resume --out run"), &["patience was 2, is not set"]),
        ],
    );
    bench.refuse(2, &[(&format!("{FINETUNE} --patience 0 --out none"), &["--patience"])]);
    // More patience is more of a run.
    bench
        .run(&format!("{FINETUNE} --patience 3 --resume --extend --out run"))
        .success()
        .stderr(contains("stopped early at epoch 4 of 40: no better top-1 in 3 validations"));
}

#[test]
fn validations_within_an_epoch_count() {
    let bench = Bench::labelled();
    bench
        .run(&format!("{FINETUNE} --patience 3 --set training.validate_every.steps=2 --out run"))
        .success()
        .stderr(contains("stopped early at epoch 2 of 40: no better top-1 in 3 validations"))
        .stderr(contains("epoch 2/40, step 8: train loss"));
    assert_eq!(summary(&bench, "run")["steps"], 8);
}

#[test]
fn a_pretraining_is_compared_by_its_loss_epoch_by_epoch() {
    let bench = Bench::labelled();
    // Masks are drawn anew in each epoch, so that the loss of a model that stands still goes up and down.
    bench
        .run(&format!("{PRETRAIN} --patience 1 --out run"))
        .success()
        .stderr(contains("no better train loss in 1 epoch"));
    let stopped = summary(&bench, "run");
    let text = bench.read_text("run/metrics.jsonl");
    let losses: Vec<f64> = (text.lines().map(|line| line.parse::<Value>().unwrap()))
        .filter_map(|line| line.get("train_loss")?.as_f64())
        .collect();
    let (last, before) = losses.split_last().unwrap();
    assert!(before.is_sorted_by(|a, b| b < a) && last >= before.last().unwrap(), "{losses:?}");
    assert_eq!(stopped["steps"], 6 * losses.len(), "{stopped}");
    assert!(bench.exists("run/weights.safetensors"));
}
