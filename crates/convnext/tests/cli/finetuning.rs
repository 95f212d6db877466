//! `convnext finetune`: from scratch, with few labels, with a split of its own.

use predicates::str::contains;

use super::bench::Bench;
use super::colours::colours;
use super::weights::{autoencoder, classifier};

const SCRATCH: &str = "finetune --data labelled --init none --model micro --image-size 32";

#[test]
fn few_labels_a_class_are_enough_to_start() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 8);
    bench.draw_classes("labelled/val", 2);
    bench
        .run(&format!("{SCRATCH} --labels-per-class 5 --steps 2 --out run -v"))
        .success()
        .stderr(contains("from scratch on 15 images of 3 classes (6 for validation)"))
        .stdout(contains("validation top-1"));
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["labels_per_class"].as_integer(), Some(5), "{config}");
    assert!(!config.contains_key("init"), "{config}");
}

#[test]
fn data_without_a_validation_part_is_split() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 8);
    bench
        .run(&format!("{SCRATCH} --val-fraction 0.25 --seed 4 --steps 1 --out run -v"))
        .success()
        .stderr(contains("on 18 images of 3 classes (6 for validation)"));
    let result = bench.json(
        "evaluate --data labelled --val-fraction 0.25 --seed 4 --weights run/weights.safetensors --json",
    );
    assert_eq!(result["images"], 6, "{result}");
}

/// Bug: the next commands that it printed turned images that the training had not turned.
#[test]
fn the_next_commands_turn_images_as_the_training_did() {
    let bench = colours();
    bench.draw_classes("labelled", 3);
    let multi = "finetune --task multi-label --data photos --labels labels.csv --model micro --image-size 32";
    for (number, line) in [SCRATCH, multi].into_iter().enumerate() {
        let said = bench.succeed(&format!("{line} --ignore-orientation --steps 1 --out run-{number}"));
        for command in ["convnext evaluate ", "convnext classify "] {
            let next = said.lines().find(|line| line.contains(command)).unwrap();
            assert!(next.contains(" --ignore-orientation"), "{said}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    let weights = |out: &str, settings: &str| {
        bench.succeed(&format!("{SCRATCH} --epochs 2 --batch-size 4 --out {out} {settings}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let first = weights("a", "--seed 1");
    assert!(first == weights("b", "--seed 1"), "two runs with the same settings differ");
    assert!(first != weights("c", "--seed 2"), "another seed gives the same weights");
}

#[test]
fn a_recipe_can_be_changed_key_by_key() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 8);
    bench.draw_classes("labelled/val", 2);
    bench.write("start.safetensors", autoencoder());
    bench.succeed(
        "finetune --data labelled --init start.safetensors --batch-size 4 --accumulate 3 --epochs 3 \
         --set training.ema=0.5 --set training.clip_norm=1 --set from_weights.layer_decay.rate=0.9 \
         --set from_weights.layer_decay.count=single --out run",
    );
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["recipe"]["training"]["accumulate"].as_integer(), Some(3), "{config}");
    assert_eq!(config["recipe"]["from_weights"]["layer_decay"]["count"].as_str(), Some("single"), "{config}");
    // 24 images are 6 batches, so 2 steps an epoch.
    let metrics = bench.read_text("run/metrics.jsonl");
    assert_eq!(metrics.lines().filter(|line| line.contains("learning_rate")).count(), 6, "{metrics}");
    assert!(metrics.lines().last().unwrap().contains("ema_validation_top1"), "{metrics}");
    let [trained, averaged] = ["weights", "weights-ema"].map(|name| {
        bench.json(&format!("evaluate --data labelled --weights run/{name}.safetensors --json"))["loss"]
            .clone()
    });
    assert_ne!(trained, averaged);
}

#[test]
fn the_best_weights_are_kept_averaged_or_not() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 8);
    bench.draw_classes("labelled/val", 8);
    bench
        .succeed(&format!("{SCRATCH} --recipe plain --epochs 6 --lr 0.003 --set training.ema=0.9 --out run"));
    let measured = |name: &str| {
        let line = format!("evaluate --data labelled --weights run/{name}.safetensors --json");
        bench.json(&line)["top1"].as_f64().unwrap()
    };
    let summary: serde_json::Value = serde_json::from_str(&bench.read_text("run/summary.json")).unwrap();
    assert_eq!(measured("weights-best"), summary["best"]["value"].as_f64().unwrap(), "{summary}");
    let metrics = bench.read_text("run/metrics.jsonl");
    let seen = metrics.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let of = |name: &str| line.get(name).and_then(serde_json::Value::as_f64);
        of("validation_top1").into_iter().chain(of("ema_validation_top1")).reduce(f64::max)
    });
    assert_eq!(measured("weights-best"), seen.fold(0.0, f64::max), "{metrics}");
}

#[test]
fn recipes_that_cannot_be_used_are_named() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 3);
    bench.write("mine.toml", "claim = \"nothing\"");
    for (settings, code, words) in [
        ("--set training.flop=1", 1, "flop"),
        ("--set training.ema=2", 1, "ema is 2"),
        ("--set flop", 2, "key=value"),
        ("--recipe gone.toml", 1, "gone.toml"),
        ("--recipe mine.toml", 1, "mine.toml"),
        ("--accumulate 100", 1, "--accumulate"),
    ] {
        let line = format!("{SCRATCH} {settings} --out run");
        bench.run(&line).code(code).stderr(contains("error:")).stderr(contains(words));
        assert!(!bench.exists("run"), "{line}");
    }
}

#[test]
fn both_kinds_of_weights_can_be_started_from() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 3);
    for (name, weights) in [("autoencoder", autoencoder()), ("classifier", classifier())] {
        bench.write("start.safetensors", weights);
        bench.succeed(&format!("finetune --data labelled --init start.safetensors --steps 1 --out {name}"));
        let contents = bench.json(&format!("inspect {name}/weights.safetensors --json"));
        assert_eq!(contents["metadata"]["task"]["kind"], "classification", "{name}");
        assert_eq!(contents["metadata"]["preprocessing"]["image_size"], 32, "{name}");
        assert_eq!(contents["metadata"]["backbone"]["stem_stride"], 1, "{name}");
    }
}

#[test]
fn training_that_diverges_says_so() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 3);
    bench.refuse(1, &[(&format!("{SCRATCH} --lr 1e30 --steps 20 --out run"), &["diverged", "--lr", "step"])]);
    assert!(!bench.exists("run/weights.safetensors"), "broken weights were written");
}
