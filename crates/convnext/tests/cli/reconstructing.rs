//! `convnext reconstruct`: masks, losses and the images of three panels.

use std::collections::BTreeSet;

use image::{Rgb, RgbImage};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;
use super::images::{CLASSES, SIDE};
use super::weights::autoencoder;

/// Side of a patch, and patches in a row.
const PATCH: usize = 8;
const ROW: usize = SIDE / PATCH;

fn photo() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", autoencoder());
    bench.draw("photo.png", CLASSES[0], 7);
    bench
}

fn reconstruct(bench: &Bench, settings: &str) -> Value {
    bench.json(&format!("reconstruct --weights weights.safetensors --json {settings}"))
}

#[test]
fn the_answer_has_fixed_fields() {
    let answers = reconstruct(&photo(), "photo.png --out images");
    let [answer] = &answers.as_array().unwrap()[..] else { panic!("{answers}") };
    let fields: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(["image", "loss", "kept", "reconstruction"]));
    assert_eq!(answer["image"], "photo.png");
    assert_eq!(answer["reconstruction"], "images/photo.png");
    assert_eq!(answer["kept"].as_array().unwrap().len(), 6, "16 patches at ratio 0.6: {answer}");
    assert!(answer["loss"].as_f64().is_some_and(|loss| loss.is_finite() && loss > 0.0), "{answer}");
}

#[test]
fn the_seed_decides_the_mask() {
    let bench = photo();
    let [first, again, other] = ["--seed 5 --out a", "--seed 5 --out b", "--seed 6 --out c"]
        .map(|settings| reconstruct(&bench, &format!("photo.png {settings}"))[0].take());
    assert_eq!((&first["loss"], &first["kept"]), (&again["loss"], &again["kept"]));
    assert_ne!(first["kept"], other["kept"]);
    assert_eq!(bench.read("a/photo.png"), bench.read("b/photo.png"));
}

#[test]
fn the_mask_ratio_can_be_another() {
    let answers = reconstruct(&photo(), "photo.png --mask-ratio 0.75 --out images");
    assert_eq!(answers[0]["kept"].as_array().unwrap().len(), 4, "{answers}");
}

#[test]
fn a_mask_file_holds_for_every_image() {
    let bench = photo();
    bench.draw("other.jpg", CLASSES[2], 1);
    bench.write("mask.json", r#"{"kept": [9, 0, 3]}"#);
    let answers = reconstruct(&bench, "photo.png other.jpg --mask mask.json --out images");
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["kept"], serde_json::json!([0, 3, 9]), "{answer}");
    }
    assert_ne!(answers[0]["loss"], answers[1]["loss"]);
}

/// The quickstart tells a newcomer to do this, and it was refused.
#[test]
fn every_image_of_a_folder_is_reconstructed() {
    let bench = photo();
    for (name, number) in [("digits/a.png", 0), ("digits/b.png", 1)] {
        bench.draw(name, CLASSES[0], number);
    }
    let answers = reconstruct(&bench, "digits photo.png --out images");
    let images: Vec<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    assert_eq!(images, ["digits/a.png", "digits/b.png", "photo.png"]);
    assert!(["a", "b", "photo"].iter().all(|name| bench.exists(&format!("images/{name}.png"))));
    assert_ne!(answers[0]["kept"], answers[1]["kept"], "each image has a mask of its own");
}

