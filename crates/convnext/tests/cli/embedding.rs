//! `convnext embed` and `convnext nearest`.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::weights::{autoencoder, classifier};

fn photos() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    bench.draw_classes("photos", 6);
    bench
}

/// Names and shape of a file of vectors.
fn contents(bench: &Bench, name: &str) -> (Vec<String>, Vec<usize>) {
    let bytes = bench.read(name);
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let names = String::from_utf8(file.tensor("names").unwrap().data().to_vec()).unwrap();
    (names.lines().map(str::to_owned).collect(), file.tensor("embeddings").unwrap().shape().to_vec())
}

#[test]
fn every_layer_and_format_gives_a_vector_for_each_image() {
    let bench = photos();
    for (layer, width) in [("pooled", 128), ("stage1", 16), ("stage4", 128)] {
        let said = bench.succeed(&format!(
            "embed photos --weights pretrained.safetensors --layer {layer} --out {layer}.safetensors"
        ));
        assert_eq!(said, format!("18 embeddings of {width} values in {layer}.safetensors\n"));
        let (names, shape) = contents(&bench, &format!("{layer}.safetensors"));
        assert_eq!((names[0].as_str(), shape), ("photos/checkers/00.png", vec![18, width]));
    }
    bench.succeed("embed photos --weights weights.safetensors --out x.npy");
    assert_eq!(bench.read("x.npy").len(), 128 + 18 * 128 * 4);
    assert_eq!(bench.read_text("x.npy.names.txt").lines().count(), 18);
    bench.succeed("embed photos --weights weights.safetensors --out x.parquet --image-size 64");
    assert!(bench.read("x.parquet").starts_with(b"PAR1"));
}

/// The values of a file of NumPy, after its header.
fn values(bench: &Bench, name: &str) -> Vec<f32> {
    let bytes = bench.read(name);
    let (elements, _) = bytes[128..].as_chunks();
    elements.iter().map(|&element| f32::from_le_bytes(element)).collect()
}

#[test]
fn a_vector_depends_neither_on_threads_nor_on_its_batch() {
    let bench = photos();
    let embed = |options: &str, out: &str| {
        bench.succeed(&format!("embed photos --weights weights.safetensors --out {out}.npy {options}"));
        values(&bench, &format!("{out}.npy"))
    };
    let alone = embed("--batch-size 1", "alone");
    let together = embed("--batch-size 7 --threads 1", "together");
    assert!(together == embed("--batch-size 7 --threads 3", "threads"), "the bits depend on the threads");
    let apart = alone.iter().zip(&together).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-5, "{apart}");
}

#[test]
fn unreadable_images_of_a_folder_are_left_out() {
    let bench = photos();
    bench.draw_truncated("photos/checkers/01.jpg");
    let line = "embed photos --weights weights.safetensors --out x.safetensors --batch-size 1";
    bench.run(line).success().stderr(contains("photos/checkers/01.jpg").and(contains("left out")));
    let (names, shape) = contents(&bench, "x.safetensors");
    assert_eq!(shape, [17, 128]);
    assert!(!names.contains(&"photos/checkers/01.jpg".to_owned()));
    // The vector after the gap still belongs to its image.
    let found = bench.json("nearest photos/vertical/05.jpg --index x.safetensors --count 1 --json");
    assert_eq!(found[0]["image"], "photos/vertical/05.jpg");
    bench
        .run("classify photos --weights weights.safetensors --top-k 1")
        .success()
        .stderr(contains("left out"));
    bench.run("classify photos/checkers/01.jpg --weights weights.safetensors").code(1);
}

#[test]
fn a_named_image_must_be_readable_beside_a_folder_too() {
    let bench = photos();
    bench.draw_truncated("cut.jpg");
    bench.draw_truncated("photos/checkers/01.jpg");
    for sources in ["cut.jpg photos", "photos cut.jpg"] {
        for rest in ["classify", "embed --out x.npy"] {
            let line = format!("{rest} {sources} --weights weights.safetensors");
            bench.run(&line).code(1).stderr(contains("error: cut.jpg"));
        }
    }
    assert!(!bench.exists("x.npy"));
}

