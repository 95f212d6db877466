//! `pretrain --decoder` and `--encoder tokens`: trainings, what they leave behind, and what is refused.

use std::fs;

use convnext::core::{FcmaeTask, ImageSize, WeightMetadata, pretraining_macs};
use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;

/// Patches of 32 pixels, so that a step of 64 pixels is quick.
const QUICK: &str = "pretrain --data photos --model micro --recipe plain --batch-size 6";

/// Patches of 8 pixels.
const SMALL: &str =
    "pretrain --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 --batch-size 4";

fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    bench
}

/// The multiply-adds of a training of these weights on an image of its size.
fn macs(metadata: &serde_json::Value, size: ImageSize) -> u64 {
    let metadata: WeightMetadata = serde_json::from_value(metadata.clone()).unwrap();
    let task: FcmaeTask = metadata.task_as().unwrap();
    let config = task.config(&metadata.convnext().unwrap());
    pretraining_macs(&config, task.mask_ratio, size).unwrap().iter().sum()
}

/// What `inspect --json` says about the weights of a run.
fn metadata(bench: &Bench, run: &str) -> serde_json::Value {
    bench.json(&format!("inspect {run}/weights.safetensors --json"))
}

#[test]
fn each_decoder_and_tokens_are_pretrained_shown_repeated_and_finetuned() {
    let bench = photos();
    for (number, (given, keys)) in [
        ("--decoder convnext", [("kind", "null"), ("depth", "1"), ("width", "128"), ("heads", "null")]),
        ("--decoder unet", [("kind", "unet"), ("depth", "1"), ("width", "128"), ("heads", "null")]),
        (
            "--decoder unet-no-skip --decoder-width 64",
            [("kind", "unet-no-skip"), ("depth", "1"), ("width", "64"), ("heads", "null")],
        ),
        (
            "--decoder transformer --decoder-depth 2 --decoder-heads 8",
            [("kind", "transformer"), ("depth", "2"), ("width", "128"), ("heads", "8")],
        ),
        (
            "--encoder tokens --decoder unet --decoder-width 32",
            [("kind", "unet"), ("depth", "1"), ("width", "32"), ("heads", "null")],
        ),
        ("--encoder tokens", [("kind", "null"), ("depth", "1"), ("width", "128"), ("heads", "null")]),
    ]
    .into_iter()
    .enumerate()
    {
        // One of them on images that are not square.
        let (size, pixels) = match given {
            "--decoder unet" => ("64x96", ImageSize { height: 64, width: 96 }),
            _ => ("64", ImageSize::square(64)),
        };
        bench.succeed(&format!("{QUICK} --image-size {size} --steps 2 {given} --out {number} -q"));
        let contents = metadata(&bench, &number.to_string());
        let decoder = &contents["metadata"]["task"]["decoder"];
        for (key, expected) in keys {
            assert_eq!(decoder[key].to_string().trim_matches('"'), expected, "{given}: {decoder}");
        }
        let tensors = contents["tensors"].as_array().unwrap();
        let has = |name: &str| tensors.iter().any(|tensor| tensor["name"] == name);
        assert_eq!(
            [has("encoder_token"), has("mask_token")],
            [given.contains("tokens"), !given.contains("tokens")]
        );
        assert_eq!(contents["cost"]["macs"].as_u64(), Some(macs(&contents["metadata"], pixels)), "{given}");

        bench.succeed(&format!("pretrain --config {number} --out again-{number} -q"));
        let [first, again] =
            ["", "again-"].map(|name| bench.read(&format!("{name}{number}/weights.safetensors")));
        assert!(first == again, "{given}: another run when it is repeated");
        let image = format!("photos/{}/00.png", CLASSES[0]);
        let weights = format!("{number}/weights.safetensors");
        bench.succeed(&format!("reconstruct {image} --weights {weights} --out images-{number}"));
        bench.succeed(&format!(
            "finetune --data photos --init {weights} --image-size 64 --batch-size 6 --steps 1 --out tuned-{number} -q"
        ));
    }
}

#[test]
fn a_training_with_a_unet_goes_on_with_the_same_bits() {
    let bench = photos();
    let line = format!("{SMALL} --decoder unet --decoder-width 16 --epochs 3 --accumulate 2");
    bench.succeed(&format!("{line} --out whole -q"));
    bench.succeed(&format!("{line} --threads 1 --out cut -q"));
    let whole = bench.read("whole/weights.safetensors");
    assert!(whole == bench.read("cut/weights.safetensors"), "threads make a difference");
    // As if the run had been stopped before its last epoch.
    let checkpoints = fs::read_dir(bench.path("cut/checkpoints")).unwrap().map(|file| file.unwrap().path());
    fs::remove_file(checkpoints.max().unwrap()).unwrap();
    for file in ["weights.safetensors", "summary.json"] {
        fs::remove_file(bench.path(&format!("cut/{file}"))).unwrap();
    }
    bench.succeed(&format!("{line} --resume --out cut -q"));
    assert!(whole == bench.read("cut/weights.safetensors"), "the run goes on otherwise");
}

