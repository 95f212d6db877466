//! Segmentation networks of transformers and mmsegmentation (`convnext-io/tests/fixtures/make_upernet.py`): segmented with,
//! inspected, converted and exported.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::prelude::PredicateBooleanExt;
use safetensors::SafeTensors;
use serde_json::json;

use super::bench::Bench;

/// Sizes of the images whose logits are known, of which every [`STEP`]th value is there.
const SIZES: [[usize; 2]; 4] = [[75, 67], [33, 70], [45, 61], [97, 38]];
const STEP: usize = 7;

/// Largest difference of logits, as a share of their range.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../convnext-io/tests/fixtures/upernet").join(name)
}

/// The folder `hf` of transformers, `mmseg.pth`, and the images of the script as `HEIGHTxWIDTH.png`.
fn bench() -> Bench {
    let bench = Bench::new();
    for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
        bench.write(&format!("hf/{name}"), fs::read(fixture(name)).unwrap());
    }
    bench.write("mmseg.pth", fs::read(fixture("mmsegmentation.pth")).unwrap());
    for [height, width] in SIZES {
        let level = |x: u32, y: u32, channel: u32| (7 * y + 13 * x + 31 * channel + y * x / 17) % 256;
        let pixel = |x, y| image::Rgb([0, 1, 2].map(|channel| level(x, y, channel) as u8));
        let image = image::RgbImage::from_fn(width as u32, height as u32, pixel);
        image.save(bench.path(&format!("{height}x{width}.png"))).unwrap();
    }
    bench
}

/// A tensor of a file: its shape and its values.
fn tensor(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    (view.shape().to_vec(), values.collect())
}

/// Names, types, shapes and elements of all tensors.
fn tensors(bytes: &[u8]) -> Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    tensors.sort_by(|one, other| one.0.cmp(&other.0));
    tensors
}

#[test]
fn logits_are_those_of_transformers_whatever_the_names() {
    let bench = bench();
    let known = fs::read(fixture("logits.safetensors")).unwrap();
    for (weights, out) in [("hf", "of-hf"), ("mmseg.pth", "of-mmseg")] {
        for [height, width] in SIZES {
            let name = format!("{height}x{width}");
            bench.succeed(&format!(
                "segment {name}.png --weights {weights} --out {out}-{name} --resize none --logits -q"
            ));
            let (shape, found) = tensor(&bench.read(&format!("{out}-{name}/{name}.safetensors")), "logits");
            assert_eq!(shape, [3, height, width]);
            let (_, expected) = tensor(&known, &name);
            let [low, high] =
                [f32::min, f32::max].map(|choose| expected.iter().copied().reduce(choose).unwrap());
            let found: Vec<f32> = found.into_iter().step_by(STEP).collect();
            assert_eq!(found.len(), expected.len());
            let distances = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
            let distance = distances.fold(0.0, f32::max);
            assert!(distance < TOLERANCE * (high - low), "{weights} {name}: {distance:e} of {low} to {high}");
        }
    }
}

#[test]
fn they_are_described_and_converted_with_every_tensor() {
    let bench = bench();
    let described = bench.succeed("inspect hf");
    for words in [
        "with the names of transformers under backbone",
        "segmentation network custom of 3 classes, UperNet of 6 channels",
        "images of 512 px, warped, bilinear filter",
        "classes: sky, road, car",
        "decode_head.bottleneck.bn.num_batches_tracked",
    ] {
        assert!(described.contains(words), "'{words}' is not in: {described}");
    }
    let contents = bench.json("inspect mmseg.pth --json");
    assert_eq!(contents["metadata"]["preprocessing"]["fit"], json!({ "long": 2048, "short": 512, "pad": 1 }));
    assert_eq!(contents["origin"]["left_out"], json!([]));

    let written = "again/model.safetensors\nagain/config.json\nagain/preprocessor_config.json\n";
    let rule = predicates::str::contains("at most 2048 px at the long and 512 px at the short side")
        .and(predicates::str::contains("transformers 4 refuses"));
    bench.run("convert mmseg.pth again --to hf").success().stdout(written).stderr(rule);
    assert_eq!(tensors(&bench.read("again/model.safetensors")), tensors(&bench.read("hf/model.safetensors")));
    bench.succeed("convert hf official.pth --to official");
    bench.succeed("convert official.pth third.safetensors --to hf");
    assert_eq!(tensors(&bench.read("third.safetensors")), tensors(&bench.read("hf/model.safetensors")));
    bench.succeed("export --weights hf --out model.onnx --image-size 64x96");
    assert!(bench.exists("model.onnx"));
    bench.succeed("export --weights mmseg.pth --out maps.onnx --image-size 64 --features");
}

