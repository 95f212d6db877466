//! `--range`: images of more than 8 bit, from counts of a sensor to answers.

use image::{GrayImage, ImageBuffer, Luma};
use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::{CLASSES, SIDE};
use super::weights::{autoencoder, classifier};

const TRAIN: &str = "finetune --model micro --image-size 32 --stem-stride 1 --channels 1 --batch-size 12 \
                     --recipe plain --steps 80 --val-fraction 0.25";

/// The counts of a sensor of 12 bit: the classes differ in their stripes and in which of them are bright, all below 500.
fn count(class: usize, number: usize, x: u32, y: u32) -> u16 {
    let shift = number as u32 % 5;
    let stripe = match class {
        0 => (x + shift) / 4 + (y + shift) / 4,
        1 => (y + shift) / 4,
        _ => (x + shift) / 4,
    };
    let bright = [420, 250, 130][class] + 7 * (number as u16 % 8);
    if stripe % 2 == 0 { bright } else { 20 + number as u16 % 8 }
}

impl Bench {
    /// Counts in 16 bit of each class; the ending decides the format. The first pixel of each image is as bright as the
    /// sensor can tell.
    pub(super) fn draw_counts(&self, folder: &str, images: usize, ending: &str, brightest: u16) {
        self.draw_each(folder, images, ending, |class, number, x, y| match (x, y) {
            (0, 0) => brightest,
            _ => count(class, number, x, y),
        });
    }

    /// [`Self::draw_counts`] with every 500 counts as 255 levels, in 8 bit.
    pub(super) fn draw_levels(&self, folder: &str, images: usize) {
        for (class, name) in CLASSES.iter().enumerate() {
            for number in 0..images {
                let side = SIDE as u32;
                let image = GrayImage::from_fn(side, side, |x, y| {
                    let count = if (x, y) == (0, 0) { 500 } else { count(class, number, x, y) };
                    Luma([(f64::from(count) / 500.0 * 255.0).round() as u8])
                });
                self.make_folder(&format!("{folder}/{name}"));
                image.save(self.path(&format!("{folder}/{name}/{number:02}.png"))).unwrap();
            }
        }
    }

    fn draw_each(
        &self,
        folder: &str,
        images: usize,
        ending: &str,
        count: impl Fn(usize, usize, u32, u32) -> u16,
    ) {
        for (class, name) in CLASSES.iter().enumerate() {
            for number in 0..images {
                let side = SIDE as u32;
                let image: ImageBuffer<Luma<u16>, Vec<u16>> =
                    ImageBuffer::from_fn(side, side, |x, y| Luma([count(class, number, x, y)]));
                self.make_folder(&format!("{folder}/{name}"));
                image.save(self.path(&format!("{folder}/{name}/{number:02}.{ending}"))).unwrap();
            }
        }
    }

    fn top1(&self, data: &str, run: &str) -> f64 {
        let weights = format!("--weights {run}/weights.safetensors --json");
        self.json(&format!("evaluate --data {data} {weights}"))["top1"].as_f64().unwrap()
    }

    /// The logits of an image, in the order of the classes.
    fn logits(&self, image: &str, run: &str) -> Vec<f64> {
        let answers = self.json(&format!("classify {image} --weights {run}/weights.safetensors --json"));
        let predictions = answers[0]["predictions"].as_array().unwrap().clone();
        let logit =
            |index: usize| predictions.iter().find(|p| p["index"] == index).unwrap()["logit"].as_f64();
        (0..CLASSES.len()).map(|index| logit(index).unwrap()).collect()
    }

    pub(super) fn range(&self, run: &str) -> serde_json::Value {
        let line = format!("inspect {run}/weights.safetensors --json");
        self.json(&line)["metadata"]["preprocessing"]["range"].take()
    }
}

/// 12-bit counts were cut by 257: two levels were left of them, and the model learned nothing.
#[test]
fn counts_in_16_bit_are_learned_like_levels_of_8() {
    let bench = Bench::new();
    bench.draw_levels("eight", 12);
    bench.draw_counts("png", 12, "png", 500);
    bench.draw_counts("tif", 12, "tif", 500);
    for data in ["eight", "png", "tif"] {
        bench.succeed(&format!("{TRAIN} --data {data} --out run-{data}"));
    }
    assert_eq!(bench.range("run-eight"), serde_json::Value::Null, "8 bit need no range");
    for deep in ["png", "tif"] {
        let limits = bench.range(&format!("run-{deep}"))["deep"][0].take();
        assert_eq!(limits[1], 500.0, "{limits}");
        assert!((20.0..28.0).contains(&limits[0].as_f64().unwrap()), "{limits}");
        assert!(bench.top1(deep, &format!("run-{deep}")) >= 0.9, "{deep}");
    }
    assert!(bench.top1("eight", "run-eight") >= 0.9);
    let said = bench.succeed("inspect run-png/weights.safetensors");
    assert!(said.contains("values from black to white: 2") && said.contains("to 500"), "{said}");
    assert!(bench.read_text("run-png/config.toml").contains("deep = [["));
}

