//! How images are prepared follows from the weights, from the files of other programs to the trained weights.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use super::bench::Bench;
use super::weights::{classifier, with_header};

const TRAIN: &str = "--data labelled --steps 3 --batch-size 6 --set augmentation.flip=0";

/// A classifier in the folders of timm and transformers, without metadata of ours.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/val", 2);
    bench.write("own.safetensors", classifier());
    for to in ["timm", "hf"] {
        bench.succeed(&format!("convert own.safetensors {to} --to {to}"));
        let weights = format!("{to}/model.safetensors");
        let bare = with_header(&bench.read(&weights), |header| {
            header.remove("__metadata__");
        });
        bench.write(&weights, bare);
    }
    bench
}

/// Replaces keys of a JSON file below a pointer.
fn change(bench: &Bench, file: &str, pointer: &str, keys: &Value) {
    let mut config: Value = serde_json::from_str(&bench.read_text(file)).unwrap();
    let place = config.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    place.extend(keys.as_object().unwrap().clone());
    bench.write(file, config.to_string());
}

fn preprocessing(bench: &Bench, weights: &str) -> Value {
    bench.json(&format!("inspect {weights} --json"))["metadata"]["preprocessing"].take()
}

#[test]
fn what_timm_states_is_trained_evaluated_and_stored() {
    let bench = bench();
    let of_imagenet = train(&bench, "timm", "plain");
    change(
        &bench,
        "timm/config.json",
        "/pretrained_cfg",
        &json!({ "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.5, 0.25], "interpolation": "bilinear",
                 "crop_mode": "center", "crop_pct": 0.8 }),
    );
    let stated = json!({ "image_size": 32, "crop": 0.8, "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.5, 0.25],
                         "interpolation": "bilinear" });
    assert_eq!(preprocessing(&bench, "timm/model.safetensors"), stated);
    let said = bench.succeed("inspect timm/model.safetensors");
    assert!(said.contains("bilinear filter") && said.contains("mean [0.25, 0.5, 0.75]"), "{said}");
    let own = train(&bench, "timm", "run");
    assert_eq!(preprocessing(&bench, "run/weights.safetensors"), stated);
    assert_ne!(of_imagenet, own, "the training did not see the statistics");
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["preprocessing"]["interpolation"].as_str(), Some("bilinear"));
    // Validation in the run is what `evaluate` finds.
    let of_run: Value = serde_json::from_str(&bench.read_text("run/evaluation.json")).unwrap();
    let found = bench.json("evaluate --data labelled --weights run/weights.safetensors --json");
    assert_eq!(of_run["loss"], found["loss"]);
    // A pre-training goes on with the same.
    bench.succeed(
        "pretrain --data labelled --init timm/model.safetensors --steps 1 --batch-size 6 --out more",
    );
    assert_eq!(preprocessing(&bench, "more/weights.safetensors"), stated);
    // And back to the packages.
    bench.succeed("convert run/weights.safetensors back --to timm");
    let back: Value = serde_json::from_str(&bench.read_text("back/config.json")).unwrap();
    assert_eq!(back["pretrained_cfg"]["interpolation"], "bilinear");
    assert_eq!(back["pretrained_cfg"]["mean"], json!([0.25, 0.5, 0.75]));
    bench.succeed("convert run/weights.safetensors back-hf --to hf");
    let back: Value = serde_json::from_str(&bench.read_text("back-hf/preprocessor_config.json")).unwrap();
    assert_eq!((&back["resample"], &back["crop_pct"]), (&json!(2), &json!(0.8)));
}

/// Bug: an index knew the size of its images alone, so that `nearest` prepared the image otherwise than those of the index
/// where the description beside foreign weights had changed.
#[test]
fn the_nearest_image_is_prepared_as_the_index_was_made() {
    let bench = bench();
    bench.succeed("embed labelled --weights timm/model.safetensors --out index.safetensors");
    let keys = json!({ "mean": [0.0, 0.9, 0.1], "std": [0.1, 0.5, 2.0] });
    change(&bench, "timm/config.json", "/pretrained_cfg", &keys);
    let image = "labelled/val/vertical/00.png";
    let found = bench.json(&format!("nearest {image} --index index.safetensors --count 1 --json"));
    assert!(found[0]["similarity"].as_f64().unwrap() > 0.9999, "{found}");
}

/// Trains from a folder and gives the tensors' bytes.
fn train(bench: &Bench, folder: &str, out: &str) -> Vec<Vec<u8>> {
    bench.succeed(&format!("finetune {TRAIN} --init {folder}/model.safetensors --out {out}"));
    let weights = convnext::io::read_weights(&bench.path(&format!("{out}/weights.safetensors"))).unwrap();
    weights.arrays.into_values().map(|array| array.bytes).collect()
}

