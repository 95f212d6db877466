//! `convnext inspect`: weights of ours and of others.

use serde_json::{Value, json};

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier, foreign};

fn contents(bytes: &[u8]) -> Value {
    let bench = Bench::new();
    bench.write("w.safetensors", bytes);
    let contents = bench.json("inspect w.safetensors --json");
    assert_eq!(contents["bytes"], bytes.len(), "{contents}");
    let count = |tensor: &Value| -> u64 {
        tensor["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap()).product()
    };
    let values: u64 = contents["tensors"].as_array().unwrap().iter().map(count).sum();
    assert_eq!(contents["parameters"], values, "{contents}");
    contents
}

fn names(contents: &Value) -> Vec<&str> {
    contents["tensors"].as_array().unwrap().iter().map(|tensor| tensor["name"].as_str().unwrap()).collect()
}

#[test]
fn a_classifier_tells_its_classes_and_official_names() {
    let contents = contents(classifier());
    let metadata = &contents["metadata"];
    assert_eq!(metadata["task"], json!({ "kind": "classification", "classes": CLASSES }));
    assert_eq!(
        (&metadata["backbone"]["kind"], &metadata["backbone"]["classes"]),
        (&json!("convnext"), &json!(3))
    );
    assert!(contents["cost"]["macs"].as_u64().unwrap() > 1_000_000, "{}", contents["cost"]);
    assert_eq!(metadata["preprocessing"]["image_size"], 32);
    for name in ["downsample_layers.0.0.weight", "stages.0.0.dwconv.weight", "norm.bias", "head.weight"] {
        assert!(names(&contents).contains(&name), "no {name} in {:?}", names(&contents));
    }
}

#[test]
fn an_autoencoder_holds_encoder_and_decoder() {
    let contents = contents(autoencoder());
    assert_eq!(contents["metadata"]["task"]["kind"], "fcmae");
    for start in ["encoder.stages.3.", "mask_token", "proj.", "decoder.0.", "pred."] {
        let found = names(&contents).into_iter().any(|name| name.starts_with(start));
        assert!(found, "no {start} in {:?}", names(&contents));
    }
}

#[test]
fn a_file_of_another_program_can_be_looked_at() {
    let contents = contents(&foreign());
    assert_eq!(contents["metadata"], Value::Null);
    assert_eq!(contents["tensors"], json!([{"name": "layer.weight", "dtype": "F32", "shape": [2]}]));
}

#[test]
fn the_tensors_of_an_optimiser_are_no_parameters() {
    let bench = Bench::labelled();
    let line =
        "finetune --data labelled --model micro --image-size 32 --stem-stride 1 --batch-size 6 --steps 1";
    bench.succeed(&format!("{line} --out run"));
    let checkpoints = std::fs::read_dir(bench.path("run/checkpoints")).unwrap();
    let name = checkpoints.map(|entry| entry.unwrap().file_name()).next().unwrap();
    let checkpoint = bench.json(&format!("inspect run/checkpoints/{} --json", name.display()));
    let weights = bench.json("inspect run/weights.safetensors --json");
    assert_eq!(checkpoint["parameters"], weights["parameters"]);
    assert_eq!(checkpoint["tensors"], weights["tensors"]);
    assert_eq!(weights["of_training"], 0);
    assert!(checkpoint["of_training"].as_u64().unwrap() > 0);
}

#[test]
fn for_people_there_is_a_table() {
    let bench = Bench::new();
    bench.write("w.safetensors", classifier());
    let said = bench.succeed("inspect w.safetensors");
    for word in ["classifier micro of 3 classes", "checkers, horizontal, vertical", "head.bias", "F32"] {
        assert!(said.contains(word), "no '{word}' in\n{said}");
    }
}
