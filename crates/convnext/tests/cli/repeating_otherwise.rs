//! `--config` with other settings beside it: what then does not hold any more, and what is said of it.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::cells::cells;
use super::detecting::TRAIN as DETECT;
use super::streets::streets;
use super::weights::autoencoder;

/// A run from scratch of a few steps on grey images.
const GREY: &str =
    "finetune --init none --model micro --image-size 32 --stem-stride 1 --channels 1 --steps 1";

#[test]
fn the_value_range_is_that_of_the_images_and_of_the_weights() {
    let bench = Bench::new();
    bench.draw_levels("eight", 4);
    bench.draw_counts("deep", 4, "png", 4000);
    bench.succeed(&format!("{GREY} --data eight --out eight-bit"));
    bench.succeed("finetune --config eight-bit --data deep --out other-data");
    assert_eq!(bench.range("other-data")["deep"][0][1], 4000.0);
    // What was asked for is kept with the same images and start.
    bench.succeed(&format!("{GREY} --data deep --range 0,900 --out asked"));
    bench.succeed("finetune --config asked --data deep/ --seed 1 --out again");
    assert_eq!(bench.range("again")["deep"][0], serde_json::json!([0.0, 900.0]));
    bench.succeed("finetune --config asked --init other-data/weights.safetensors --out other-start");
    assert_eq!(bench.range("other-start"), bench.range("other-data"));
}

#[test]
fn a_recorded_flag_gives_way_to_one_that_excludes_it() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    let run = "finetune --data labelled --init none --model micro --image-size 32 --steps 1";
    bench.succeed(&format!("{run} --label-fraction 0.5 --fast-decode --out run"));
    bench.run("finetune --config run --labels-per-class 2 --cache ram --out other").success().stderr(
        contains(
            "but for --labels-per-class 2 (was --label-fraction 0.5), --cache ram (was --fast-decode)\n",
        ),
    );
    let config: toml::Table = bench.read_text("other/config.toml").parse().unwrap();
    assert!(!config.contains_key("label_fraction") && !config.contains_key("fast_decode"), "{config}");
    assert_eq!(config["labels_per_class"].as_integer(), Some(2));
    bench.succeed("finetune --config other --label-fraction 0.5 --out back");
}

#[test]
fn what_is_given_beside_it_is_named_once_and_only_where_it_differs() {
    let bench = Bench::new();
    bench.draw_levels("grey", 4);
    bench.succeed(&format!("{GREY} --data grey --out run"));
    bench
        .run(
            "finetune --config run --data grey/ --seed 0 --set training.betas=[0.8,0.9] --set training.ema=0.5 \
             --range 0,1 --quick -v --out other",
        )
        .success()
        .stderr(contains(
            "as it was recorded, but for --set training.betas=[0.8,0.9], --set training.ema=0.5, --range 0,1, --quick\n",
        ));
    bench.run("finetune --config run --data grey --out same").success().stderr(contains("but for").not());
}

/// Claim, reasons and highest rate of a recorded recipe.
fn recipe(bench: &Bench, run: &str) -> (String, Vec<String>, f64) {
    let config: toml::Table = bench.read_text(&format!("{run}/config.toml")).parse().unwrap();
    let recipe = &config["recipe"];
    let reasons = recipe.get("reasons").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let rate = recipe["training"]["learning_rate"].as_float().unwrap();
    (text(&recipe["claim"]), reasons.iter().map(text).collect(), rate)
}

const MADE: &str = "Made for this model and these images.";

#[test]
fn reasons_are_true_of_the_repeated_run() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    let run = "finetune --data labelled --init none --model micro --image-size 32 --steps 1";
    bench.succeed(&format!("{run} --batch-size 6 --out run"));
    let (claim, reasons, rate) = recipe(&bench, "run");
    let begins =
        |reasons: &[String], start: &str| reasons.iter().filter(|one| one.starts_with(start)).count();
    assert!(
        reasons.iter().any(|reason| reason.contains("and a batch size of 6, from scratch")),
        "{reasons:?}"
    );
    assert_eq!(claim, MADE);
    bench.succeed(
        "finetune --config run --batch-size 4 --set regularization.drop_path=0.1 --seed 1 --out smaller",
    );
    let (claim, reasons, kept_rate) = recipe(&bench, "smaller");
    assert_eq!((claim.as_str(), kept_rate), (MADE, rate));
    assert_eq!(begins(&reasons, "training.batch_size"), 1, "{reasons:?}");
    assert!(reasons.contains(&"training.batch_size: 4 from --batch-size".to_owned()), "{reasons:?}");
    assert_eq!(begins(&reasons, "regularization.drop_path"), 1, "{reasons:?}");
    assert!(!reasons.iter().any(|reason| reason.contains("batch size of")), "{reasons:?}");
    bench.succeed("finetune --config run --quick --out quick");
    let (_, reasons, _) = recipe(&bench, "quick");
    assert!(!reasons.iter().any(|reason| reason.contains("batch_size") || reason.contains("size of 6")));
}

