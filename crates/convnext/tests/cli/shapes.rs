//! Images that are no squares, and images that keep sizes of their own, through all commands.

use std::fs;

use convnext::core::Preprocessing;
use convnext::data::{Image, Orientation, decode, resize_for_evaluation};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::bench::Bench;
use super::weights::{classifier, with_header};

const PRETRAIN: &str = "pretrain --data photos --model micro --recipe plain --image-size 24x40 --stem-stride 1 \
                        --batch-size 4 --epochs 2";
const FINETUNE: &str = "finetune --data photos --init none --model micro --recipe plain --image-size 24x40 \
                        --stem-stride 1 --batch-size 4 --epochs 2";

fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos/train", 4);
    bench.draw_classes("photos/val", 2);
    bench
}

fn preprocessing(bench: &Bench, weights: &str) -> Value {
    bench.json(&format!("inspect {weights} --json"))["metadata"]["preprocessing"].take()
}

/// Takes a finished run back to the end of its first epoch.
fn undo_an_epoch(bench: &Bench, run: &str) {
    let folder = bench.path(&format!("{run}/checkpoints"));
    let mut checkpoints: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    checkpoints.sort();
    assert!(checkpoints.len() > 1, "{checkpoints:?}");
    fs::remove_file(checkpoints.pop().unwrap()).unwrap();
    for file in ["summary.json", "weights.safetensors"] {
        fs::remove_file(bench.path(&format!("{run}/{file}"))).unwrap();
    }
}

#[test]
fn a_pretraining_on_rectangles_goes_on_and_reconstructs() {
    let bench = photos();
    let said = bench.run(&format!("{PRETRAIN} --out run -v")).success();
    said.stderr(predicates::str::contains("images of 24 x 40 px: 6 of 15 patches kept"));
    let weights = bench.read("run/weights.safetensors");
    undo_an_epoch(&bench, "run");
    bench.succeed(&format!("{PRETRAIN} --resume --out run"));
    assert!(bench.read("run/weights.safetensors") == weights, "the resumed run has other weights");
    let changed = PRETRAIN.replace("24x40", "40x24");
    let words = ["recipe.input.image_size was [24, 40], is [40, 24]"];
    bench.refuse(1, &[(&format!("{changed} --resume --out run"), &words)]);

    assert_eq!(preprocessing(&bench, "run/weights.safetensors")["image_size"], json!([24, 40]));
    let answers = bench.json(
        "reconstruct photos/val --weights run/weights.safetensors --out images --json --mask-ratio 0.5",
    );
    assert_eq!(answers[0]["kept"].as_array().unwrap().len(), 7, "{answers}");
    let shown = image::open(bench.path(answers[0]["reconstruction"].as_str().unwrap())).unwrap();
    assert_eq!((shown.width(), shown.height()), (3 * 40 + 2 * 2, 24));
    // A classifier starts at the size of the autoencoder.
    bench.succeed(
        "finetune --data photos --init run/weights.safetensors --steps 1 --batch-size 4 --out finetuned",
    );
    assert_eq!(preprocessing(&bench, "finetuned/weights.safetensors")["image_size"], json!([24, 40]));
}

#[test]
fn a_classifier_of_rectangles_goes_on_and_is_used_at_other_sizes() {
    let bench = photos();
    bench.succeed(&format!("{FINETUNE} --out run"));
    let files = ["weights.safetensors", "evaluation.json"];
    let before = files.map(|file| bench.read(&format!("run/{file}")));
    undo_an_epoch(&bench, "run");
    bench.succeed(&format!("{FINETUNE} --resume --out run"));
    assert!(before == files.map(|file| bench.read(&format!("run/{file}"))), "the resumed run is another");

    let weights = "--weights run/weights.safetensors";
    // In batches as in the run: others round in another way.
    let weights_and_batch = format!("{weights} --batch-size 4");
    let evaluate =
        |more: &str| bench.json(&format!("evaluate --data photos {weights_and_batch} --json {more}"));
    let of_run: Value = serde_json::from_str(&bench.read_text("run/evaluation.json")).unwrap();
    let own = evaluate("");
    assert_eq!(own["loss"], of_run["loss"]);
    assert_eq!(own["loss"], evaluate("--image-size 24x40")["loss"]);
    for other in ["40x24", "32", "56x40"] {
        assert_ne!(own["loss"], evaluate(&format!("--image-size {other}"))["loss"], "{other}");
    }
    let answers = bench.json(&format!("classify photos/val {weights} --json"));
    assert_eq!(answers.as_array().unwrap().len(), 6);
    let said = bench.succeed("inspect run/weights.safetensors");
    assert!(said.contains("images of 24 x 40 px, warped, 3 channel(s)"), "{said}");
    assert!(bench.read_text("run/report.html").contains("24 x 40 px"));
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["preprocessing"]["image_size"].as_array().unwrap().len(), 2, "{config}");
}

