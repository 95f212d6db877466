//! `--channels`: greyscale, and TIFF files of five bands, from images to answers.

use std::fs;

use image::{GrayImage, RgbImage};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use tiff::encoder::{TiffEncoder, colortype::ColorType};
use tiff::tags::{PhotometricInterpretation, SampleFormat};

use super::bench::Bench;
use super::images::{CLASSES, SIDE};
use super::weights::autoencoder;

const PRETRAIN: &str = "pretrain --model micro --image-size 32 --stem-stride 1 --batch-size 6 --steps 2";

/// What a TIFF file of five bands says about itself.
struct FiveBands;

impl ColorType for FiveBands {
    type Inner = u8;
    const TIFF_VALUE: PhotometricInterpretation = PhotometricInterpretation::BlackIsZero;
    const BITS_PER_SAMPLE: &'static [u16] = &[8; 5];
    const SAMPLE_FORMAT: &'static [SampleFormat] = &[SampleFormat::Uint; 5];

    fn horizontal_predict(_: &[u8], _: &mut Vec<u8>) {
        unreachable!("files are written without a predictor");
    }
}

impl Bench {
    /// Draws an image and writes it with two more bands, as `NAME.tif`.
    fn draw_bands(&self, name: &str, class: &str, number: usize) {
        let (colours, bands) = (format!("{name}.png"), format!("{name}.tif"));
        self.draw(&colours, class, number);
        let image = image::open(self.path(&colours)).unwrap().into_rgb8();
        let levels: Vec<u8> = image.pixels().flat_map(|p| [p[0], p[1], p[2], 255 - p[0], p[1] / 2]).collect();
        let mut file = fs::File::create(self.path(&bands)).unwrap();
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        encoder.write_image::<FiveBands>(SIDE as u32, SIDE as u32, &levels).unwrap();
        fs::remove_file(self.path(&colours)).unwrap();
    }

    /// [`Bench::draw_classes`] in five bands.
    fn draw_classes_in_bands(&self, folder: &str, count: usize) {
        for class in CLASSES {
            for number in 0..count {
                self.draw_bands(&format!("{folder}/{class}/{number:02}"), class, number);
            }
        }
    }