#[test]
fn a_recipe_of_another_training_claims_nothing_of_this_one() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    bench.draw_classes("more", 6);
    bench.write("start.safetensors", autoencoder());
    let run = "finetune --data labelled --init none --model micro --image-size 32 --stem-stride 1 --steps 1";
    bench.succeed(&format!("{run} --out scratch"));
    let rate = recipe(&bench, "scratch").2;
    bench.succeed("finetune --data labelled --init start.safetensors --steps 1 --out weights");
    for (run, flags, out, had) in [
        ("scratch", "--init start.safetensors", "a", "a start from scratch"),
        ("weights", "--init none --model micro", "b", "a start from weights"),
        ("scratch", "--model v1-micro", "c", "another model"),
        ("weights", "--freeze encoder", "d", "no frozen encoder"),
    ] {
        let said = format!("is that of {run}/config.toml, which had {had}; --recipe auto");
        bench.run(&format!("finetune --config {run} {flags} --out {out}")).success().stderr(contains(said));
        let (claim, reasons, _) = recipe(&bench, out);
        assert_eq!(claim, format!("As in {run}/config.toml, which had {had}."));
        assert!(reasons.iter().all(|reason| !reason.contains(" = ")), "{flags}: {reasons:?}");
    }
    assert_eq!(recipe(&bench, "a").2, rate, "a warning, and no other rate");
    bench.succeed("finetune --config scratch --data more --out e");
    assert_eq!(recipe(&bench, "e").0, "As in scratch/config.toml, which had other images.");
    bench.run("finetune --config scratch --out again").success().stderr(contains("which had").not());
    assert_eq!(recipe(&bench, "again").0, MADE);
    bench.succeed("pretrain --data labelled --model micro --image-size 64 --steps 1 --out pretrained");
    bench
        .run("pretrain --config pretrained --model v1-micro --out f")
        .success()
        .stderr(contains("which had another model"));
    // A run that began so goes on.
    bench.succeed("pretrain --config pretrained --model v1-micro --out f --resume");
}

/// A segmentation of a few steps, of masks in the folder that follows.
const SEGMENT: &str = "finetune --task segment --model micro --image-size 64 --steps 1 --batch-size 2 --set \
                       training.warmup_steps=0 --set from_scratch.warmup_steps=0 --data";

fn config(bench: &Bench, run: &str) -> toml::Table {
    bench.read_text(&format!("{run}/config.toml")).parse().unwrap()
}

/// Bug: widths that nobody had typed were carried over to models and weights that have others.
#[test]
fn usual_widths_are_those_of_the_new_start() {
    let bench = streets();
    bench.succeed(
        "pretrain --data streets/images --model micro --image-size 64 --steps 1 --batch-size 2 --out run",
    );
    bench.succeed("pretrain --config run --widths 8,16,32,160 --out wide");
    let width = |run: &str| config(&bench, run)["model"]["decoder"]["width"].as_integer();
    assert_eq!([width("run"), width("wide")], [Some(128), Some(512)]);

    bench.succeed(&format!("{SEGMENT} streets --out usual"));
    bench.succeed(&format!("{SEGMENT} streets --head-width 8 --out typed"));
    let width = |run: &str| config(&bench, run)["head"]["head_width"].as_integer();
    assert_eq!([width("usual"), width("typed")], [Some(128), Some(8)]);
    // Those of the weights, unless others were typed.
    for (run, init) in [("usual", "typed"), ("typed", "usual")] {
        let out = format!("{run}-from-{init}");
        bench.succeed(&format!("finetune --config {run} --init {init}/weights.safetensors --out {out}"));
        assert_eq!(width(&out), Some(8), "{out}");
    }
}

/// Bug: a detector that learned from tiles, and masks of which another seed held out others, had "other images".
#[test]
fn images_are_compared_as_they_were_recorded() {
    let made = |bench: &Bench, run: &str| {
        let recipe = config(bench, run)["recipe"].clone();
        let reasons = recipe.get("reasons").and_then(toml::Value::as_array).map_or(0, Vec::len);
        (recipe["claim"].as_str().unwrap().to_owned(), reasons)
    };
    let bench = cells();
    let tiles = "--steps 1 --batch-size 2 --set augmentation.tile=40";
    bench.succeed(&format!("{DETECT} {tiles} --out run"));
    bench.succeed("finetune --config run --out again");
    assert_eq!(made(&bench, "again"), made(&bench, "run"));

    let bench = streets();
    for number in 0..6 {
        for folder in ["images", "annotations"] {
            let file = bench.read(&format!("streets/{folder}/train/{number:02}.png"));
            bench.write(&format!("flat/{folder}/{number:02}.png"), file);
        }
    }
    bench.succeed(&format!("{SEGMENT} flat --head-width 8 --val-fraction 0.5 --out run"));
    let checksum = |run: &str| config(&bench, run)["data_checksum"].as_integer();
    let mut has_others = false;
    for seed in ["1", "2"] {
        bench.succeed(&format!("finetune --config run --seed {seed} --out {seed}"));
        assert_eq!(made(&bench, seed), made(&bench, "run"));
        has_others |= checksum(seed) != checksum("run");
    }
    assert!(has_others, "no seed held out other images");
}

/// Bug: a job of ranks could not be repeated by one process, which was told to leave out what nobody had typed.
#[test]
fn batch_norms_of_ranks_are_left_to_one_process() {
    let bench = streets();
    bench.succeed(&format!("{SEGMENT} streets --head-width 8 --out run"));
    bench.write("ranks/config.toml", format!("sync_batch_norm = 2\n{}", bench.read_text("run/config.toml")));
    let said = "--sync-batch-norm of the repeated run is left out";
    bench.run("finetune --config ranks --out again").success().stderr(contains(said));
    assert!(!config(&bench, "again").contains_key("sync_batch_norm"));
    let typed = "finetune --config ranks --sync-batch-norm --out x";
    bench.refuse(1, &[(typed, &["--sync-batch-norm is about several ranks", "leave it out"])]);
}
