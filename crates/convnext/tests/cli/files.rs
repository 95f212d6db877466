//! Image files of rare kinds, and what is none, as `classify` meets them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

const CLASSIFY: &str = "--weights weights.safetensors --json";

/// The logits of every image of a list of answers.
fn logits(answers: &Value) -> BTreeMap<String, Vec<f64>> {
    let of = |answer: &Value| {
        let predictions = answer["predictions"].as_array().unwrap();
        let mut logits: Vec<(u64, f64)> = predictions
            .iter()
            .map(|prediction| (prediction["index"].as_u64().unwrap(), prediction["logit"].as_f64().unwrap()))
            .collect();
        logits.sort_unstable_by_key(|(index, _)| *index);
        (answer["image"].as_str().unwrap().to_owned(), logits.into_iter().map(|(_, logit)| logit).collect())
    };
    answers.as_array().unwrap().iter().map(of).collect()
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench
}

/// Palettes, planes, tiles, odd bits, floats, first images of animations: made beside Pillow's pixels by
/// `crates/convnext-data/tests/kinds/make.py`.
#[test]
fn files_of_rare_kinds_get_the_logits_of_pillows_pixels() {
    let bench = bench();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../convnext-data/tests/kinds");
    let kinds: Value = serde_json::from_slice(&fs::read(folder.join("kinds.json")).unwrap()).unwrap();
    let mut images = Vec::new();
    for kind in kinds.as_array().unwrap() {
        for name in [&kind["file"], &kind["expected"]] {
            let name = name.as_str().unwrap();
            bench.write(&format!("kinds/{name}"), fs::read(folder.join(name)).unwrap());
            images.push(format!("kinds/{name}"));
        }
    }
    let done = bench.run(&format!("classify {} {CLASSIFY}", images.join(" "))).success();
    let done = done.stderr(contains("panicked").not());
    let logits = logits(&serde_json::from_slice(&done.get_output().stdout).unwrap());
    for kind in kinds.as_array().unwrap() {
        let [file, expected] = [&kind["file"], &kind["expected"]]
            .map(|name| &logits[&format!("kinds/{}", name.as_str().unwrap())]);
        let lossless = kind["tolerance"] == 0;
        for (found, expected) in file.iter().zip(expected) {
            let near = if lossless { 0.0 } else { 0.1 };
            assert!((found - expected).abs() <= near, "{kind}: {found} instead of {expected}");
        }
    }
}

#[test]
fn other_formats_are_called_by_their_names_and_not_damaged() {
    let bench = bench();
    for (bytes, what) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "a HEIC image"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF image"),
        (b"\xFF\x0A\xFA\x1F", "a JPEG XL image"),
        (b"8BPS\0\x01", "a Photoshop document"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<!doctype html><title>404</title>", "a web page"),
        (b"P5 1 1 255\n\0", "a portable bitmap"),
    ] {
        bench.write("image.jpg", bytes);
        let words = format!("image.jpg is {what}");
        bench.refuse(
            1,
            &[(
                &format!("classify image.jpg {CLASSIFY}"),
                &[words.as_str(), "which is not supported; convert it"],
            )],
        );
    }
    bench.write("image.jpg", [0; 4096]);
    bench.refuse(1, &[(&format!("classify image.jpg {CLASSIFY}"), &["nothing but zeros"])]);
}

#[test]
fn a_png_file_without_its_end_is_read_as_long_as_its_pixels_are_there() {
    let bench = bench();
    bench.draw("whole.png", CLASSES[0], 1);
    let whole = bench.read("whole.png");
    bench.write("endless.png", &whole[..whole.len() - 12]);
    let found = logits(&bench.json(&format!("classify whole.png endless.png {CLASSIFY}")));
    assert_eq!(found["whole.png"], found["endless.png"]);
    bench.write("cut.png", &whole[..whole.len() - 40]);
    bench.refuse(1, &[(&format!("classify cut.png {CLASSIFY}"), &["cut.png is not a readable image"])]);
}

#[test]
fn the_first_image_of_a_gif_file_is_read() {
    let bench = bench();
    // Four colours in two rows. Each pair of pixels starts the codes anew, so that they stay at three bits.
    let colours = [[250, 10, 20], [30, 240, 50], [60, 70, 230], [240, 230, 20]];
    let codes = [4, 0, 1, 4, 2, 3, 5];
    let bits = codes.iter().rev().fold(0_u32, |bits, code| bits << 3 | code);
    let mut gif = b"GIF89a\x02\0\x02\0\x91\0\0".to_vec();
    gif.extend(colours.as_flattened());
    gif.extend(b"\x2c\0\0\0\0\x02\0\x02\0\0\x02\x03");
    gif.extend(&bits.to_le_bytes()[..3]);
    gif.extend(b"\0;");
    bench.write("image.gif", gif);
    let png = image::RgbImage::from_raw(2, 2, colours.as_flattened().to_vec()).unwrap();
    png.save(bench.path("image.png")).unwrap();
    let found = logits(&bench.json(&format!("classify image.gif image.png {CLASSIFY}")));
    assert_eq!(found["image.gif"], found["image.png"]);
}
