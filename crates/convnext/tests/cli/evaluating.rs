//! `convnext evaluate`, held against what `convnext classify` says about the same images.

use serde_json::Value;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

/// Labelled images of which the classifier has not seen half, and not as many of each class.
fn labelled() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    for (class, count) in CLASSES.into_iter().zip([5, 14, 20]) {
        for number in 0..count {
            bench.draw(&format!("photos/val/{class}/{number}.png"), class, 10 + number);
        }
    }
    bench
}

fn evaluation(bench: &Bench, settings: &str) -> Value {
    bench.json(&format!("evaluate --data photos --weights weights.safetensors --json {settings}"))
}

#[test]
fn the_fields_are_fixed() {
    let result = evaluation(&labelled(), "");
    let fields: Vec<&String> = result.as_object().unwrap().keys().collect();
    let mut expected = [
        "kind",
        "metrics",
        "images",
        "top1",
        "top5",
        "loss",
        "classes",
        "macro_average",
        "confusion",
        "mistakes",
        "samples",
        "part",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected, "{result}");

    assert_eq!(result["kind"], "classification", "{result}");
    for (metric, name) in result["metrics"].as_array().unwrap().iter().zip(["top1", "top5", "loss"]) {
        assert_eq!(metric["name"], name, "{result}");
        assert_eq!(metric["value"], result[name], "{result}");
    }
}

#[test]
fn the_numbers_add_up() {
    let result = evaluation(&labelled(), "");
    let classes = result["classes"].as_array().unwrap();
    let labels: Vec<&Value> = classes.iter().map(|class| &class["label"]).collect();
    assert_eq!(labels, CLASSES, "{result}");
    let sum = |weight: fn(&Value) -> f64| classes.iter().map(weight).sum::<f64>();
    let number = |value: &Value| value.as_f64().unwrap();
    let images = sum(|class| class["images"].as_f64().unwrap());
    let weighted = sum(|class| class["images"].as_f64().unwrap() * class["accuracy"].as_f64().unwrap());
    assert_eq!(images, 39.0, "{result}");
    let pairs = result["confusion"].as_array().unwrap();
    let counted: f64 = pairs.iter().map(|pair| number(&pair["images"])).sum();
    assert_eq!(counted, images, "{result}");
    let right = pairs.iter().filter(|pair| pair["label"] == pair["predicted"]);
    let right: f64 = right.map(|pair| number(&pair["images"])).sum();
    assert!((right / images - number(&result["top1"])).abs() < 1e-12, "{result}");
    assert!((number(&result["top1"]) - weighted / images).abs() < 1e-12, "{result}");
    assert_eq!(number(&result["top5"]), 1.0, "of three classes each is among the first five: {result}");
}

#[test]
fn it_agrees_with_classify_counted_by_hand() {
    let bench = labelled();
    let result = evaluation(&bench, "--batch-size 7");
    let answers = bench.json(
        "classify photos/val/checkers photos/val/horizontal photos/val/vertical --weights weights.safetensors \
         --top-k 3 --json",
    );
    let answers = answers.as_array().unwrap();
    let mut right = 0;
    let mut loss = 0.0;
    for answer in answers {
        let image = answer["image"].as_str().unwrap();
        let class = CLASSES.into_iter().find(|class| image.contains(class)).unwrap();
        let predictions = answer["predictions"].as_array().unwrap();
        right += usize::from(predictions[0]["label"] == class);
        let own = predictions.iter().find(|prediction| prediction["label"] == class).unwrap();
        loss -= own["probability"].as_f64().unwrap().ln();
    }
    let count = answers.len() as f64;
    assert_eq!(result["images"], answers.len(), "{result}");
    assert_eq!(result["top1"].as_f64().unwrap(), right as f64 / count, "{result}");
    let found = result["loss"].as_f64().unwrap();
    assert!((found - loss / count).abs() < 1e-5, "{found}, by hand {}", loss / count);
}

#[test]
fn for_people_there_is_a_table() {
    let said = labelled().succeed("evaluate --data photos --weights weights.safetensors");
    for word in [
        "class",
        "precision",
        "F1",
        "macro average",
        "horizontal",
        "39 images: top-1",
        "top-5 100.00 %",
        "loss",
        "measured on the validation part, photos/val",
    ] {
        assert!(said.contains(word), "no '{word}' in\n{said}");
    }
}

#[test]
fn a_share_to_hold_out_of_data_with_a_part_to_measure_on_is_refused() {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.draw_classes("data/train", 4);
    bench.draw_classes("data/val", 1);
    let words = &["--val-fraction 0.25", "data/val", "leave --val-fraction out", "data/train"][..];
    let evaluate = "evaluate --weights weights.safetensors --val-fraction 0.25 --data data";
    let finetune =
        "finetune --model micro --image-size 32 --steps 2 --out run --val-fraction 0.25 --data data";
    bench.refuse(
        1,
        &[(finetune, words), (evaluate, words), (&format!("{evaluate} --knn --neighbours 3"), words)],
    );
    assert!(!bench.exists("run"));
    let result = bench.json(&format!("{evaluate}/train --json"));
    assert_eq!(result["part"]["split"], "held out", "{result}");
    assert_eq!(result["images"], 3, "{result}");
}
