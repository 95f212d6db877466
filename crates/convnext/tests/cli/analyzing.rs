//! `convnext analyze`, and `pretrain --watch-features`.

mod maps;

use convnext::io::read_weights;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;
use super::weights::{autoencoder, classifier};
use maps::{Maps, array, mean};

fn photos() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    bench.draw_classes("photos", 4);
    bench
}

/// The measures of a layer of the first network.
fn layer<'a>(analysis: &'a Value, name: &str) -> &'a Value {
    layer_of(&analysis["models"][0], name)
}

/// The measures of a layer of a network.
fn layer_of<'a>(model: &'a Value, name: &str) -> &'a Value {
    model["layers"].as_array().unwrap().iter().find(|layer| layer["layer"] == name).unwrap()
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

/// Bug: a folder without images beside one with images ended it, where `pretrain` takes both.
#[test]
fn folders_that_are_no_classes_are_taken_without_them() {
    let bench = photos();
    for number in 0..3 {
        bench.draw(&format!("dated/2023/{number}.png"), "checkers", number);
    }
    bench.make_folder("dated/raw");
    let run = bench.run("analyze dated --weights pretrained.safetensors --out out --json").success();
    let run = run.stderr(contains("there is no class selectivity").and(contains("class 'raw'")));
    let analysis: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let first = &analysis["models"][0];
    assert_eq!((&first["images"], &first["classes"]), (&3.into(), &0.into()));
}

/// Bug: nothing told that networks were compared at different sizes.
#[test]
fn different_sizes_of_the_images_are_told() {
    let bench = photos();
    bench.succeed(
        "pretrain --data photos --model micro --image-size 64 --batch-size 4 --steps 1 --out larger",
    );
    let line = "analyze photos --weights pretrained.safetensors larger --images 4 --json";
    let analyzed = |more: &str| {
        let run = bench.run(&format!("{line} {more}")).success().get_output().clone();
        let analysis: Value = serde_json::from_slice(&run.stdout).unwrap();
        let sizes = analysis["models"].as_array().unwrap().iter();
        let sizes: Vec<u64> = sizes.map(|model| model["image_size"].as_u64().unwrap()).collect();
        (sizes, String::from_utf8(run.stderr).unwrap())
    };
    let (sizes, said) = analyzed("--out both");
    assert_eq!(sizes, [32, 64]);
    assert!(said.contains("larger sees images of 64 px") && said.contains("those of 32 px"), "{said}");
    let page = bench.read_text("both/report.html");
    assert!(page.contains("images of 64 px") && page.contains("see the images at different sizes"));
    let (sizes, said) = analyzed("--out same --image-size 64");
    assert_eq!(sizes, [64, 64]);
    assert!(!said.contains("sees images"), "{said}");
    assert!(!bench.read_text("same/report.html").contains("see the images at different sizes"));
}

/// Bug: of single numbers, which differ in their sign at most, it said that they had collapsed.
#[test]
fn maps_of_one_position_have_no_distance() {
    let bench = photos();
    let line = "analyze photos --weights weights.safetensors --image-size 8 --out out";
    let said = bench.succeed(line);
    assert!(said.contains("8 px") && !said.contains("NaN"), "{said}");
    let analysis: Value = serde_json::from_str(&bench.read_text("out/analysis.json")).unwrap();
    assert!(layer(&analysis, "stages.2.1.normalised")["cosine_distance"].as_f64().unwrap() > 0.0);
    let last = layer(&analysis, "stages.3.0.normalised");
    assert_eq!((&last["cosine_distance"], &last["saturated_maps"]), (&Value::Null, &0.0.into()));
}

#[test]
fn measures_are_those_of_the_activations_that_are_written() {
    let bench = photos();
    let line = "analyze photos --weights weights.safetensors pretrained.safetensors --out out --activations 12 --json";
    let analysis = bench.json(line);
    let files = [1, 2].map(|model| bench.read(&format!("out/activations/model-{model}.safetensors")));
    let near = |found: &Value, expected: f64, what: &str| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-5, "{what}: {found}, {expected}");
    };
    for (model, bytes) in analysis["models"].as_array().unwrap().iter().zip(&files) {
        for name in
            ["stages.0.0.input", "stages.1.0.depthwise", "stages.2.0.expanded", "stages.2.1.normalised"]
        {
            let (found, maps) = (layer_of(model, name), Maps::of(bytes, name));
            near(&found["cosine_distance"], maps.distance(), name);
            for (key, expected) in
                ["dead_maps", "saturated_maps", "dead", "saturated"].iter().zip(maps.counts())
            {
                near(&found[key], expected, &format!("{name}, {key}"));
            }
            let indices = maps.selectivity();
            assert_eq!(found["selectivity"]["channels"].as_array().unwrap().len(), indices.len());
            for (channel, expected) in indices.iter().enumerate() {
                near(&found["selectivity"]["channels"][channel], *expected, &format!("{name}, {channel}"));
            }
            near(&found["selectivity"]["mean"], mean(&indices), name);
        }
    }
    let alignment = &analysis["alignments"][0];
    let names = |key: &str| -> Vec<String> { serde_json::from_value(alignment[key].clone()).unwrap() };
    let [left, right] = [("rows", &files[0]), ("columns", &files[1])]
        .map(|(key, file)| names(key).iter().map(|name| Maps::of(file, name).kernel()).collect::<Vec<_>>());
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    assert_eq!((left.len(), right.len()), (5, 5));
    for (row, x) in left.iter().enumerate() {
        for (column, y) in right.iter().enumerate() {
            let expected = dot(x, y) / (dot(x, x) * dot(y, y)).sqrt();
            near(&alignment["values"][row][column], expected, &format!("alignment of {row} and {column}"));
        }
    }
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