#[test]
fn an_image_of_16_bit_and_its_twin_of_8_get_the_same_logits() {
    let bench = Bench::new();
    bench.draw_counts("counts", 12, "png", 500);
    bench.draw_levels("levels", 2);
    bench.draw_counts("tif", 2, "tif", 500);
    bench.succeed(&format!("{TRAIN} --data counts --range 0,500 --out run"));
    assert_eq!(bench.range("run")["deep"][0], serde_json::json!([0.0, 500.0]));
    for class in CLASSES {
        let of = |folder: &str, ending: &str| bench.logits(&format!("{folder}/{class}/01.{ending}"), "run");
        let (deep, tif, eight) = (of("counts", "png"), of("tif", "tif"), of("levels", "png"));
        assert_eq!(deep, tif, "{class}");
        let span =
            deep.iter().fold(f64::MIN, |a, &b| a.max(b)) - deep.iter().fold(f64::MAX, |a, &b| a.min(b));
        for (a, b) in deep.iter().zip(&eight) {
            assert!((a - b).abs() < 0.02 * span, "{class}: {deep:?} {eight:?}");
        }
    }
    // The twin is a case of its own, which is said.
    let classify = "--weights run/weights.safetensors";
    bench
        .run(&format!("classify levels/{}/00.png {classify}", CLASSES[0]))
        .success()
        .stderr(contains("scaled already"));
    bench
        .run(&format!("classify counts/{}/00.png {classify}", CLASSES[0]))
        .success()
        .stderr(contains("warning").not());
}

#[test]
fn the_range_is_asked_for_or_that_of_the_weights_or_of_the_data() {
    let bench = Bench::new();
    bench.draw_counts("counts", 4, "png", 4000);
    let quick = "finetune --data counts --batch-size 6 --steps 1 --channels 1 -v";
    let fresh = format!("{quick} --model micro --image-size 32 --stem-stride 1");
    bench.run(&format!("{fresh} --out a")).success().stderr(contains("found in 9 images"));
    bench
        .run(&format!("{fresh} --range dtype --out b"))
        .success()
        .stderr(contains("the whole range of each file's type, as asked for"))
        .stderr(contains("leaves 16 of 256 levels"));
    assert_eq!(bench.range("b"), "dtype");
    let from_a = format!("{quick} --init a/weights.safetensors");
    bench.run(&format!("{from_a} --out c")).success().stderr(contains("as the weights have it"));
    assert_eq!(bench.range("c"), bench.range("a"));
    bench
        .run(&format!("{from_a} --range -10,600.5 --out d"))
        .success()
        .stderr(contains("range -10 to 600.5, as asked for, instead of"));
    assert_eq!(bench.range("d")["deep"][0], serde_json::json!([-10.0, 600.5]));
    // A run that goes on keeps its range, and names another one.
    let again = format!("{fresh} --range dtype --out b");
    bench.succeed(&format!("{again} --resume"));
    bench.succeed(&format!("{fresh} --out b --resume"));
    bench.refuse(
        1,
        &[
            (
                &format!("{fresh} --range 0,500 --out b --resume"),
                &["range was \"dtype\"", "range.deep was not set"],
            ),
            (&format!("{fresh} --range 0,1 --range 0,2 --out e"), &["value range", "2 of 1 channels"]),
            (&format!("{fresh} --range data --range 0,2 --out e"), &["--range data", "alone"]),
        ],
    );
    for bad in ["5", "2,1", "1,1", "nan,1", "0,inf", "type"] {
        bench.refuse(2, &[(&format!("{fresh} --out e --range {bad}"), &["--range", "MIN,MAX"])]);
    }
}

