//! Weights that name no classes: `evaluate` takes the folders in order, `--class-names` says them.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

/// The classifier as a file of torch, which has no names, and images of its classes.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("own.safetensors", classifier());
    bench.succeed("convert own.safetensors nameless.pt --to timm");
    bench.draw_classes("data/val", 5);
    bench
}

fn evaluate(bench: &Bench, line: &str) -> Value {
    bench.json(&format!("evaluate --image-size 32 --json {line}"))
}

#[test]
fn folders_are_taken_in_order_and_it_is_said() {
    let bench = bench();
    let named = evaluate(&bench, "--data data --weights own.safetensors");
    let nameless = evaluate(&bench, "--data data --weights nameless.pt");
    assert_eq!(named["top1"], nameless["top1"]);
    assert_eq!(named["classes"], nameless["classes"]);
    bench.run("evaluate --data data --weights nameless.pt").success().stderr(
        contains("nameless.pt does not name its 3 classes")
            .and(contains("checkers to vertical"))
            .and(contains(
                "only if the training numbered its classes by the sorted names of the same folders",
            ))
            .and(contains("--class-names")),
    );
}

#[test]
fn placeholders_of_transformers_are_no_names() {
    let bench = bench();
    bench.succeed("convert nameless.pt hf --to hf");
    let stripped = super::weights::with_header(&bench.read("hf/model.safetensors"), |header| {
        header.remove("__metadata__");
    });
    bench.write("hf/model.safetensors", stripped);
    let mut config: Value = serde_json::from_slice(&bench.read("hf/config.json")).unwrap();
    config["id2label"] = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"});
    bench.write("hf/config.json", config.to_string());
    assert_eq!(bench.json("inspect hf --json")["metadata"]["task"]["classes"], json!([]));
    assert_eq!(evaluate(&bench, "--data data --weights hf")["images"], 15);
}

#[test]
fn class_names_of_a_file_count() {
    let bench = bench();
    let named = evaluate(&bench, "--data data --weights own.safetensors");
    bench.write("lines.txt", CLASSES.join("\n"));
    bench.write("list.json", json!(CLASSES).to_string());
    bench.write(
        "config.json",
        json!({"id2label": {"2": CLASSES[2], "0": CLASSES[0], "1": CLASSES[1]}}).to_string(),
    );
    bench.write("idx.json", json!({CLASSES[2]: 2, CLASSES[0]: 0, CLASSES[1]: 1}).to_string());
    for file in ["lines.txt", "list.json", "config.json", "idx.json"] {
        let line = format!("--data data --weights nameless.pt --class-names {file}");
        let found = evaluate(&bench, &line);
        assert_eq!((&found["top1"], &found["classes"]), (&named["top1"], &named["classes"]), "{file}");
        bench.run(&format!("evaluate {line}")).success().stderr(contains("does not name").not());
    }
    // In another order they are other classes: what the file says counts.
    bench.write("turned.txt", [CLASSES[1], CLASSES[2], CLASSES[0]].join("\n"));
    let turned = evaluate(&bench, "--data data --weights nameless.pt --class-names turned.txt");
    assert_ne!(turned["top1"], named["top1"]);
    assert_eq!(turned["classes"][0]["label"], CLASSES[1]);
    let answer =
        bench.json("classify data/val/vertical/00.png --weights nameless.pt --class-names turned.txt --json");
    let own = bench.json("classify data/val/vertical/00.png --weights own.safetensors --json");
    let index = |answer: &Value| answer[0]["predictions"][0]["index"].as_u64().unwrap() as usize;
    assert_eq!(index(&answer), index(&own));
    assert_eq!(answer[0]["predictions"][0]["label"], [CLASSES[1], CLASSES[2], CLASSES[0]][index(&own)]);
    bench.succeed("convert nameless.pt named.safetensors --to timm --class-names turned.txt");
    assert_eq!(bench.json("inspect named.safetensors --json")["metadata"]["task"]["classes"][2], CLASSES[0]);
}

#[test]
fn counts_that_disagree_are_refused() {
    let bench = bench();
    bench.draw("four/val/zebra/0.png", CLASSES[0], 0);
    for class in CLASSES {
        bench.draw(&format!("four/val/{class}/0.png"), class, 0);
    }
    for class in ["1", "2", "10"] {
        bench.draw(&format!("numbers/val/{class}/0.png"), CLASSES[0], 0);
    }
    bench.write("two.txt", "a\nb\n");
    bench.write("twice.txt", "a\nb\na\n");
    bench.refuse(
        1,
        &[
            (
                "evaluate --data four --weights nameless.pt",
                &["does not name its 3 classes", "four has 4", "--class-names"],
            ),
            (
                "evaluate --data numbers --weights nameless.pt",
                &["two orders", "10, 2", "2, 10", "--class-names"],
            ),
            (
                "evaluate --data data --weights nameless.pt --class-names two.txt",
                &["two.txt names 2 classes", "3 outputs"],
            ),
            (
                "classify data/val --weights own.safetensors --class-names two.txt",
                &["two.txt names 2 classes"],
            ),
            (
                "convert nameless.pt x.pt --to timm --class-names twice.txt",
                &["twice.txt", "'a' is duplicated"],
            ),
            ("classify data/val --weights nameless.pt --class-names gone.txt", &["gone.txt does not exist"]),
        ],
    );
    // Bug: the library took a name twice, and answers of both classes looked the same.
    let classifier = convnext::Classifier::load(bench.path("own.safetensors")).unwrap();
    let names = convnext::core::ClassNames(["a", "b", "a"].map(str::to_owned).to_vec());
    let refused = classifier.with_classes(names).unwrap_err().to_string();
    assert!(refused.contains("'a' is duplicated"), "{refused}");
    bench.run("evaluate --data data --weights own.safetensors --knn --class-names two.txt").code(2);
}
