//! Checkpoints as other programs save them (`tests/packages/make_origins.py`): what `classify` answers is what their
//! models answer in these programs.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use super::bench::Bench;

/// Of the range of the logits; rounding in f32 makes up to a thousandth of that.
const TOLERANCE: f64 = 1e-3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/origins")
}

/// A bench with these files, unpacked, and the image.
pub(super) fn bench(names: &[&str]) -> Bench {
    let bench = Bench::new();
    bench.write("image.png", fs::read(folder().join("image.png")).unwrap());
    for name in names {
        let packed = fs::File::open(folder().join(format!("{name}.gz"))).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bench.write(name, bytes);
    }
    bench
}

/// What `classify` answers, in the order of the logits.
fn logits(bench: &Bench, weights: &str) -> Vec<f64> {
    let answer = bench.json(&format!("classify image.png --weights {weights} --top-k 3 --json"));
    let mut predictions = answer[0]["predictions"].as_array().unwrap().clone();
    predictions.sort_by_key(|prediction| prediction["index"].as_u64());
    predictions.iter().map(|prediction| prediction["logit"].as_f64().unwrap()).collect()
}

/// The answers must be those of the program that made the file.
pub(super) fn agrees(bench: &Bench, weights: &str, name: &str) {
    let expected: Value = serde_json::from_slice(&fs::read(folder().join("logits.json")).unwrap()).unwrap();
    let expected: Vec<f64> =
        expected[name].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap()).collect();
    let found = logits(bench, weights);
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().copied().fold(f64::MIN, f64::max);
    let range = largest - expected.iter().copied().fold(f64::MAX, f64::min);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < TOLERANCE * range, "{name}: {found}, in its program {expected}");
    }
}

fn origin(bench: &Bench, weights: &str) -> Value {
    bench.json(&format!("inspect {weights} --json"))["origin"].clone()
}

#[test]
fn a_training_checkpoint_of_timm_answers_as_its_average() {
    let bench = bench(&["timm_best.pth.tar"]);
    agrees(&bench, "timm_best.pth.tar", "timm_best.pth.tar");
    bench.run("classify image.png --weights timm_best.pth.tar").success().stderr(contains(
        "averaged weights (EMA) under `state_dict_ema` are used, not those under `state_dict`",
    ));
    let origin = origin(&bench, "timm_best.pth.tar");
    assert_eq!(
        origin,
        json!({"program": "timm", "prefix": "state_dict_ema.", "average": true,
               "other_models": ["state_dict."], "left_out": []})
    );
    let said = bench.succeed("inspect timm_best.pth.tar");
    assert!(said.contains("names of timm under state_dict_ema, averages over the training (EMA)"), "{said}");
}

#[test]
fn wrappers_of_pytorch_and_lightning_are_seen_through() {
    let bench = bench(&["compiled_parallel.pt", "lightning.ckpt"]);
    agrees(&bench, "compiled_parallel.pt", "compiled_parallel.pt");
    agrees(&bench, "lightning.ckpt", "lightning.ckpt");
    assert_eq!(origin(&bench, "compiled_parallel.pt")["prefix"], "module.");
    let origin = origin(&bench, "lightning.ckpt");
    assert_eq!(
        (&origin["prefix"], &origin["left_out"]),
        (&json!("state_dict.net."), &json!(["state_dict.loss.weight"]))
    );
}

#[test]
fn a_stream_of_torchvision_is_read() {
    let bench = bench(&["torchvision_stream.pth"]);
    agrees(&bench, "torchvision_stream.pth", "torchvision_stream.pth");
    assert_eq!(origin(&bench, "torchvision_stream.pth")["program"], "torchvision");
}

/// mmengine's hook has put the average where the model was, and the model under the key of the average.
#[test]
fn a_checkpoint_of_openmmlab_with_histories_is_read() {
    let bench = bench(&["openmmlab.pth"]);
    agrees(&bench, "openmmlab.pth", "openmmlab.pth");
    let contents = bench.json("inspect openmmlab.pth --json");
    assert_eq!(contents["origin"]["prefix"], "state_dict.backbone.");
    assert_eq!(contents["origin"]["average"], true);
    assert_eq!(contents["metadata"]["backbone"]["classes"], 3);
}