#[test]
fn original_mask_and_reconstruction_stand_side_by_side() {
    let bench = photo();
    let kept = [0, 5, 10, 15];
    bench.write("mask.json", format!(r#"{{"kept": {kept:?}}}"#));
    reconstruct(&bench, "photo.png --mask mask.json --out images");

    let open = |name: &str| image::open(bench.path(name)).unwrap().to_rgb8();
    let (photo, image) = (open("photo.png"), open("images/photo.png"));
    assert_eq!(image.height(), SIDE as u32);
    let gap = (image.width() as usize - 3 * SIDE) / 2;
    let panel = |number: usize, x: usize, y: usize| -> Rgb<u8> {
        *image.get_pixel((number * (SIDE + gap) + x) as u32, y as u32)
    };
    for (x, y) in (0..SIDE * SIDE).map(|site| (site % SIDE, site / SIDE)) {
        let original = *RgbImage::get_pixel(&photo, x as u32, y as u32);
        assert_eq!(panel(0, x, y), original, "the original at {x}, {y}");
        let [masked, restored] = [panel(1, x, y), panel(2, x, y)];
        if kept.contains(&(y / PATCH * ROW + x / PATCH)) {
            assert_eq!([masked, restored], [original; 2], "a kept patch at {x}, {y}");
        } else {
            assert_eq!(masked, Rgb([128; 3]), "a removed patch at {x}, {y}");
        }
    }
}

#[test]
fn images_of_the_same_name_do_not_replace_each_other() {
    let bench = photo();
    for (name, number) in [("a-2.png", 0), ("x/a.png", 1), ("y/a.jpg", 2)] {
        bench.draw(name, CLASSES[0], number);
    }
    let answers = reconstruct(&bench, "a-2.png x/a.png y/a.jpg --out images");
    let images: BTreeSet<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["reconstruction"].as_str().unwrap()).collect();
    assert_eq!(images.len(), 3, "three images, so three files: {answers}");
    assert!(images.iter().all(|image| bench.exists(image)), "{answers}");
}

#[test]
fn the_photo_itself_is_never_overwritten() {
    let bench = photo();
    let before = bench.read("photo.png");
    bench
        .run("reconstruct photo.png --weights weights.safetensors --out . --overwrite")
        .code(1)
        .stderr(contains("photo.png"));
    assert!(bench.read("photo.png") == before, "the photo was replaced by its reconstruction");
    bench.draw("digits/a.png", CLASSES[0], 0);
    let before = bench.read("digits/a.png");
    let line = "reconstruct digits --weights weights.safetensors --overwrite --out";
    let apart: &[&str] = &["lie one in the other", "a folder beside them"];
    bench.refuse(1, &[(&format!("{line} digits"), apart), (&format!("{line} digits/images"), apart)]);
    assert!(bench.read("digits/a.png") == before, "a photo of the folder was replaced");
}

/// Bug: the first file that could not be read ended the command, and nothing was said of those before it.
#[test]
fn broken_images_of_a_folder_are_left_out_but_not_with_strict() {
    let bench = photo();
    for (name, number) in [("digits/a.png", 0), ("digits/c.png", 1)] {
        bench.draw(name, CLASSES[0], number);
    }
    bench.draw_truncated("digits/b.jpg");
    let line = "reconstruct digits --weights weights.safetensors --out";
    bench
        .run(&format!("{line} images"))
        .success()
        .stdout(contains("digits/a.png  loss ").and(contains("images/c.png")))
        .stderr(contains("digits/b.jpg").count(1).and(contains("left out")));
    // The others have the masks that they have without it.
    let answers = reconstruct(&bench, "digits --out again");
    bench.draw("digits/b.jpg", CLASSES[0], 2);
    let whole = reconstruct(&bench, "digits --out whole");
    assert_eq!(
        [&answers[0], &answers[1]].map(|answer| &answer["kept"]),
        [0_usize, 2].map(|place| &whole[place]["kept"])
    );
    bench.draw_truncated("digits/b.jpg");
    bench.run(&format!("{line} strict --strict")).code(1).stderr(contains("digits/b.jpg"));
    bench.refuse(
        1,
        &[("reconstruct digits/b.jpg --weights weights.safetensors --out named", &["digits/b.jpg"])],
    );
    bench.write("broken/a.png", "");
    bench
        .run("reconstruct broken --weights weights.safetensors --out none")
        .code(1)
        .stderr(contains("none of the 1"));
}
