//! `convnext data check --task segment`: what is in masks, and what is wrong with them.

use image::{GrayImage, Luma, RgbImage};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use super::bench::Bench;
use super::images::SIDE;

/// A mask of equal columns of these values.
fn grey(values: &[u8]) -> Vec<u8> {
    let side = SIDE as u32;
    let value = |x: u32| values[x as usize * values.len() / SIDE];
    let mask = GrayImage::from_fn(side, side, |x, _| Luma([value(x)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Images and masks of both parts.
fn street() -> Bench {
    let bench = Bench::new();
    for (part, count) in [("train", 4), ("val", 2)] {
        for number in 0..count {
            bench.draw(&format!("street/images/{part}/{part}{number}.jpg"), "vertical", number);
            bench.write(&format!("street/annotations/{part}/{part}{number}.png"), grey(&[0, 1, 2, 11]));
        }
    }
    bench
}

#[test]
fn a_check_counts_pixels_and_shows_labels() {
    let bench = street();
    bench.write("names.csv", "id,name,r,g,b\n0,sky,0,0,255\n1,road,128,64,128\n2,car,64,0,128\n");
    let said = bench
        .succeed("data check street --task segment --classes names.csv --ignore-index 11 --out page.html");
    for words in [
        "train: 4 images",
        "25.00 % of the pixels ignored",
        "validation: 2 images",
        "road",
        "values: 0, 1, 2, 11",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let page = bench.read_text("page.html");
    // Each image, and each under its labels.
    assert_eq!(page.matches("data:image/png;base64,").count(), 12);
    assert!(page.contains("rgb(128,64,128)") && page.contains("ignored"));
    let found = bench.json("data check street --task segment --ignore-index 11 --json --out page.html");
    assert_eq!(found["classes"].as_array().unwrap().len(), 3, "{found}");
    assert_eq!(found["parts"][0]["pixels_per_class"][1], 1024, "{found}");
    assert_eq!(
        (&found["values"][3]["value"], &found["values"][3]["ignored"]),
        (&11.into(), &true.into()),
        "{found}"
    );
    assert_eq!(found["found"]["images"], 6, "{found}");
}

#[test]
fn a_check_names_masks_that_training_would_refuse() {
    let bench = street();
    bench.write("street/annotations/train/train0.png", &grey(&[0])[..60]);
    let small = GrayImage::new(8, 8);
    small.save(bench.path("street/annotations/val/val1.png")).unwrap();
    bench.draw("street/images/val/alone.jpg", "vertical", 7);
    bench
        .run("data check street --task segment --ignore-index 11")
        .code(1)
        .stdout(contains("train0.png").and(contains("8 px but its image")).and(contains("alone.jpg")))
        .stderr(contains("2 of 6 masks cannot be used"));
    bench
        .run("data check street --task segment")
        .code(1)
        .stdout(contains("most of the numbers up to the highest are missing"))
        .stderr(contains("do not say which class is where"));
}

#[test]
fn masks_without_a_meaning_are_refused_with_a_remedy() {
    let bench = Bench::new();
    bench.draw("colours/images/a.png", "vertical", 0);
    let mask = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, _| image::Rgb([64, x as u8 / 8, 128]));
    bench.make_folder("colours/masks");
    mask.save(bench.path("colours/masks/a.png")).unwrap();
    bench.draw("plain/images/a.png", "vertical", 0);
    bench.refuse(
        1,
        &[
            ("data check plain --task segment", &["no folder of masks", "masks/, annotations/ or labels/"]),
            ("data check plain --ignore-index 3", &["--task segment"]),
            ("data check plain --task segment --unlabelled", &["--unlabelled"]),
            ("data check plain --task segment --classes gone.csv", &["no folder of masks"]),
        ],
    );
    bench
        .run("data check colours --task segment")
        .code(1)
        .stdout(contains("4 colours").and(contains("--classes FILE")));
}

/// A PNG that lies on its side by its EXIF data.
fn lying(width: u32, height: u32) -> Vec<u8> {
    use image::ImageEncoder;
    let quarter_turn = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(quarter_turn.to_vec()).unwrap();
    let pixels = vec![9; (width * height) as usize];
    encoder.write_image(&pixels, width, height, image::ExtendedColorType::L8).unwrap();
    bytes
}

#[test]
fn a_check_ignores_a_turn_where_it_is_told_to() {
    let bench = Bench::new();
    for (part, name) in [("train", "a"), ("train", "b"), ("val", "c")] {
        bench.write(&format!("lying/images/{part}/{name}.png"), lying(12, 8));
        let mask = GrayImage::from_fn(12, 8, |x, _| Luma([(x % 2) as u8]));
        bench.write(&format!("lying/masks/{part}/{name}.png"), super::streets::png(&mask.into()));
    }
    let check = "data check lying --task segment";
    bench.run(check).code(1).stdout(contains("without the turn in its EXIF data"));
    let found = bench.json(&format!("{check} --ignore-orientation --json"));
    assert_eq!(found["found"]["sizes"]["short_side"]["max"], 8, "{found}");
    assert_eq!(found["found"]["sizes"]["width"]["max"], 12, "{found}");
    let width = |flag: &str| {
        let found = bench.json(&format!("data check lying/images --unlabelled --json {flag}"));
        found["sizes"]["width"]["max"].clone()
    };
    assert_eq!([width(""), width("--ignore-orientation")], [8, 12]);
    bench.refuse(
        1,
        &[(
            "data check lying --task detect --ignore-orientation",
            &["images are turned as their annotations say"],
        )],
    );
}

#[test]
fn a_check_decides_on_nothing_where_no_mask_can_be_used() {
    let bench = street();
    for (part, count) in [("train", 4), ("val", 2)] {
        for number in 0..count {
            bench.write(&format!("street/annotations/{part}/{part}{number}.png"), "no image");
        }
    }
    bench
        .run("data check street --task segment")
        .code(1)
        .stdout(contains("train0.png").and(contains("leave 0 class").or(contains("values:")).not()))
        .stderr(contains("6 of 6 masks cannot be used").and(contains("do not say which class").not()));
}