#[test]
fn a_backbone_is_taken_out_of_them() {
    let bench = bench();
    bench.draw_classes("labelled", 8);
    bench.succeed(
        "finetune --data labelled --init mmseg.pth --image-size 32 --steps 2 --batch-size 6 --out run",
    );
    bench.succeed("embed 75x67.png --weights hf --out embeddings.safetensors --image-size 64");
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let bench = bench();
    bench.refuse(
        1,
        &[
            ("convert hf timm --to timm", &["timm has no segmentation networks", "--to hf"]),
            ("convert hf folder --to official", &[".pt"]),
            ("export --weights mmseg.pth --out model.onnx", &["--image-size"]),
            ("classify 75x67.png --weights hf", &["segmentation", "a classifier"]),
        ],
    );
    let whole = bench.read("hf/model.safetensors");
    let file = SafeTensors::deserialize(&whole).unwrap();
    let kept = file
        .tensors()
        .into_iter()
        .filter(|(name, _)| name != "decode_head.bottleneck.batch_norm.running_var");
    bench.write("partly/model.safetensors", safetensors::serialize(kept, None).unwrap());
    let words: &[&str] = &["missing: decode_head.bottleneck.bn.running_var [6]"];
    bench.refuse(1, &[("segment 75x67.png --weights partly --out out", words)]);
}

#[test]
fn an_image_that_is_too_small_is_left_out_of_a_folder() {
    let bench = bench();
    bench.write("photos/a.png", bench.read("45x61.png"));
    image::RgbImage::new(16, 16).save(bench.path("photos/small.png")).unwrap();
    let left_out = predicates::str::contains("small.png is left out: image size 16x16 is too small");
    bench.run("segment photos --weights hf --out out --resize none").success().stderr(left_out);
    assert!(bench.exists("out/a.png") && !bench.exists("out/small.png"));
    let words = ["small.png cannot be segmented", "16x16 is too small"].map(predicates::str::contains);
    let [what, why] = words;
    let line = "segment photos --weights hf --out strict --resize none --strict";
    bench.run(line).code(1).stderr(what.and(why));
}

#[test]
fn an_image_that_is_called_like_an_overlay_gets_its_own_files() {
    let bench = bench();
    bench.write("photos/a.png", bench.read("45x61.png"));
    bench.write("photos/a-overlay.png", bench.read("33x70.png"));
    bench.succeed("segment photos --weights hf --out out --resize none --overlay");
    let files =
        fs::read_dir(bench.path("out")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert_eq!(files.collect::<std::collections::HashSet<_>>().len(), 4);
}

#[test]
fn windows_go_through_in_batches_and_neighbours_take_no_flags_of_masks() {
    let bench = bench();
    for size in ["45x61", "97x38"] {
        bench.write(&format!("data/images/val/{size}.png"), bench.read(&format!("{size}.png")));
        let mask = image::open(bench.path(&format!("{size}.png"))).unwrap().to_luma8();
        let mask =
            image::GrayImage::from_fn(mask.width(), mask.height(), |x, y| image::Luma([((x + y) % 3) as u8]));
        bench.make_folder("data/annotations/val");
        mask.save(bench.path(&format!("data/annotations/val/{size}.png"))).unwrap();
    }
    let line = "evaluate --data data --weights hf --resize none --mode slide --crop 32 --stride 16 --json";
    let [one, four] = [1, 4].map(|size| bench.json(&format!("{line} --batch-size {size}"))["miou"].clone());
    assert!(one.as_f64().unwrap() > 0.0 && (one.as_f64().unwrap() - four.as_f64().unwrap()).abs() < 1e-3);
    bench.refuse(1, &[("evaluate --data data --weights hf --knn --flip", &["--knn", "mirror images out"])]);
}

#[test]
fn a_crop_or_a_scale_that_leaves_too_little_is_named() {
    let bench = bench();
    let segment = "segment 45x61.png --weights hf --out out --overwrite --resize none";
    bench.refuse(
        1,
        &[
            (&format!("{segment} --mode slide --crop 8"), &["crop 8 leaves 8x8 pixels", "at least 32"]),
            (&format!("{segment} --scales 0.01"), &["scale 0.01 leaves 1x1 pixels", "at least 32"]),
        ],
    );
}