#[test]
fn pretraining_states_the_range_for_fine_tuning() {
    let bench = Bench::new();
    bench.draw_counts("counts", 4, "tif", 900);
    bench.succeed(
        "pretrain --data counts --model micro --image-size 32 --stem-stride 1 --channels 1 --batch-size 6 --steps 1 \
         --out pretrained",
    );
    assert_eq!(bench.range("pretrained")["deep"][0][1], 900.0);
    bench.succeed(&format!("{TRAIN} --data counts --init pretrained/weights.safetensors --out run"));
    assert_eq!(bench.range("run"), bench.range("pretrained"));
    let image = format!("counts/{}/00.tif", CLASSES[0]);
    bench.succeed(&format!("reconstruct {image} --weights pretrained/weights.safetensors --out shown"));
    let shown = image::open(bench.path("shown/00.png")).unwrap().into_luma8();
    // The brightest pixel of the original is white.
    assert_eq!(GrayImage::get_pixel(&shown, 0, 0).0, [255]);
    bench.succeed(&format!("embed {image} --weights run/weights.safetensors --out vectors.npy"));
    bench.succeed("export --weights run/weights.safetensors --out model.onnx");
    let exported = bench.read("model.onnx");
    let said = |words: &[u8]| exported.windows(words.len()).any(|part| part == words);
    assert!(said(b"scale values of ") && said(b" to 900 to 0 to 1"));
}

#[test]
fn weights_without_a_range_say_how_they_take_16_bit() {
    let bench = Bench::new();
    bench.write("classifier.safetensors", classifier());
    bench.draw_counts("counts", 1, "png", 65_535);
    let image = format!("counts/{}/00.png", CLASSES[0]);
    bench
        .run(&format!("classify {image} --weights classifier.safetensors"))
        .success()
        .stderr(contains("16-bit values, but no value range is stated: 0 is taken for black and 65535"));
}

#[test]
fn images_of_two_depths_are_refused_unless_their_values_are_clear() {
    let bench = Bench::new();
    bench.write("start.safetensors", autoencoder());
    bench.draw_counts("mixed", 3, "png", 4000);
    bench.draw_classes("mixed", 6);
    let line = "finetune --data mixed --init start.safetensors --batch-size 6 --steps 1 -v";
    bench.refuse(
        1,
        &[(
            &format!("{line} --out run"),
            &["have 16-bit values, of which they use", "and the others 8 bit", "--range"],
        )],
    );
    bench.succeed(&format!("{line} --range 0,500 --out stated"));
    // Photographs in 16 bit beside others use all of it.
    bench.draw_counts("mixed", 3, "png", 65_000);
    bench.draw_each("mixed", 3, "png", |class, number, x, y| 120 * count(class, number, x, y));
    bench
        .run(&format!("{line} --out whole"))
        .success()
        .stderr(contains("that fill it, and the others 8 bit"));
    assert_eq!(bench.range("whole"), "dtype");
}

#[test]
fn a_kept_image_is_not_taken_for_another_range() {
    let bench = Bench::new();
    bench.draw_counts("counts", 4, "png", 4000);
    let run = |range: &str, cache: &str, out: &str| {
        bench.succeed(
            &format!("{TRAIN} --data counts --steps 2 --range {range} --out {out} {cache}")
                .replace("--steps 80 ", ""),
        );
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let narrow = run("0,500", "", "a");
    let wide = run("0,4000", "", "b");
    assert!(narrow != wide);
    assert!(run("0,500", "--cache kept", "c") == narrow);
    assert!(run("0,4000", "--cache kept", "d") == wide);
    assert!(run("0,500", "--cache kept", "e") == narrow);
}

#[test]
fn a_check_of_data_finds_the_values_that_are_used() {
    let bench = Bench::new();
    bench.draw_counts("counts", 2, "tif", 4000);
    bench
        .run("data check counts --unlabelled --channels 1")
        .success()
        .stdout(contains("values: 6 16-bit"))
        .stdout(contains("to 4000; --range dtype leaves 16 of 256 levels, --range data ("))
        .stderr(contains("leaves 16 of 256 levels"));
    let found = bench.json("data check counts --unlabelled --channels 1 --json");
    assert_eq!(
        (&found["values"][0]["most"], &found["types"]["16-bit"]),
        (&4000.0.into(), &6.into()),
        "{found}"
    );
    // Dark counts are no duplicates of each other.
    assert_eq!(found["duplicates"], serde_json::json!([]), "{found}");
    bench.draw_classes("photos", 2);
    let said = bench.succeed("data check photos --unlabelled");
    assert!(said.contains("values: 6 8-bit, from "), "{said}");
}