    /// Pre-trains, fine-tunes, evaluates, classifies and reconstructs; an image is the first of its class.
    fn whole_job(&self, channels: usize, ending: &str) {
        self.succeed(&format!("{PRETRAIN} --data photos --channels {channels} --out pretrained"));
        self.succeed(
            "finetune --data photos --init pretrained/weights.safetensors --epochs 4 --batch-size 6 --out classifier",
        );
        for kind in ["pretrained", "classifier"] {
            let line = format!("inspect {kind}/weights.safetensors");
            let metadata = self.json(&format!("{line} --json"))["metadata"].take();
            assert_eq!(metadata["backbone"]["input_channels"], channels, "{metadata}");
            assert_eq!(metadata["preprocessing"]["mean"].as_array().unwrap().len(), channels, "{metadata}");
            let said = self.succeed(&line);
            assert!(said.contains(&format!("images of 32 px, warped, {channels} channel(s)")), "{said}");
        }
        let weights = "--weights classifier/weights.safetensors --json";
        let evaluated = self.json(&format!("evaluate --data photos --val-fraction 0.2 {weights}"));
        assert_eq!(evaluated["images"], 6, "{evaluated}");
        let larger = format!("evaluate --data photos --val-fraction 0.2 --image-size 40 {weights}");
        assert_eq!(self.json(&larger)["images"], 6);
        let nearest = "evaluate --data photos --knn --weights pretrained/weights.safetensors --json";
        assert_eq!(self.json(nearest)["images"], 6);
        let image = format!("photos/{}/00.{ending}", CLASSES[0]);
        let answers = self.json(&format!("classify {image} {weights}"));
        assert_eq!(answers[0]["predictions"].as_array().unwrap().len(), 3, "{answers}");
        self.write("mask.json", r#"{"kept": [0]}"#);
        let settings = "--mask mask.json --weights pretrained/weights.safetensors --out shown --json";
        let answers = self.json(&format!("reconstruct {image} {settings}"));
        assert!(answers[0]["loss"].as_f64().is_some_and(f64::is_finite), "{answers}");
        assert!(self.exists("classifier/report.html") && self.exists("pretrained/images"));
    }
}

#[test]
fn greyscale_is_learnt_from_files_in_colours() {
    let bench = Bench::new();
    bench.draw_classes("photos", 10);
    bench.whole_job(1, "png");
    // ITU-R BT.601, as Pillow rounds it.
    let colours = image::open(bench.path("photos/checkers/00.png")).unwrap().into_rgb8();
    let level = |x: u32, y: u32| {
        let [red, green, blue] = RgbImage::get_pixel(&colours, x, y).0.map(u32::from);
        (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16
    };
    let shown = image::open(bench.path("shown/00.png")).unwrap();
    let shown: &GrayImage = shown.as_luma8().expect("one channel is shown as greyscale");
    for (x, y) in (0..SIDE as u32).flat_map(|x| (0..SIDE as u32).map(move |y| (x, y))) {
        assert_eq!(
            u32::from(GrayImage::get_pixel(shown, x, y).0[0]),
            level(x, y),
            "the original at {x}, {y}"
        );
    }
}

/// Each mistake of a fine-tuning that is listed has its image.
fn check_mistakes(bench: &Bench) {
    let files =
        fs::read_dir(bench.path("classifier/images")).unwrap().map(|entry| entry.unwrap().file_name());
    let mistakes = files.filter(|name| name.to_string_lossy().starts_with("mistake-")).count();
    let listed: serde_json::Value =
        serde_json::from_str(&bench.read_text("classifier/evaluation.json")).unwrap();
    assert_eq!(listed["mistakes"].as_array().unwrap().len(), mistakes, "{listed}");
}

#[test]
fn five_bands_are_learnt_and_three_of_them_shown() {
    let bench = Bench::new();
    bench.draw_classes_in_bands("photos", 10);
    bench.whole_job(5, "tif");
    bench.draw("same.png", CLASSES[0], 0);
    let open = |name: &str| image::open(bench.path(name)).unwrap().into_rgb8();
    let (colours, shown) = (open("same.png"), open("shown/00.png"));
    for (x, y) in (0..SIDE as u32).flat_map(|x| (0..SIDE as u32).map(move |y| (x, y))) {
        assert_eq!(RgbImage::get_pixel(&shown, x, y), RgbImage::get_pixel(&colours, x, y), "at {x}, {y}");
    }
    check_mistakes(&bench);
    bench.refuse(
        1,
        &[
            (
                "classify same.png --weights classifier/weights.safetensors",
                &["same.png has 3 channel(s), but 5"],
            ),
            (
                "reconstruct same.png --weights pretrained/weights.safetensors --out out",
                &["same.png has 3 channel(s), but 5 are needed"],
            ),
            (
                "finetune --data photos --init pretrained/weights.safetensors --channels 1 --out out",
                &[
                    "pretrained/weights.safetensors takes images of 5 channel(s), but 1 were asked for",
                    "--channels",
                ],
            ),
            (
                &format!("{PRETRAIN} --data photos --out out"),
                &[".tif has 5 channel(s), but 3 are needed", "--channels 5"],
            ),
        ],
    );
}

#[test]
fn weights_for_colours_are_adapted() {
    let bench = Bench::new();
    bench.write("colours.safetensors", autoencoder());
    bench.draw_classes("photos", 4);
    bench.draw_classes_in_bands("bands", 4);
    for (line, channels) in [
        ("pretrain --data photos --channels 1", 1),
        ("finetune --data photos --channels 1", 1),
        ("pretrain --data bands --channels 5", 5),
        ("finetune --data bands --channels 5", 5),
    ] {
        let out = line.replace(' ', "-");
        bench
            .run(&format!("{line} --init colours.safetensors --steps 1 --batch-size 4 -v --out {out}"))
            .success()
            .stderr(contains(format!("adapted from 3 to {channels} input channel(s)")))
            .stderr(contains("warning").not());
        let contents = bench.json(&format!("inspect {out}/weights.safetensors --json"));
        let stem = contents["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tensor| tensor["name"].as_str().unwrap().ends_with("downsample_layers.0.0.weight"));
        assert_eq!(stem.unwrap()["shape"], json!([16, channels, 1, 1]), "{line}");
    }
}

#[test]
fn channels_that_do_not_fit_are_refused_by_name() {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    let grey = format!("{PRETRAIN} --data photos --channels 1 --out grey");
    bench.succeed(&grey);
    let changes_colours = "--data photos --channels 1 --out out --set augmentation.";
    bench.refuse(
        1,
        &[
            (&format!("{PRETRAIN} --data photos --channels 5 --out out"), &["channel(s), but 5 are needed"]),
            (
                &format!("{PRETRAIN} {changes_colours}rand_augment=rand-m9-mstd0.5-inc1"),
                &["RandAugment", "--set augmentation.rand_augment=none"],
            ),
            (
                &format!("{PRETRAIN} {changes_colours}color_jitter=0.4"),
                &["colour jitter", "--set augmentation.color_jitter=0"],
            ),
            (
                &format!("{grey} --resume").replace("--channels 1", "--channels 3"),
                &["model.encoder.input_channels was 1, is 3"],
            ),
        ],
    );
    bench.refuse(2, &[(&format!("{PRETRAIN} --data photos --channels 0 --out out"), &["from 1 to 256"])]);
}

#[test]
fn data_of_many_bands_is_checked_in_its_bands() {
    let bench = Bench::new();
    bench.draw_classes_in_bands("photos", 2);
    let found = bench.json("data check photos --unlabelled --channels 5 --json");
    assert_eq!((&found["images"], &found["corrupt"]), (&6.into(), &json!([])));
    assert_eq!(bench.read_text("check.html").matches("data:image/png").count(), 6);
    bench.run("data check photos --unlabelled").code(1).stderr(contains("cannot be read"));
}
