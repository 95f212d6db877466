//! Names that do not exist, and what was probably meant; other mistakes of the first hour.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier};

const FINETUNE: &str = "finetune --data labelled --init none --model micro --image-size 32 --out run";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("labelled", 3);
    bench
}

#[test]
fn the_nearest_name_is_suggested() {
    let bench = bench();
    bench.write("mine.toml", "extends = \"paper-ato\"");
    bench.write("classifier.safetensors", classifier());
    bench.draw("birds/val/checker/00.png", CLASSES[0], 0);
    bench.draw("birds/val/vertical/00.png", CLASSES[0], 0);
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} --recipe paper-ato"), &["did you mean 'paper-atto'?"]),
            (&format!("{FINETUNE} --recipe autoo"), &["did you mean 'auto'?"]),
            (&format!("{FINETUNE} --recipe mine.toml"), &["did you mean 'paper-atto'?"]),
            (&format!("{FINETUNE} --set training.epoch=3"), &["did you mean 'epochs'?"]),
            (&format!("{FINETUNE} --set trainig.epochs=3"), &["did you mean 'training'?"]),
            ("classify labelled --weights ato.fcmae_ft_in1k", &["did you mean 'atto.fcmae_ft_in1k'?"]),
            (
                "classify labelled --weights gone.safetensors",
                &["gone.safetensors does not exist", "--released"],
            ),
            ("models --released tiny.fcmea", &["did you mean 'tiny.fcmae'?"]),
            ("models convnextv2_tiny", &["did you mean 'tiny'?"]),
            (
                "evaluate --data birds --weights classifier.safetensors",
                &["class 'checker'", "did you mean 'checkers'?"],
            ),
        ],
    );
    bench.refuse(2, &[("pretrain --data labelled --model ato --out run", &["did you mean 'atto'?"])]);
    assert_eq!(bench.succeed("models atto").lines().count(), 2);
    assert!(bench.succeed("models --released atto.fcmae").contains("hf:"));
}

#[test]
fn more_epochs_of_a_resumed_run_need_extend() {
    let bench = bench();
    bench.succeed(&format!("{FINETUNE} --epochs 1"));
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} --epochs 2 --resume"), &["epochs was 1.0, is 2.0", "give --extend"]),
            (
                &format!("{FINETUNE} --epochs 1 --seed 2 --resume"),
                &["seed was 0, is 2", "with the same ones"],
            ),
        ],
    );
    bench.succeed(&format!("{FINETUNE} --epochs 2 --resume --extend"));
}

#[test]
fn a_probe_of_random_features_and_a_lack_of_validation_are_warned_of() {
    let bench = bench();
    let warns = "random without weights to start";
    bench.run(&format!("{FINETUNE} --steps 1 --freeze encoder")).success().stderr(contains(warns));
    bench.write("start.safetensors", autoencoder());
    let line = "finetune --data labelled --init start.safetensors --freeze encoder --steps 1 --out probe";
    bench.run(line).success().stderr(contains(warns).not());
    bench.draw_classes("single", 1);
    let line = "finetune --data single --init none --model micro --image-size 32 --steps 1 --out unmeasured";
    bench.run(line).success().stderr(contains("there is no validation"));
}

#[test]
fn used_folders_and_other_formats_are_not_filled() {
    let bench = bench();
    bench.write("start.safetensors", autoencoder());
    bench.write("classifier.safetensors", classifier());
    bench.write("used/notes.txt", "mine");
    let reconstruct = "reconstruct labelled --weights start.safetensors --out used";
    let convert = "convert classifier.safetensors used --to timm";
    bench.refuse(
        1,
        &[
            (reconstruct, &["used is not empty", "--overwrite"]),
            (convert, &["used is not empty", "--overwrite"]),
            (
                "export --weights gone --out model.pt",
                &["model.pt does not end in .onnx", "model.onnx", "convert"],
            ),
            ("export --weights gone --out model", &["model.onnx"]),
        ],
    );
    for line in [reconstruct, convert] {
        bench.succeed(&format!("{line} --overwrite"));
    }
    assert_eq!(bench.read_text("used/notes.txt"), "mine");
}

#[test]
fn the_default_recipe_is_shown_for_given_data() {
    let bench = bench();
    bench.write("start.safetensors", autoencoder());
    let listed = bench.succeed("recipes");
    assert!(listed.contains("auto") && listed.contains("The default"), "{listed}");
    let shown = bench.succeed("recipes show auto --data labelled --model micro --image-size 32");
    assert!(shown.starts_with("# convnext finetune --recipe auto: steps of 16 images"), "{shown}");
    assert!(shown.contains("#   training.batch_size = 16: 6 images"), "{shown}");
    bench.write("mine.toml", &shown);
    let weights = |recipe: &str, out: &str| {
        let line = "finetune --data labelled --init none --model micro --image-size 32 --steps 2 --seed 0";
        bench.succeed(&format!("{line} --recipe {recipe} --out {out}"));
        convnext::io::read_weights(&bench.path(&format!("{out}/weights.safetensors"))).unwrap().arrays
    };
    assert!(weights("auto", "first") == weights("mine.toml", "second"));
    let shown = bench.succeed("recipes show auto --data labelled --model micro --task pretraining");
    assert!(shown.starts_with("# convnext pretrain --recipe auto"), "{shown}");
    bench.succeed("recipes show auto --data labelled --init start.safetensors");
    assert!(!bench.exists("not-used"));
    bench.refuse(1, &[("recipes show auto --data labelled", &["--model NAME"])]);
    bench.refuse(2, &[("recipes show auto --model micro", &["--data"])]);
}
