//! `convnext pretrain`: the run folder, the metrics, repeatability.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use super::bench::Bench;
use super::weights::autoencoder;

/// Patches of 32 pixels, so that a step of 64 pixels is quick.
const QUICK: &str = "pretrain --data photos --model micro --image-size 64 --batch-size 4";

fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    bench
}

#[test]
fn the_run_folder_holds_configuration_metrics_and_weights() {
    let bench = photos();
    let said = bench.succeed(&format!("{QUICK} --steps 5 --seed 3 --mask-ratio 0.7 --lr 0.002 --out runs/a"));
    assert!(said.contains("runs/a/weights.safetensors"), "{said}");

    let config: toml::Table = bench.read_text("runs/a/config.toml").parse().unwrap();
    assert_eq!(config["seed"].as_integer(), Some(3), "{config}");
    assert_eq!(config["model"]["encoder"]["name"].as_str(), Some("micro"), "{config}");
    assert_eq!(config["recipe"]["masking"]["ratio"].as_float(), Some(0.7), "{config}");
    assert!(config["model"].get("mask_ratio").is_none(), "a fact with two owners: {config}");
    assert_eq!(config["recipe"]["training"]["learning_rate"].as_float(), Some(0.002), "{config}");
    assert_eq!(config["recipe"]["training"]["batch_size"].as_integer(), Some(4), "{config}");

    let metrics = bench.read_text("runs/a/metrics.jsonl");
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<&Value> = lines.iter().filter(|line| line.get("loss").is_some()).collect();
    assert_eq!(steps.len(), 5, "{metrics}");
    for (number, step) in (1..).zip(steps) {
        assert_eq!(step["step"], number, "{metrics}");
        assert!(step["loss"].as_f64().is_some_and(f64::is_finite), "{metrics}");
    }
    // 12 images are 3 steps, so the second epoch is cut short.
    let epochs: Vec<&Value> = lines.iter().filter(|line| line.get("train_loss").is_some()).collect();
    assert_eq!(epochs.iter().map(|epoch| &epoch["step"]).collect::<Vec<_>>(), [3, 5], "{metrics}");
}

#[test]
fn a_model_of_other_stages_is_trained_fine_tuned_and_measured() {
    let bench = photos();
    let stages = "--depths 1,2,1,1 --widths 8,24,40,72";
    bench.succeed(&format!("{QUICK} {stages} --steps 1 --out own"));
    let model = |weights: &str| {
        let mut found = bench.json(&format!("inspect {weights} --json"));
        ["name", "depths", "widths"].map(|key| found["metadata"]["backbone"][key].take())
    };
    let expected = [json!("custom"), json!([1, 2, 1, 1]), json!([8, 24, 40, 72])];
    assert_eq!(model("own/weights.safetensors"), expected);
    bench.succeed(
        "finetune --data photos --init own/weights.safetensors --image-size 64 --batch-size 4 --steps 1 --out tuned",
    );
    assert_eq!(model("tuned/weights.safetensors"), expected);
    let measured = bench.json(&format!(
        "bench --mode infer --model micro {stages} --image-size 64 --batch-size 1 --steps 1 --json"
    ));
    assert_eq!(measured["model"], "custom", "{measured}");
    bench.refuse(
        2,
        &[(&format!("{QUICK} --widths 8,24,40 --steps 1 --out x"), &["4 whole numbers from 1 to 65536"])],
    );
}

#[test]
fn the_configuration_tells_how_long_the_run_was() {
    let bench = photos();
    // 12 images are 3 steps an epoch.
    for (number, (length, epochs)) in [("--steps 2", 2.0 / 3.0), ("--epochs 2", 2.0)].into_iter().enumerate()
    {
        bench.succeed(&format!("{QUICK} {length} --out {number}"));
        let config: toml::Table = bench.read_text(&format!("{number}/config.toml")).parse().unwrap();
        let found = config["recipe"]["training"]["epochs"].as_float().unwrap();
        assert!((found - epochs).abs() < 1e-9, "{length} is {epochs} epochs, not {found}:\n{config}");
    }
}

#[test]
fn an_automatic_batch_is_stated_and_kept_when_the_run_goes_on() {
    let bench = photos();
    let line = "pretrain --data photos --model micro --image-size 64 --batch-size auto --out run";
    bench.succeed(&format!("{line} --epochs 1"));
    let batch = || {
        let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
        config["recipe"]["training"]["batch_size"].as_integer()
    };
    // There are twelve images, and any machine has room for them.
    assert_eq!(batch(), Some(12));
    bench.succeed(&format!("{line} --epochs 2 --resume --extend"));
    assert_eq!(batch(), Some(12));
}

