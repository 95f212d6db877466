//! Who decides a setting: flag, `--set`, recipe, weights, built-in default, in this order. What is given is used, or
//! refused by name.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use toml::Table;

use super::bench::Bench;
use super::weights::{autoencoder, with_header};

pub(super) const PRETRAIN: &str = "pretrain --data photos --init start.safetensors --steps 1 --batch-size 4";
pub(super) const FINETUNE: &str = "finetune --data photos --init start.safetensors --steps 1 --batch-size 4";

/// An autoencoder of 32 pixels whose training removed 0.75 of the patches and predicted plain pixels.
pub(super) fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    let changed = with_header(autoencoder(), |header| {
        let text = &mut header["__metadata__"]["convnext"];
        let old = text.as_str().unwrap();
        let new = old
            .replace(r#""mask_ratio":0.6"#, r#""mask_ratio":0.75"#)
            .replace(r#""normalize_target":true"#, r#""normalize_target":false"#);
        assert_ne!(old, new);
        *text = new.into();
    });
    bench.write("start.safetensors", changed);
    bench.write("silent.toml", "extends = \"plain\"\n[training]\nweight_decay = 0.1");
    bench.write("ratio.toml", "extends = \"plain\"\n[masking]\nratio = 0.3");
    bench.write("size.toml", "extends = \"plain\"\n[masking]\nimage_size = 64");
    bench.write("finetune-size.toml", "extends = \"plain\"\n[regularization]\nimage_size = 64");
    bench
}

pub(super) fn config(bench: &Bench, run: &str) -> Table {
    bench.read_text(&format!("{run}/config.toml")).parse().unwrap()
}

pub(super) fn trained(bench: &Bench, run: &str) -> Value {
    bench.json(&format!("inspect {run}/weights.safetensors --json"))["metadata"].take()
}

#[test]
fn the_weights_objective_gives_way_to_what_is_given() {
    let bench = bench();
    for (number, (given, ratio, normalize)) in [
        ("", 0.75, false),
        ("--set masking.ratio=0.5", 0.5, false),
        ("--set masking.normalize_target=true", 0.75, true),
        ("--mask-ratio 0.4", 0.4, false),
        ("--mask-ratio 0.4 --set masking.ratio=0.5", 0.4, false),
        ("--recipe plain", 0.6, true),
        ("--recipe paper --quick", 0.6, true),
        ("--recipe silent.toml", 0.6, true),
        ("--recipe ratio.toml", 0.3, true),
        ("--recipe ratio.toml --set masking.ratio=0.5", 0.5, true),
        ("--recipe ratio.toml --mask-ratio 0.4", 0.4, true),
    ]
    .into_iter()
    .enumerate()
    {
        let run = number.to_string();
        // 16 patches, but for `--quick`, which leaves 4.
        let patches = if given.contains("quick") { 4.0_f64 } else { 16.0 };
        let kept = format!("{} of {patches} patches kept", (patches * (1.0 - ratio) + 1e-9).floor());
        bench.run(&format!("{PRETRAIN} {given} --out {run} -v")).success().stderr(contains(&kept));
        let masking = config(&bench, &run)["recipe"]["masking"].clone();
        assert_eq!(masking["ratio"].as_float(), Some(ratio), "{given}");
        assert_eq!(masking["normalize_target"].as_bool(), Some(normalize), "{given}");
        let fcmae = &trained(&bench, &run)["task"];
        assert_eq!((&fcmae["mask_ratio"], &fcmae["normalize_target"]), (&ratio.into(), &normalize.into()));
    }
}

#[test]
fn the_size_of_the_images_gives_way_to_what_is_given() {
    let bench = bench();
    for (number, (given, size)) in [
        ("", 32),
        ("--recipe plain", 32),
        ("--recipe size.toml", 64),
        ("--set masking.image_size=48", 48),
        ("--recipe size.toml --set input.image_size=48", 48),
        ("--recipe size.toml --image-size 40", 40),
    ]
    .into_iter()
    .enumerate()
    {
        bench.succeed(&format!("{PRETRAIN} {given} --out pretrain-{number}"));
        let found = trained(&bench, &format!("pretrain-{number}"))["preprocessing"]["image_size"].clone();
        assert_eq!(found, size, "pretrain {given}");
        let given = given.replace("masking.", "regularization.").replace("size.toml", "finetune-size.toml");
        bench.succeed(&format!("{FINETUNE} {given} --out finetune-{number}"));
        let found = trained(&bench, &format!("finetune-{number}"))["preprocessing"]["image_size"].clone();
        assert_eq!(found, size, "finetune {given}");
    }
}

#[test]
fn where_a_value_comes_from_is_said() {
    let bench = bench();
    bench
        .run(&format!("{PRETRAIN} --out a -v"))
        .success()
        .stderr(contains("masking.ratio = 0.75: from the weights of --init"))
        .stderr(contains("input.image_size = 32: from the weights of --init"));
    bench
        .run(&format!("{PRETRAIN} --recipe plain --set training.weight_decay=0.1 --lr 0.002 --out b -v"))
        .success()
        .stderr(contains("masking.ratio: not 0.75 as in the weights"))
        .stderr(contains("training.weight_decay: 0.1 from --set"))
        .stderr(contains("training.learning_rate: 0.002 from --lr"));
    bench
        .run(&format!("{PRETRAIN} --mask-ratio 0.75 --out same -v"))
        .success()
        .stderr(contains("masking.ratio: 0.75 from --mask-ratio"))
        .stderr(contains("masking.ratio: not").not());
    // Two that contradict each other are worth a warning without -v.
    bench
        .run(&format!("{PRETRAIN} --mask-ratio 0.4 --set masking.ratio=0.5 --out c"))
        .success()
        .stderr(contains("--set masking.ratio=0.5 is not used: --mask-ratio 0.4"));
    bench
        .run(&format!("{PRETRAIN} --mask-ratio 0.5 --set masking.ratio=0.5 --out d"))
        .success()
        .stderr(contains("WARN").not());
    bench
        .run(&format!("{PRETRAIN} --set training.epochs=300 --out e"))
        .success()
        .stderr(contains("--set training.epochs may not be used as it stands: --steps goes before it"));
}

/// Bug: `--quick` took one batch a step, and the plan said that those of `--set` were taken.
#[test]
fn what_quick_decides_is_not_said_to_be_that_of_set() {
    let bench = bench();
    let line = "pretrain --data photos --init start.safetensors --quick";
    let settings = ["training.accumulate=4", "training.epochs=300", "input.image_size=64"];
    let given: String = settings.map(|setting| format!(" --set {setting}")).concat();
    let mut run = bench.run(&format!("{line}{given} --out set -v")).success();
    for setting in settings {
        let key = setting.split('=').next().unwrap();
        let said = format!("--set {key} may not be used as it stands: --quick goes before it");
        run = run.stderr(contains(said));
    }
    run.stderr(contains("from --set").not());
    assert!(!bench.read_text("set/config.toml").contains("from --set"));
    let accumulate = |run| config(&bench, run)["recipe"]["training"]["accumulate"].as_integer();
    assert_eq!(accumulate("set"), Some(1));
    bench
        .run(&format!("{line} --accumulate 2 --out flag -v"))
        .success()
        .stderr(contains("training.accumulate: 2 from --accumulate"))
        .stderr(contains("may not be used").not());
    assert_eq!(accumulate("flag"), Some(2));
}

#[test]
fn every_part_of_the_architecture_that_is_given_is_used_or_refused() {
    let bench = bench();
    for (number, (given, path, expected)) in [
        ("", "task.decoder.depth", "1"),
        ("--decoder-depth 2", "task.decoder.depth", "2"),
        ("--decoder-width 24", "task.decoder.width", "24"),
        ("--decoder unet", "task.decoder.kind", "unet"),
        ("--decoder transformer --decoder-heads 8", "task.decoder.heads", "8"),
        ("--encoder leaky", "task.encoder_kind", "leaky"),
        ("--channels 1", "backbone.input_channels", "1"),
        ("--model micro --stem-stride 1", "backbone.name", "micro"),
    ]
    .into_iter()
    .enumerate()
    {
        bench.succeed(&format!("{PRETRAIN} {given} --out {number}"));
        let metadata = trained(&bench, &number.to_string());
        let found = path.split('.').fold(&metadata, |value, key| &value[key]);
        assert_eq!(found.to_string().trim_matches('"'), expected, "{given}: {metadata}");
    }
    bench.refuse(
        1,
        &[
            (&format!("{PRETRAIN} --model v1-micro --out x"), &["start.safetensors", "v1-micro"]),
            (&format!("{PRETRAIN} --model atto --out x"), &["start.safetensors", "atto"]),
            (&format!("{PRETRAIN} --stem-stride 2 --out x"), &["start.safetensors", "stem stride 2"]),
            (&format!("{PRETRAIN} --set model.depth=2 --out x"), &["model"]),
            (&format!("{PRETRAIN} --set masking.ratio=1.5 --out x"), &["mask ratio is 1.5"]),
        ],
    );
}

#[test]
fn settings_of_a_fine_tuning_are_used_or_refused() {
    let bench = bench();
    bench.succeed(&format!(
        "{FINETUNE} --set regularization.drop_path=0.3 --set from_weights.head_init=0.5 --out used"
    ));
    let recipe = config(&bench, "used")["recipe"].clone();
    assert_eq!(recipe["regularization"]["drop_path"].as_float(), Some(0.3));
    assert_eq!(recipe["from_weights"]["head_init"].as_float(), Some(0.5));
    assert!(config(&bench, "used")["model"].get("drop_path").is_none(), "a fact with two owners");
    let scratch = "finetune --data photos --model micro --image-size 32 --stem-stride 1 --steps 1 --out x";
    bench.refuse(
        1,
        &[
            (
                &format!("{FINETUNE} --set from_scratch.learning_rate=0.1 --out x"),
                &["from_scratch.learning_rate", "--init"],
            ),
            (&format!("{scratch} --set from_weights.head_init=1"), &["from_weights.head_init", "--init"]),
            (
                &format!("{FINETUNE} --freeze encoder --set regularization.drop_path=0.3 --out x"),
                &["regularization.drop_path", "--freeze encoder"],
            ),
            (&format!("{FINETUNE} --set regularization.drop_path=1 --out x"), &["drop path is 1"]),
            (&format!("{FINETUNE} --set from_weights.head_init=-1 --out x"), &["head initialisation is -1"]),
        ],
    );
    assert!(!bench.exists("x"), "refused before anything is written");
}

#[test]
fn reconstructions_are_made_as_the_weights_were_trained() {
    let bench = bench();
    bench.draw("photo.png", "vertical", 7);
    let line = "reconstruct photo.png --weights start.safetensors --json --out";
    let kept = |more: &str| bench.json(&format!("{line} {more}"))[0]["kept"].as_array().unwrap().len();
    assert_eq!((kept("a"), kept("b --mask-ratio 0.5")), (4, 8));
    // Predictions of plain pixels are not taken for normalised ones.
    bench.write("normalised.safetensors", autoencoder());
    bench.succeed("reconstruct photo.png --weights normalised.safetensors --mask-ratio 0.75 --out c");
    assert_ne!(bench.read("a/photo.png"), bench.read("c/photo.png"));
    bench
        .run("inspect start.safetensors")
        .success()
        .stdout(contains("mask ratio 0.75").and(contains("plain patches")));
}