#[test]
fn vectors_and_exports_know_rectangles() {
    let bench = photos();
    bench.write("own.safetensors", classifier());
    bench.succeed("embed photos/val --weights own.safetensors --image-size 16x48 --out wide.safetensors");
    let image = "photos/val/vertical/00.png";
    let found = bench.json(&format!("nearest {image} --index wide.safetensors --count 1 --json"));
    assert_eq!(found[0]["image"], image);
    assert!(found[0]["similarity"].as_f64().unwrap() > 0.999_999, "{found}");
    bench.succeed("export --weights own.safetensors --out wide.onnx --image-size 16x48");
    let file = bench.read("wide.onnx");
    let words = b"resize to 16x48, whatever the proportions";
    assert!(file.windows(words.len()).any(|part| part == words));
    bench.succeed("bench --mode infer --model micro --batch-size 1 --steps 1 --image-size 32x64 --json");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let bench = photos();
    let pretrain = PRETRAIN.replace("24x40", "24x36");
    bench.refuse(1, &[(&format!("{pretrain} --out out"), &["24x36", "patch of 8 pixels", "such as 40"])]);
    let finetune = FINETUNE.replace("24x40", "24x7");
    bench.refuse(1, &[(&format!("{finetune} --out out"), &["24x7 is too small", "at least 8"])]);
    for size in ["24x", "x24", "0x24", "24x40x3", "24,40"] {
        let line = PRETRAIN.replace("24x40", size);
        bench.refuse(2, &[(&format!("{line} --out out"), &["HEIGHTxWIDTH"])]);
    }
    assert!(!bench.exists("out"));
}

/// The level of padding by hand: with a mean of 0.4 it becomes exactly 0.
const PADDING: u8 = 102;

/// The same classifier with another geometry and a mean that is a level of 255.
fn with_geometry(geometry: &Value) -> Vec<u8> {
    with_header(classifier(), |header| {
        let place = header["__metadata__"].as_object_mut().unwrap();
        let (key, mut metadata) = place
            .iter()
            .find_map(|(key, text)| {
                let value: Value = serde_json::from_str(text.as_str()?).ok()?;
                value.get("preprocessing").is_some().then(|| (key.clone(), value))
            })
            .unwrap();
        let mut preprocessing = json!({ "mean": [0.4, 0.4, 0.4], "std": [0.25, 0.25, 0.25] });
        preprocessing.as_object_mut().unwrap().extend(geometry.as_object().unwrap().clone());
        metadata["preprocessing"] = preprocessing;
        place.insert(key, metadata.to_string().into());
    })
}

/// An image with a pattern, in a file.
fn draw(bench: &Bench, name: &str, [height, width]: [u32; 2]) -> Image {
    let pattern = RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            if (x / 4 + y / 3) % 2 == 0 { 220 } else { 30 },
        ])
    });
    pattern.save(bench.path(name)).unwrap();
    decode(&bench.read(name), name, 3, Orientation::Honour).unwrap()
}

/// The image with padding at the right and below, in a file.
fn save_padded(bench: &Bench, name: &str, image: &Image, [height, width]: [u32; 2]) {
    let padded = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        if x < image.width() && y < image.height() {
            let pixel = image.pixel(x, y);
            return Rgb([pixel[0], pixel[1], pixel[2]]);
        }
        Rgb([PADDING; 3])
    });
    padded.save(bench.path(name)).unwrap();
}