#[test]
fn the_nearest_image_is_the_same_one_and_its_page_shows_it() {
    let bench = photos();
    bench.succeed("embed photos --weights weights.safetensors --out index.safetensors");
    let found = bench
        .json("nearest photos/horizontal/02.png --index index.safetensors --count 3 --html page.html --json");
    let found = found.as_array().unwrap();
    assert_eq!((found.len(), &found[0]["image"]), (3, &"photos/horizontal/02.png".into()));
    assert!((found[0]["similarity"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    let page = bench.read_text("page.html");
    assert_eq!(page.matches("data:image/png;base64,").count(), 4);
    assert!(page.contains("photos/horizontal/02.png"));
}

#[test]
fn one_image_is_asked_about_and_not_the_first_of_a_folder() {
    let bench = photos();
    bench.succeed("embed photos --weights weights.safetensors --out index.safetensors");
    bench.refuse(
        1,
        &[(
            "nearest photos/vertical --index index.safetensors",
            &["photos/vertical has 6 images", "name the file"],
        )],
    );
    let classifier = convnext::Classifier::load(bench.path("weights.safetensors")).unwrap();
    let refused = classifier.open(bench.path("photos")).unwrap_err().to_string();
    assert!(refused.contains("has 18 images"), "{refused}");
    bench.write("one/00.png", bench.read("photos/vertical/00.png"));
    assert!(classifier.open(bench.path("one")).is_ok());
}

#[test]
fn an_index_is_of_its_weights() {
    let bench = photos();
    bench.succeed("embed photos --weights weights.safetensors --out index.safetensors");
    let line = "nearest photos/horizontal/02.png --index index.safetensors";
    let refused = bench.run(&format!("{line} --weights pretrained.safetensors")).code(1);
    refused.stderr(contains("other weights"));
    bench
        .run("nearest photos/horizontal/02.png --index weights.safetensors")
        .code(1)
        .stderr(contains("embed"));
}

#[test]
fn a_missing_part_of_the_weights_is_named() {
    let bench = photos();
    bench.succeed("convert weights.safetensors parts --to timm");
    let bytes = bench.read("parts/model.safetensors");
    let part = "model-00001-of-00001.safetensors";
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let map: serde_json::Map<_, _> =
        tensors.names().into_iter().map(|name| (name.to_owned(), part.into())).collect();
    let index = serde_json::json!({ "weight_map": map });
    bench.write("parts/model.safetensors.index.json", index.to_string());
    bench.write(&format!("parts/{part}"), &bytes);
    std::fs::remove_file(bench.path("parts/model.safetensors")).unwrap();
    bench.succeed("embed photos --weights parts/model.safetensors.index.json --out index.safetensors");
    std::fs::remove_file(bench.path(&format!("parts/{part}"))).unwrap();
    bench
        .refuse(1, &[("nearest photos/vertical/00.png --index index.safetensors", &[part, "copy it again"])]);
}

#[test]
fn bad_requests_are_refused() {
    let bench = photos();
    for (line, word) in [
        ("embed photos --weights weights.safetensors --out x.csv", ".parquet"),
        ("embed gone.jpg --weights weights.safetensors --out x.npy", "gone.jpg"),
        ("embed photos --weights weights.safetensors --out no/folder/x.npy", "no/folder"),
        ("embed photos --weights weights.safetensors --out weights.safetensors", "over the weights"),
        ("nearest gone.jpg --index gone.safetensors", "gone.safetensors"),
    ] {
        bench.run(line).code(1).stderr(contains(word));
    }
    bench.run("embed photos --weights weights.safetensors --out x.npy --layer stage5").code(2);
    assert!(!bench.exists("x.npy"));
}
