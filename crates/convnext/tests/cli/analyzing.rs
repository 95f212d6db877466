//! `convnext analyze`, and `pretrain --watch-features`.

use convnext::io::read_weights;
use predicates::prelude::*;
use predicates::str::contains;
use safetensors::SafeTensors;
use serde_json::Value;

use super::bench::Bench;
use super::weights::{autoencoder, classifier};

fn photos() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    bench.draw_classes("photos", 4);
    bench
}

/// The measures of a layer of the first network.
fn layer<'a>(analysis: &'a Value, name: &str) -> &'a Value {
    let layers = analysis["models"][0]["layers"].as_array().unwrap();
    layers.iter().find(|layer| layer["layer"] == name).unwrap()
}

/// The values of an array, `[images, height, width, channels]`, and that shape.
fn array(bytes: &[u8], name: &str) -> (Vec<f32>, Vec<usize>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    (values.collect(), view.shape().to_vec())
}

#[test]
fn networks_are_measured_on_the_same_labelled_images() {
    let bench = photos();
    let line = "analyze photos --weights weights.safetensors pretrained.safetensors --out both";
    let said = bench.succeed(&format!("{line} --images 9"));
    assert!(said.contains("saturated maps") && said.contains("pretrained.safetensors"), "{said}");
    let analysis: Value = serde_json::from_str(&bench.read_text("both/analysis.json")).unwrap();
    let first = &analysis["models"][0];
    // Of three classes two have all their four images: with three a class there would be fewer than ten of each.
    assert_eq!((&first["images"], &first["classes"]), (&8.into(), &2.into()));
    // Five blocks of five layers.
    for model in analysis["models"].as_array().unwrap() {
        assert_eq!(model["layers"].as_array().unwrap().len(), 25);
    }
    let expanded = layer(&analysis, "stages.2.1.expanded");
    assert_eq!((&expanded["channels"], &expanded["part"]), (&256.into(), &"expanded".into()));
    let selectivity = &expanded["selectivity"];
    let counted: u64 =
        selectivity["histogram"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((counted, selectivity["channels"].as_array().unwrap().len()), (256, 256));
    let alignments = analysis["alignments"].as_array().unwrap();
    assert_eq!(
        (alignments.len(), &alignments[0]["left"], &alignments[0]["right"]),
        (1, &0.into(), &1.into())
    );
    assert_eq!(alignments[0]["values"].as_array().unwrap().len(), 5);
    let page = bench.read_text("both/report.html");
    for part in
        ["Feature cosine distance", "Class selectivity", "Similarity of blocks", "stages.3.0.normalised"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(bench.read("both/maps/model-2/stages.0.0.depthwise.png").starts_with(b"\x89PNG"));
}

#[test]
fn images_without_classes_have_no_selectivity() {
    let bench = photos();
    let images = "photos/checkers/00.png photos/vertical/01.jpg photos/horizontal/02.png";
    let analysis =
        bench.json(&format!("analyze {images} --weights pretrained.safetensors --out plain --json"));
    let first = &analysis["models"][0];
    assert_eq!((&first["images"], &first["classes"]), (&3.into(), &0.into()));
    assert_eq!(layer(&analysis, "stages.1.0.output")["selectivity"], Value::Null);
    assert!(!bench.read_text("plain/report.html").contains("Class selectivity"));
    // One network is compared with itself.
    let itself = &analysis["alignments"][0]["values"];
    for block in 0..5 {
        assert!((itself[block][block].as_f64().unwrap() - 1.0).abs() < 1e-6, "{itself}");
    }
}

#[test]
fn measures_are_those_of_the_activations_that_are_written() {
    let bench = photos();
    let line = "analyze photos --weights pretrained.safetensors --out out --images 3 --activations 3 --json";
    let analysis = bench.json(line);
    let bytes = bench.read("out/activations/model-1.safetensors");
    for name in ["stages.0.0.input", "stages.1.0.depthwise", "stages.2.0.expanded", "stages.2.1.normalised"] {
        let (values, shape) = array(&bytes, name);
        let distances = values.chunks_exact(values.len() / shape[0]).map(|rows| distance(rows, shape[3]));
        let expected = distances.sum::<f64>() / 3.0;
        let found = layer(&analysis, name)["cosine_distance"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-5, "{name}: {found}, {expected}");
    }
}

/// Feature cosine distance of an image, over all pairs of its channels.
fn distance(rows: &[f32], channels: usize) -> f64 {
    let map = |channel: usize| rows.chunks_exact(channels).map(move |row| f64::from(row[channel]));
    let dot = |left, right| map(left).zip(map(right)).map(|(x, y)| x * y).sum::<f64>();
    let pairs = (0..channels).flat_map(|left| (0..channels).map(move |right| (left, right)));
    let cosine = |(left, right)| dot(left, right) / (dot(left, left) * dot(right, right)).sqrt();
    pairs.map(|pair| 0.5 * (1.0 - cosine(pair))).sum::<f64>() / (channels * channels) as f64
}

#[test]
fn the_layers_are_those_of_the_kernels() {
    let bench = photos();
    bench
        .succeed("analyze photos/checkers/00.png --weights pretrained.safetensors --out out --activations 1");
    bench.succeed(
        "embed photos/checkers/00.png --weights pretrained.safetensors --layer stage4 --out x.safetensors",
    );
    let (values, shape) = array(&bench.read("out/activations/model-1.safetensors"), "stages.3.0.output");
    let (expected, width) = array(&bench.read("x.safetensors"), "embeddings");
    assert_eq!(width[1], shape[3]);
    for (channel, expected) in expected.iter().enumerate() {
        let of_channel = values.iter().skip(channel).step_by(shape[3]);
        let found = of_channel.sum::<f32>() / (shape[1] * shape[2]) as f32;
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found}, {expected}");
    }
}

#[test]
fn what_cannot_be_analyzed_is_refused() {
    let bench = photos();
    let line = "analyze photos --weights pretrained.safetensors --out photos";
    bench.run(line).code(1).stderr(contains("lie one in the other"));
    bench.write("used/file", "");
    let line = "analyze photos --weights pretrained.safetensors --out used";
    bench.run(line).code(1).stderr(contains("used is not empty").and(contains("--overwrite")));
    let line = "analyze photos --weights pretrained.safetensors --out x --precision bf16";
    bench.run(line).code(1).stderr(contains("--precision"));
    bench.run("analyze nowhere --weights pretrained.safetensors --out x").code(1).stderr(contains("nowhere"));
    // Bug: it was not said why.
    bench.draw_truncated("cut/a.jpg");
    let run = bench.run("analyze cut --weights pretrained.safetensors --out x").code(1);
    run.stderr(contains("none of the 1 images can be read").and(contains("a.jpg")));
    bench.run("analyze photos --out x").code(2).stderr(contains("--weights"));
    bench.run("analyze photos --weights photos --out x").code(1).stderr(contains("photos"));
}

#[test]
fn a_pretraining_says_what_becomes_of_its_features() {
    let bench = photos();
    let line = "pretrain --data photos --model micro --image-size 64 --batch-size 4 --epochs 2";
    bench.succeed(&format!(
        "{line} --watch-features --set training.validate_every={{epochs=1}} --out watched"
    ));
    let text = bench.read_text("watched/metrics.jsonl");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for name in ["feature_distance", "feature_distance_stage1", "feature_distance_stage4", "saturated_maps"] {
        let value = last[format!("validation_{name}")].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{name} {value}");
    }
    let gammas = read_weights(&bench.path("watched/weights.safetensors")).unwrap().arrays.into_values();
    let gammas =
        gammas.filter(|array| array.name.starts_with("encoder.") && array.name.ends_with("grn.gamma"));
    let gammas: Vec<f32> = gammas.flat_map(|array| array.to_f32().unwrap()).collect();
    let size = gammas.iter().map(|gamma| f64::from(gamma.abs())).sum::<f64>() / gammas.len() as f64;
    let found = last["validation_grn_gamma"].as_f64().unwrap();
    assert!(size > 0.0 && (found - size).abs() < 1e-9, "{found} {size}");
    assert!(last.get("validation_layer_scale").is_none(), "{last}");
    assert!(bench.read_text("watched/report.html").contains("feature distance"));
    // What is watched changes nothing of what is learned.
    bench.succeed(&format!("{line} --set training.validate_every={{epochs=1}} --out plain"));
    assert!(bench.read("plain/weights.safetensors") == bench.read("watched/weights.safetensors"));
    bench.succeed("pretrain --config watched --out again");
    assert_eq!(bench.read_text("again/config.toml").matches("watch_features = true").count(), 1);
}