/// What is done to images of sizes of their own is what is done to images that were fitted and padded by hand.
#[test]
fn images_of_sizes_of_their_own_are_answered_as_if_fitted_and_padded_by_hand() {
    let bench = Bench::new();
    for folder in ["raw/a", "raw/b", "hand/a", "hand/b"] {
        bench.make_folder(folder);
    }
    for geometry in [json!({ "none": { "pad": 8 } }), json!({ "fit": { "long": 32, "short": 24, "pad": 8 } })]
    {
        bench.write("own.safetensors", with_geometry(&geometry));
        bench.write("hand.safetensors", with_geometry(&json!({ "image_size": [24, 32], "crop": null })));
        let stored = preprocessing(&bench, "own.safetensors");
        assert_eq!(stored.get("fit").or(stored.get("none")).is_some(), stored.get("image_size").is_none());
        let read: Preprocessing = serde_json::from_value(stored).unwrap();
        // Each becomes 24 x 32, by 4 pixels of padding here and 3 there; the last is of another size.
        let sizes = if geometry.get("none").is_some() { [[20, 28], [23, 32]] } else { [[40, 56], [46, 60]] };
        for (name, size) in ["a/1.png", "b/2.png"].into_iter().zip(sizes) {
            let image = draw(&bench, &format!("raw/{name}"), size);
            let resized = resize_for_evaluation(&image, &read);
            save_padded(&bench, &format!("hand/{name}"), &resized, [24, 32]);
        }
        for command in ["classify", "evaluate --data"] {
            let run = |data: &str| {
                // Batches of another size round in another way.
                let (folder, batch) = if data == "own" { ("raw", 2) } else { ("hand", 1) };
                let weights = format!("--weights {data}.safetensors --json --batch-size {batch}");
                let names = if command == "classify" { "" } else { "--class-names names.txt" };
                bench.write("names.txt", "a\nb\nc\n");
                let mut answer = bench.json(&format!("{command} {folder} {weights} {names}"));
                forget_names(&mut answer);
                answer
            };
            assert_eq!(run("own"), run("hand"), "{command}, {geometry}");
        }
        assert!(embeddings(&bench, "raw", "own", 2) == embeddings(&bench, "hand", "hand", 1), "{geometry}");
    }
}

fn embeddings(bench: &Bench, data: &str, weights: &str, batch_size: usize) -> Vec<u8> {
    bench.succeed(&format!(
        "embed {data} --batch-size {batch_size} --weights {weights}.safetensors --out {weights}.npy"
    ));
    bench.read(&format!("{weights}.npy"))
}

/// Takes the paths of images and of their folder out of an answer.
fn forget_names(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.remove("image");
            fields.remove("source");
            fields.remove("part");
            fields.values_mut().for_each(forget_names);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_names),
        _ => {}
    }
}

#[test]
fn weights_without_one_size_say_so_where_one_is_needed() {
    let bench = photos();
    bench.write("own.safetensors", with_geometry(&json!({ "none": { "pad": 8 } })));
    let said = bench.succeed("inspect own.safetensors");
    assert!(said.contains("images of their own size, padded to multiples of 8 px"), "{said}");
    // One image of another size than the others, so that no batch can be stacked.
    draw(&bench, "photos/val/vertical/odd.png", [41, 19]);
    let weights = "--weights own.safetensors";
    let [one, many] = [1, 5].map(|batch| {
        bench.json(&format!("evaluate --data photos {weights} --json --batch-size {batch}"))["loss"].take()
    });
    assert_eq!(one, many);
    let words = ["of their own size", "--image-size"];
    bench.refuse(
        1,
        &[
            (&format!("export {weights} --out own.onnx"), &words),
            ("convert own.safetensors timm --to timm", &["of their own size", ".safetensors"]),
        ],
    );
    bench.succeed(&format!("export {weights} --out own.onnx --image-size 32x64"));
    bench.succeed(&format!("embed photos/val {weights} --out own.safetensors-index.safetensors"));
    let image = "photos/val/vertical/odd.png";
    let found =
        bench.json(&format!("nearest {image} --index own.safetensors-index.safetensors --count 1 --json"));
    assert_eq!(found[0]["image"], image);
    // A training needs one size, and takes the usual one.
    bench.succeed(
        "finetune --data photos --init own.safetensors --image-size 16x24 --steps 1 --batch-size 4 --out run",
    );
    let found = preprocessing(&bench, "run/weights.safetensors");
    assert_eq!((&found["image_size"], &found["mean"]), (&json!([16, 24]), &json!([0.4, 0.4, 0.4])));
    // What is left of an image may be too little for the network.
    bench.write("little.safetensors", with_geometry(&json!({ "none": { "pad": 4 } })));
    bench.succeed("classify photos/val --weights little.safetensors");
    draw(&bench, "speck.png", [3, 3]);
    bench.refuse(1, &[("classify speck.png --weights little.safetensors", &["4x4 is too small"])]);
}