#[test]
fn encoders_with_other_parts_are_fine_tuned_and_the_parts_named() {
    let bench = bench(&["spark.pth", "detector_stream.pth"]);
    bench.draw_classes("labelled", 4);
    for (weights, part, model) in [
        ("spark.pth", "module.dense_decoder.dec.0.up_sample.weight", "[2,3,3,4]"),
        ("detector_stream.pth", "state_dict.backbone.norm0.bias", "[2,3,3,4]"),
    ] {
        let contents = bench.json(&format!("inspect {weights} --json"));
        assert_eq!(contents["metadata"]["backbone"]["widths"].to_string(), model, "{weights}");
        assert_eq!(contents["metadata"]["backbone"]["classes"], 0, "{weights}");
        let left_out = contents["origin"]["left_out"].as_array().unwrap();
        assert!(left_out.contains(&json!(part)), "{weights}: {left_out:?}");
        bench
            .run(&format!(
                "finetune --data labelled --init {weights} --image-size 64 --steps 1 --batch-size 6 --out run-{weights}"
            ))
            .success()
            .stderr(contains("left out, because it is no part of a ConvNeXt"));
        bench
            .run(&format!("classify image.png --weights {weights}"))
            .code(1)
            .stderr(contains("a classifier is needed").and(contains(weights)));
    }
}

const INDEX: &str = "sharded/model.safetensors.index.json";
const SHARDS: [&str; 3] = [
    "sharded/model-00001-of-00003.safetensors",
    "sharded/model-00002-of-00003.safetensors",
    "sharded/model-00003-of-00003.safetensors",
];

fn sharded() -> Bench {
    bench(&[INDEX, SHARDS[0], SHARDS[1], SHARDS[2]])
}

#[test]
fn weights_in_several_files_are_read() {
    let bench = sharded();
    agrees(&bench, "sharded", "sharded");
    agrees(&bench, INDEX, "sharded");
    bench.draw("more/image.png", "vertical", 1);
    bench.succeed("embed more --weights sharded --out index.safetensors");
    bench.succeed("nearest image.png --index index.safetensors");
}

#[test]
fn missing_files_of_several_are_named() {
    let bench = sharded();
    for shard in SHARDS {
        let part = shard.replace("sharded", "lone");
        bench.write(&part, bench.read(shard));
        let words: &[&str] = &["one part of several", "index model.safetensors.index.json is missing"];
        bench.refuse(1, &[(&format!("classify image.png --weights {part}"), words)]);
        fs::remove_file(bench.path(&part)).unwrap();
    }
    let changed = |from: &str, to: &str| {
        let text = String::from_utf8(bench.read(INDEX)).unwrap();
        assert!(text.contains(from), "{text}");
        bench.write("sharded/changed.index.json", text.replacen(from, to, 1));
    };
    let refuse = |weights: &str, words: &[&str]| {
        for line in ["classify image.png --weights W", "inspect W"] {
            bench.refuse(1, &[(&line.replace('W', weights)[..], words)]);
        }
    };
    changed("\"classifier.bias\": \"model-00003", "\"classifier.bias\": \"model-00001");
    refuse("sharded/changed.index.json", &["classifier.bias is not in model-00001-of-00003.safetensors"]);
    changed("\"classifier.bias\": \"model", "\"classifier.bias\": \"../model");
    refuse("sharded/changed.index.json", &["is no name of a file beside it"]);
    changed(
        "\"weight_map\": {",
        "\"weight_map\": {\"classifier.bias\": \"model-00001-of-00003.safetensors\",",
    );
    refuse("sharded/changed.index.json", &["it names two files for classifier.bias"]);
    bench.write(SHARDS[1], bench.read(SHARDS[0]));
    refuse(INDEX, &["is in model-00001-of-00003.safetensors and in model-00002"]);
    fs::remove_file(bench.path(SHARDS[1])).unwrap();
    fs::remove_file(bench.path(SHARDS[2])).unwrap();
    refuse(INDEX, &["are missing: model-00002-of-00003.safetensors, model-00003-of-00003.safetensors"]);
    bench.write("page.json", r#"{"error": "not found"}"#);
    refuse("page.json", &["weight_map"]);
}