#[test]
fn the_run_is_announced_unless_it_is_to_be_quiet() {
    let bench = photos();
    bench.run(&format!("{QUICK} --steps 1 --out a -q")).success().stderr("");
    bench.run(&format!("{QUICK} --steps 1 --out b")).success().stderr(contains("12 images of 64 px"));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bench = photos();
    let weights = |out: &str, settings: &str| {
        bench.succeed(&format!("{QUICK} --epochs 2 --out {out} {settings}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let first = weights("a", "--seed 1");
    assert!(first == weights("b", "--seed 1"), "two runs with the same settings differ");
    assert!(first == weights("c", "--seed 1 --threads 1"), "the number of threads changes the weights");
    assert!(first != weights("d", "--seed 2"), "another seed gives the same weights");
}

#[test]
fn every_option_of_the_autoencoder_runs_and_is_kept() {
    let bench = photos();
    for (number, (settings, path, expected)) in [
        ("--encoder masked-dense", "task.encoder_kind", "masked-dense"),
        ("--encoder leaky", "task.encoder_kind", "leaky"),
        ("--decoder-depth 2", "task.decoder.depth", "2"),
        ("--decoder-width 24", "task.decoder.width", "24"),
        ("--stem-stride 2", "backbone.stem_stride", "2"),
    ]
    .into_iter()
    .enumerate()
    {
        bench.succeed(&format!("{QUICK} --steps 1 --out {number} {settings}"));
        let contents = bench.json(&format!("inspect {number}/weights.safetensors --json"));
        let metadata = &contents["metadata"];
        let found = path.split('.').fold(metadata, |value, key| &value[key]);
        assert_eq!(found.to_string().trim_matches('"'), expected, "{settings}: {metadata}");
    }
}

/// Bug: the next training took the pictures of the run for images, and its folder for a class.
#[test]
fn a_run_is_not_written_among_its_images() {
    let bench = photos();
    bench.draw_classes("parts/train", 2);
    bench.draw_classes("parts/val", 1);
    let tune = "--model micro --image-size 32 --steps 1";
    for line in [format!("{QUICK} --steps 1"), format!("finetune --data photos {tune}")] {
        bench.refuse(
            1,
            &[(&format!("{line} --out photos/run"), &["photos/run and photos lie one in the other"])],
        );
    }
    assert!(!bench.exists("photos/run"), "a refused command made its output folder");
    // Beside the folders of parts it is none of the images.
    bench.succeed(&format!("finetune --data parts {tune} --out parts/run"));
    bench.succeed(&format!("finetune --data parts {tune} --out parts/again"));
}

/// Bug: nobody was told, and the run was recorded as one in bf16.
#[test]
fn what_a_masked_dense_encoder_cannot_do_is_told() {
    let bench = photos();
    let line = format!("{QUICK} --steps 1 --encoder masked-dense");
    for choice in ["save-bf16", "recompute"] {
        let refused = format!("{line} --activations {choice} --out x");
        bench.refuse(
            1,
            &[(
                &refused,
                &["--activations has no effect", "the blocks of a masked dense encoder save every value"],
            )],
        );
    }
    assert!(!bench.exists("x"), "a refused command made its output folder");
    let warning = "a masked dense encoder computes in f32";
    bench.run(&format!("{line} --precision bf16 --out dense")).success().stderr(contains(warning).count(1));
    let sparse = format!("{QUICK} --steps 1 --precision bf16 --out sparse");
    bench.run(&sparse).success().stderr(contains(warning).not());
}

#[test]
fn it_goes_on_from_weights_as_they_say() {
    let bench = photos();
    bench.write("start.safetensors", autoencoder());
    bench.succeed("pretrain --data photos --init start.safetensors --steps 1 --batch-size 4 --out run");
    let [before, after] = ["start", "run/weights"].map(|name| {
        let mut metadata = bench.json(&format!("inspect {name}.safetensors --json"))["metadata"].take();
        // Each training has a recipe of its own.
        assert!(metadata["recipe"].take().as_str().unwrap().contains("learning_rate"));
        metadata
    });
    assert_eq!(before, after);
}

#[test]
fn a_few_corrupt_images_are_replaced_and_named() {
    let bench = Bench::new();
    bench.draw_classes("photos", 37);
    bench.draw_truncated("photos/cut-off.jpg");
    // 1 of 112 is below 1 %, and two steps of 56 visit all.
    bench
        .run("pretrain --data photos --model micro --image-size 64 --batch-size 56 --steps 2 --out run")
        .success()
        .stderr(contains("cut-off.jpg").and(contains("another image replaces it")));
}