/// Of 256 patches, so that the products of the attention are large enough to be divided, if they ever are.
#[test]
fn threads_make_no_difference_to_a_transformer() {
    let bench = photos();
    let line = "pretrain --data photos --model micro --recipe plain --image-size 128 --stem-stride 1 --batch-size 4 \
                --encoder tokens --decoder transformer --decoder-depth 2 --decoder-width 64 --decoder-heads 4 --steps 2";
    bench.succeed(&format!("{line} --out two --threads 2 -q"));
    bench.succeed(&format!("{line} --out one --threads 1 -q"));
    assert!(bench.read("one/weights.safetensors") == bench.read("two/weights.safetensors"));
}

#[test]
fn weights_give_their_decoder_unless_another_is_asked_for() {
    let bench = photos();
    bench.succeed(&format!(
        "{SMALL} --decoder transformer --decoder-depth 1 --decoder-width 32 --steps 1 --out first -q"
    ));
    let line =
        "pretrain --data photos --init first/weights.safetensors --recipe plain --batch-size 4 --steps 1";
    let another = |of_model, of_weights| {
        format!(
            "the decoder is another one than that of the weights ({of_model}, not {of_weights}) and starts fresh"
        )
    };
    for (number, (given, kind, remark)) in [
        ("", "transformer", None),
        ("--decoder unet", "unet", Some(another("unet", "transformer"))),
        ("--encoder tokens", "transformer", None),
        ("--decoder-heads 4", "transformer", Some(another("4 head(s)", "1 head(s)"))),
    ]
    .into_iter()
    .enumerate()
    {
        let run = bench.run(&format!("{line} {given} --out {number}")).success();
        match remark {
            Some(remark) => run.stderr(contains(remark)),
            None => run.stderr(contains("another one than that of the weights").not()),
        };
        let contents = metadata(&bench, &number.to_string());
        assert_eq!(contents["metadata"]["task"]["decoder"]["kind"], kind, "{given}");
    }
    bench
        .run("inspect first/weights.safetensors")
        .success()
        .stdout(contains("a transformer decoder of 1 block(s) of 32 channels and 1 head(s), trained"));
    bench
        .run("inspect 2/weights.safetensors")
        .success()
        .stdout(contains("1 head(s) and an encoder with mask tokens, trained"));
    bench.refuse(
        1,
        &[(
            &format!("{SMALL} --decoder unet --decoder-heads 2 --out x"),
            &["--decoder-heads", "transformer"],
        )],
    );
}

/// With tokens a batch norm sees the removed patches too, so that one kept patch of one image is enough.
#[test]
fn a_batch_norm_counts_the_patches_that_it_sees() {
    let bench = photos();
    let line = "pretrain --data photos --model micro --recipe plain --image-size 64 --batch-size 1 --response-norm bn";
    bench.refuse(1, &[(&format!("{line} --steps 1 --out x"), &["--response-norm", "--batch-size"])]);
    bench.succeed(&format!("{line} --encoder tokens --steps 1 --out tokens -q"));
}

#[test]
fn a_choice_of_activations_that_a_decoder_has_not_is_told() {
    let bench = photos();
    bench
        .run(&format!(
            "{SMALL} --decoder unet --decoder-width 16 --activations recompute --steps 1 --out unet"
        ))
        .success()
        .stderr(contains("a decoder of kind unet saves every value"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bench = photos();
    bench.refuse(
        2,
        &[
            (&format!("{SMALL} --decoder vit --out x"), &["'vit'", "unet-no-skip", "transformer"]),
            (&format!("{SMALL} --decoder transformer --decoder-heads 0 --out x"), &["--decoder-heads"]),
        ],
    );
    bench.refuse(
        1,
        &[
            (&format!("{SMALL} --decoder-heads 2 --out x"), &["--decoder-heads", "convnext"]),
            (&format!("{SMALL} --decoder unet --decoder-depth 2 --out x"), &["decoder depth is 2", "UNet"]),
            (
                &format!("{SMALL} --decoder unet --decoder-width 20 --out x"),
                &["decoder width is 20", "patch"],
            ),
            (
                &format!("{SMALL} --decoder transformer --decoder-heads 3 --out x"),
                &["decoder heads is 3", "divisor"],
            ),
            (
                "bench --mode train --model micro --batch-size 1 --decoder unet",
                &["--decoder", "--mode pretrain"],
            ),
            (
                "bench --mode pretrain --scope encoder --model micro --batch-size 1 --decoder-width 64",
                &["--decoder", "whole steps"],
            ),
        ],
    );
    assert!(!bench.exists("x"), "refused before anything is written");
}

#[test]
fn decoders_are_measured_by_the_bench() {
    let bench = Bench::new();
    let line = "bench --mode pretrain --model micro --image-size 64 --batch-size 2 --steps 1 --json";
    for given in ["--decoder unet", "--decoder transformer --decoder-depth 2", "--encoder tokens"] {
        let measured = bench.json(&format!("{line} {given}"));
        assert!(measured["images_per_second"].as_f64().is_some_and(|speed| speed > 0.0), "{measured}");
    }
}