#[test]
fn each_field_of_an_image_processor_counts() {
    let bench = bench();
    let file = "hf/preprocessor_config.json";
    change(&bench, file, "", &json!({ "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25] }));
    let before = bench.read_text(file);
    let expected =
        json!({ "image_size": 32, "crop": null, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25] });
    assert_eq!(preprocessing(&bench, "hf/model.safetensors"), expected);
    for (keys, changed) in [
        (json!({ "resample": 2 }), json!({ "interpolation": "bilinear" })),
        (json!({ "resample": 0 }), json!({ "interpolation": "nearest" })),
        (json!({ "resample": 1 }), json!({ "interpolation": "lanczos" })),
        (json!({ "do_normalize": false }), json!({ "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0] })),
        (
            json!({ "rescale_factor": 2.0 / 255.0 }),
            json!({ "mean": [0.25, 0.25, 0.25], "std": [0.125, 0.125, 0.125] }),
        ),
        (json!({ "do_rescale": false, "image_mean": 127.5, "image_std": 63.75 }), json!({})),
        (
            json!({ "image_processor_type": "ConvNextImageProcessor", "size": { "shortest_edge": 64 },
                    "crop_pct": 0.8 }),
            json!({ "image_size": 64, "crop": 0.8 }),
        ),
        (json!({ "size": { "height": 32, "width": 64 } }), json!({ "image_size": [32, 64] })),
        (
            json!({ "size": { "shortest_edge": 40 }, "do_center_crop": true,
                    "crop_size": { "height": 32, "width": 32 } }),
            json!({ "crop": 0.8 }),
        ),
    ] {
        change(&bench, file, "", &keys);
        let mut expected = expected.clone();
        expected.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        assert_eq!(preprocessing(&bench, "hf/model.safetensors"), expected, "{keys}");
        bench.write(file, &before);
    }
}

#[test]
fn the_same_values_in_other_words_train_the_same_weights() {
    let bench = bench();
    let file = "hf/preprocessor_config.json";
    // Another size than that of the images, so that they are resized.
    let size = json!({ "height": 48, "width": 48 });
    let keys = json!({ "size": size, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25] });
    change(&bench, file, "", &keys);
    let plain = train(&bench, "hf", "plain");
    change(&bench, file, "", &json!({ "do_rescale": false, "image_mean": 127.5, "image_std": [63.75] }));
    assert!(plain == train(&bench, "hf", "in-levels"));
    change(&bench, file, "", &json!({ "resample": 2 }));
    assert!(plain != train(&bench, "hf", "bilinear"));
}

#[test]
fn what_is_not_done_is_warned_of_by_name() {
    let bench = bench();
    let classify = |folder: &str| format!("classify labelled --weights {folder}/model.safetensors");
    bench.run(&classify("hf")).success().stderr("");
    bench.run(&classify("timm")).success().stderr("");
    let before = bench.read_text("hf/preprocessor_config.json");
    for (keys, words) in [
        (json!({ "do_resize": false }), "do_resize is false"),
        (json!({ "resample": 7 }), "resample 7"),
        (json!({ "do_pad": true }), "do_pad"),
        (json!({ "image_mean": [0.5, 0.5] }), "it is not used"),
        (
            json!({ "size": { "shortest_edge": 64 }, "do_center_crop": true,
                    "crop_size": { "height": 32, "width": 64 } }),
            "is not square",
        ),
    ] {
        change(&bench, "hf/preprocessor_config.json", "", &keys);
        bench.run(&classify("hf")).success().stderr(contains(words).count(1));
        bench.write("hf/preprocessor_config.json", &before);
    }
    change(&bench, "timm/config.json", "/pretrained_cfg", &json!({ "interpolation": "random" }));
    bench.run(&classify("timm")).success().stderr(contains("interpolation random"));
    let line = format!("finetune {TRAIN} --init timm/model.safetensors --out run");
    bench.run(&line).success().stderr(contains("interpolation random").count(1));
    change(&bench, "timm/config.json", "", &json!({ "num_classes": 5 }));
    let words = contains("states 5 classes").and(contains("statistics of ImageNet"));
    bench.run(&classify("timm")).success().stderr(words);
}

#[test]
fn another_computation_than_ours_is_warned_of() {
    let bench = bench();
    change(&bench, "hf/config.json", "", &json!({ "hidden_act": "relu" }));
    change(&bench, "timm/config.json", "", &json!({ "global_pool": "max" }));
    change(&bench, "timm/config.json", "/model_args", &json!({ "act_layer": "silu" }));
    for (folder, words) in [
        ("hf", &["hidden_act is relu", "GELU is used"][..]),
        ("timm", &["global_pool is max", "global average pooling", "model_args.act_layer is silu"][..]),
    ] {
        let mut said =
            bench.run(&format!("classify labelled --weights {folder}/model.safetensors")).success();
        for word in words {
            said = said.stderr(contains(*word).count(1));
        }
    }
}

#[test]
fn other_channels_have_the_mean_over_the_colours() {
    let bench = bench();
    let statistics = json!({ "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.5, 0.5] });
    change(&bench, "timm/config.json", "/pretrained_cfg", &statistics);
    let line = "pretrain --data labelled --init timm/model.safetensors --channels 1 --steps 1 --batch-size 6";
    bench.succeed(&format!("{line} --out run"));
    let found = preprocessing(&bench, "run/weights.safetensors");
    assert_eq!((&found["mean"], &found["std"]), (&json!([0.5]), &json!([0.5])));
}

#[test]
fn another_size_keeps_the_statistics() {
    let bench = bench();
    let statistics =
        json!({ "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.5, 0.5], "crop_mode": "center", "crop_pct": 0.8 });
    change(&bench, "timm/config.json", "/pretrained_cfg", &statistics);
    let line = format!("finetune {TRAIN} --init timm/model.safetensors --image-size");
    for (size, crop) in [(32, json!(0.8)), (48, json!(0.875))] {
        bench.succeed(&format!("{line} {size} --out run-{size}"));
        let found = preprocessing(&bench, &format!("run-{size}/weights.safetensors"));
        assert_eq!((&found["crop"], &found["mean"]), (&crop, &json!([0.25, 0.5, 0.75])), "{size}");
    }
}
