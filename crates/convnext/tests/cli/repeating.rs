//! `--config`: a run again, with the same bits.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::weights::autoencoder;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    bench.write("start.safetensors", autoencoder());
    bench
}

/// The settings of a run without its place.
fn config(bench: &Bench, run: &str) -> toml::Table {
    let mut config: toml::Table = bench.read_text(&format!("{run}/config.toml")).parse().unwrap();
    config.remove("out");
    config
}

#[test]
fn a_repeated_run_has_the_same_bits() {
    let bench = bench();
    let scratch = "--init none --model micro --stem-stride 2 --image-size 32 --epochs 2 --seed 5";
    for (name, line) in [
        ("auto", format!("finetune --data labelled {scratch} --val-fraction 0.4 --ignore-orientation")),
        ("given", format!("finetune --data labelled {scratch} --lr 0.01 --set from_scratch.warmup_epochs=0.3")),
        ("probe", "finetune --data labelled --init start.safetensors --freeze encoder --epochs 2".to_owned()),
        (
            "pretrained",
            "pretrain --data labelled --model micro --image-size 64 --epochs 2 --mask-ratio 0.5 --decoder-depth 2 \
             --encoder masked-dense --decoder-width 32"
                .to_owned(),
        ),
        (
            "custom",
            "finetune --data labelled --init none --model v1-micro --depths 1,2,1,1 --widths 8,24,40,72 --image-size 32 \
             --epochs 2 --seed 5"
                .to_owned(),
        ),
        (
            "transformer",
            "pretrain --data labelled --model micro --image-size 64 --steps 2 --decoder transformer --decoder-depth 1 \
             --decoder-width 64 --decoder-heads 4"
                .to_owned(),
        ),
    ] {
        let command = line.split(' ').next().unwrap();
        bench.succeed(&format!("{line} --out {name}"));
        let again = format!("{name}-again");
        bench.succeed(&format!("{command} --config {name} --out {again}"));
        assert_eq!(config(&bench, name), config(&bench, &again), "{name}");
        let weights = |run: &str| bench.read(&format!("{run}/weights.safetensors"));
        assert!(weights(name) == weights(&again), "{name}: other weights");
    }
}

#[test]
fn what_is_given_beside_it_counts_and_is_said() {
    let bench = bench();
    bench.succeed(
        "finetune --data labelled --init none --model micro --image-size 32 --epochs 2 --seed 5 --out run",
    );
    bench
        .run("finetune --config run/config.toml --seed 6 --epochs 1 --out other")
        .success()
        .stderr(contains("--seed 6 (was 5), --epochs 1"));
    let (run, other) = (config(&bench, "run"), config(&bench, "other"));
    assert_eq!((run["seed"].as_integer(), other["seed"].as_integer()), (Some(5), Some(6)));
    assert_eq!(other["recipe"]["training"]["epochs"].as_float(), Some(1.0), "{other}");
    assert_eq!(run["recipe"]["training"]["betas"], other["recipe"]["training"]["betas"]);
    // The same settings may be resumed without being typed again.
    bench.run("finetune --config run --out run --resume").success().stderr(contains("but for").not());
    bench.draw("labelled/vertical/new.png", "vertical", 17);
    bench.run("finetune --config run --out changed").success().stderr(contains("are not those of run"));
}

#[test]
fn what_cannot_be_repeated_is_refused_with_the_reason() {
    let bench = bench();
    bench.succeed("pretrain --data labelled --model micro --image-size 64 --steps 1 --out run");
    bench.write("damaged/config.toml", "seed = ");
    let text = bench.read_text("run/config.toml");
    bench.write("other/config.toml", text.replace("name = \"micro\"", "name = \"mine\""));
    bench.write("bad/config.toml", text.replace("stem_stride = 4", "stem_stride = \"four\""));
    bench.write("mine.toml", "extends = \"plain\"\n[training]\nweight_decay = 0.1");
    // Bug: no file was named, nor what was wrong with it, nor what to do.
    let no_run = &["mine.toml is no record of a run", "for a recipe give --recipe FILE"][..];
    let unread = &["bad/config.toml: the recorded model cannot be read: ", "four", "restore the file"][..];
    bench.refuse(
        1,
        &[
            ("finetune --config run --out x", &["run is the run of `convnext pretrain`"]),
            ("pretrain --config nowhere --out x", &["no run in nowhere", "config.toml"]),
            ("pretrain --config damaged --out x", &["damaged/config.toml is damaged"]),
            ("pretrain --config other --out x", &["other/config.toml: ", "'mine'", "known models"]),
            ("pretrain --config bad --out x", unread),
            ("pretrain --config mine.toml --out x", no_run),
            ("finetune --config mine.toml --out x", no_run),
            ("pretrain --config run --out run", &["output folder run is not empty"]),
        ],
    );
    bench.refuse(2, &[("pretrain --config run", &["--out"])]);
    assert!(!bench.exists("x"));
}

/// Settings as the version before the names of today wrote them.
#[test]
fn a_run_of_an_earlier_version_is_repeated() {
    let bench = bench();
    bench.succeed("finetune --data labelled --init none --model micro --image-size 32 --steps 2 --out run");
    let mut config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    let recipe = config["recipe"].as_table_mut().unwrap();
    let size = recipe.remove("input").unwrap()["image_size"].clone();
    recipe["regularization"].as_table_mut().unwrap().insert("image_size".into(), size);
    bench.write("old/config.toml", config.to_string());
    bench.succeed("finetune --config old --out again");
    assert!(bench.read("run/weights.safetensors") == bench.read("again/weights.safetensors"));
}
