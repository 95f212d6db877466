//! `convnext finetune --task segment`, `evaluate` and `segment`: masks, from a folder to a report.

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use safetensors::SafeTensors;

use super::bench::Refusal;
use super::streets::{png, streets};

const TRAIN: &str = "finetune --task segment --data streets --model micro --head-width 8 --image-size 64 --set \
                     training.warmup_steps=0 --set from_scratch.warmup_steps=0";

#[test]
fn batch_norms_in_the_blocks_follow_the_batches() {
    let bench = streets();
    bench.succeed(&format!("{TRAIN} --response-norm bn --steps 2 --batch-size 2 --out run -q"));
    let bytes = bench.read("run/weights.safetensors");
    let weights = SafeTensors::deserialize(&bytes).unwrap();
    let counter = weights.tensor("stages.0.0.bn.num_batches_tracked").unwrap();
    assert_eq!(counter.data(), 2_i64.to_le_bytes());
    let mean = weights.tensor("stages.3.0.bn.running_mean").unwrap();
    assert!(mean.data().iter().any(|&byte| byte != 0));
    bench.succeed("segment streets/images/val/01.png --weights run/weights.safetensors --out out");
}

#[test]
fn a_network_is_trained_measured_and_used() {
    let bench = streets();
    bench
        .run(&format!("{TRAIN} --steps 30 --batch-size 4 --out run"))
        .success()
        .stdout(contains("validation mIoU"))
        .stdout(contains("convnext segment IMAGE --weights run/"));
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["task"].as_str(), Some("segmentation"), "{config}");
    let report = bench.read_text("run/report.html");
    assert!(report.contains("Worst images") && report.contains("semantic segmentation"));

    let evaluate = "evaluate --data streets --weights run/weights.safetensors";
    let result = bench.json(&format!("{evaluate} --json"));
    assert_eq!((&result["kind"], &result["images"]), (&"segmentation".into(), &2.into()));
    assert!(result["miou"].as_f64().unwrap() > 0.8, "{result}");
    let classes = result["classes"].as_array().unwrap();
    assert_eq!(
        classes.iter().map(|class| class["pixels"].as_u64().unwrap()).collect::<Vec<_>>(),
        [2970, 6204]
    );
    assert!(classes.iter().all(|class| class["iou"].is_f64() && class["accuracy"].is_f64()));
    for mode in ["--mode slide --crop 64 --stride 40", "--scales 0.75,1 --flip", "--resize short:64"] {
        let other = bench.json(&format!("{evaluate} {mode} --json"));
        assert!(other["miou"].as_f64().unwrap() > 0.5, "{mode}: {other}");
    }
    let shown = bench.run(&format!("{evaluate} --html page.html")).success();
    for said in
        ["masks: 2 classes of the model", "masks: ignored: 255 (", "% of the pixels measured on are ignored"]
    {
        assert!(String::from_utf8_lossy(&shown.get_output().stderr).contains(said), "{said}: {shown}");
    }
    bench.run(&format!("{evaluate} -q")).success().stderr("");
    assert!(bench.read_text("page.html").contains("Confusion"));

    bench.write("broken.png", "no image");
    let named = "segment broken.png streets/images/val --weights run/weights.safetensors --out named";
    bench.refuse(1, &[(named, &["broken.png"])]);

    let image = "streets/images/val/01.png";
    let answers = bench.json(&format!(
        "segment {image} --weights run/weights.safetensors --out out --overlay --logits --json --polygons"
    ));
    assert_eq!((&answers[0]["image"], &answers[0]["size"]), (&image.into(), &serde_json::json!([66, 71])));
    assert!(answers[0]["classes"][0]["polygons"][0].as_array().unwrap().len() >= 4);
    assert!(bench.exists("out/01-overlay.png"));
    // The input has the size of the image, so that its logits are those of the pixels.
    let file = bench.read("out/01.safetensors");
    let logits = SafeTensors::deserialize(&file).unwrap();
    let logits = logits.tensor("logits").unwrap();
    assert_eq!(logits.shape(), [2, 66, 71]);
    let values: Vec<f32> =
        logits.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let (first, second) = values.split_at(66 * 71);
    let highest: Vec<u8> = first.iter().zip(second).map(|(first, second)| u8::from(second > first)).collect();
    let (labels, palette) = indexed(&bench.read("out/01.png"));
    assert!(labels == highest, "the label map is not the argmax of the logits");
    // Pascal VOC's second and third.
    assert_eq!(palette, [128, 0, 0, 0, 128, 0]);
    for class in answers[0]["classes"].as_array().unwrap() {
        let index: u8 = class["name"]
            .as_str()
            .unwrap()
            .trim_start_matches(|letter: char| !letter.is_ascii_digit())
            .parse()
            .unwrap();
        let count = labels.iter().filter(|&&label| label == index).count();
        assert_eq!(class["pixels"].as_u64(), Some(count as u64), "{class}");
    }
}

/// Indices and palette of a PNG file.
fn indexed(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    assert_eq!(reader.info().color_type, png::ColorType::Indexed);
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (pixels, reader.info().palette.as_ref().unwrap().to_vec())
}

#[test]
fn any_threads_and_a_repeated_run_give_the_same_bytes() {
    let bench = streets();
    let weights = |out: &str, settings: &str| {
        bench.succeed(&format!("{TRAIN} --batch-size 3 --out {out} {settings}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let whole = weights("a", "--steps 4 --threads 1");
    assert!(whole == weights("b", "--steps 4 --threads 3"), "threads change the weights");
    // Another class weighting changes them.
    assert!(whole != weights("c", "--steps 4 --class-weights balanced"));
    let again = bench.succeed("finetune --config a --out d");
    assert!(again.contains("validation mIoU") && whole == bench.read("d/weights.safetensors"));
}

#[cfg(unix)]
#[test]
fn a_training_killed_at_random_moments_ends_with_the_same_bits() {
    let settings = "--batch-size 3 --steps 12 --set training.ema=0.9 --set training.validate_every.steps=5";
    super::resuming::check_killed(&streets(), &format!("{TRAIN} {settings}"));
}

#[test]
fn weights_of_other_tasks_are_a_start() {
    let bench = streets();
    bench.write("start.safetensors", super::weights::autoencoder());
    bench.succeed(
        "finetune --task segment --data streets --init start.safetensors --head-width 8 --image-size 64 --steps 1 \
         --batch-size 2 --labelled-images 3 --freeze encoder --out run --set training.warmup_steps=0",
    );
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["labelled_images"].as_integer(), Some(3), "{config}");
    // Nothing was frozen otherwise.
    let again = bench.run("finetune --config run --out again --dry-run").success();
    again.stderr(contains("which had").not());
    let shown = "recipes show auto --data streets --model micro --task segment --ignore-index 2";
    assert!(bench.succeed(shown).contains("[from_scratch]"));
}

#[test]
fn what_does_not_fit_masks_is_refused() {
    let bench = streets();
    bench.write("classifier.safetensors", super::weights::classifier());
    let finetune = "finetune --task segment --data streets --model micro --out run";
    let with = |rest: &str| format!("{finetune} {rest}");
    let frozen =
        "finetune --task segment --data streets --init classifier.safetensors --freeze encoder --out run";
    let lines = [
        (with("--fast-decode"), "--fast-decode is about classifiers"),
        (format!("{frozen} --set regularization.drop_path=0.5"), "regularization.drop_path has no effect"),
        (format!("{frozen} --set from_weights.layer_decay.rate=0.9"), "layer_decay.rate has no effect"),
        (with("--labels x.csv"), "--classes FILE"),
        (with("--labels-per-class 2"), "--labelled-images"),
        (with("--batch-size 1"), "batch size of a segmentation is 1"),
        (with("--labelled-images 90"), "number of labelled images"),
        (with("--set loss.dices=1"), "unknown field"),
        (with("--recipe paper"), "base, large, huge"),
        (with("--sync-batch-norm"), "several ranks"),
        ("finetune --data streets --model micro --sync-batch-norm --out run".to_owned(), "--task segment"),
        ("finetune --data streets --model micro --ignore-index 3 --out run".to_owned(), "--task segment"),
        (
            "evaluate --data streets --weights classifier.safetensors --flip".to_owned(),
            "no segmentation network",
        ),
        (
            "segment streets --weights classifier.safetensors --out out".to_owned(),
            "a segmentation network is needed",
        ),
    ];
    let refusals: Vec<(&str, [&str; 1])> =
        lines.iter().map(|(line, word)| (line.as_str(), [*word])).collect();
    let refusals: Vec<Refusal> = refusals.iter().map(|(line, words)| (*line, &words[..])).collect();
    bench.refuse(1, &refusals);
    bench.refuse(
        2,
        &[
            ("segment a.png --weights w --out out --resize long:3", &["short:N"]),
            ("segment a.png --weights w --out out --scales 1,0", &["above 0"]),
            ("segment a.png --weights w --out out --polygons", &["--json"]),
        ],
    );
}

/// Bug: without the file of the classes, that of a position was taken for the class of this number.
#[test]
fn weights_know_which_number_is_which_class() {
    let bench = streets();
    bench.write("classes.csv", "id,name\n1,road\n0,wall\n");
    bench.succeed(&format!("{TRAIN} --classes classes.csv --steps 1 --batch-size 2 --out run -q"));
    let evaluate = "evaluate --data streets --weights run/weights.safetensors --json";
    let with_classes = bench.json(&format!("{evaluate} --classes classes.csv"));
    assert_eq!(with_classes["classes"][0]["pixels"], 6204, "{with_classes}");
    let without = bench.json(evaluate);
    for field in ["classes", "confusion"] {
        assert_eq!(without[field], with_classes[field], "{field}");
    }
}

/// Bug: a training ended at its first validation, and no image was named.
#[test]
fn images_that_are_too_small_for_the_network_are_named() {
    let bench = streets();
    let train = format!("{TRAIN} --steps 1 --batch-size 2");
    bench.succeed(&format!("{train} --out run -q"));
    for folder in ["images", "annotations"] {
        bench.write(&format!("streets/{folder}/val/01.png"), png(&image::GrayImage::new(20, 40).into()));
    }
    let words =
        ["streets/images/val/01.png, of 40 x 20 px", "at least 32 pixels", "--set inference.resize=short:N"];
    let evaluate = "evaluate --data streets --weights run/weights.safetensors";
    bench.refuse(1, &[(&format!("{train} --out small"), &words), (evaluate, &words)]);
    assert!(!bench.exists("small"), "a run began that could not be validated");
    bench.succeed(&format!("{evaluate} --resize short:64"));
}

/// Bug: a run went on, and was compared with results on other masks.
#[test]
fn a_run_whose_validation_masks_changed_does_not_go_on() {
    let bench = streets();
    let train = format!("{TRAIN} --steps 1 --batch-size 2 --out run");
    bench.succeed(&train);
    let mask = image::GrayImage::from_pixel(71, 66, image::Luma([1]));
    bench.write("streets/annotations/val/01.png", png(&mask.into()));
    let resume = format!("{train} --resume");
    bench.refuse(1, &[(&resume, &["validation_masks_checksum was"])]);
    // Earlier versions did not record it.
    let config = bench.read_text("run/config.toml");
    let lines = config.lines().filter(|line| !line.starts_with("validation_masks_checksum"));
    let earlier: String = lines.map(|line| format!("{line}\n")).collect();
    assert_ne!(config, earlier);
    bench.write("run/config.toml", earlier);
    bench.succeed(&resume);
}

#[test]
fn classes_without_training_pixels_and_a_validation_without_labels_are_told() {
    let bench = streets();
    let mask = |number: u32, value: &dyn Fn(u32) -> u8| {
        let mask = image::GrayImage::from_fn(70 + number, 66, |x, _| image::Luma([value(x)]));
        bench.write(&format!("streets/annotations/val/{number:02}.png"), png(&mask.into()));
    };
    let plan = || bench.succeed(&format!("{TRAIN} --labelled-images 3 --batch-size 2 --dry-run --out run"));
    assert!(!plan().contains("has no pixel"));
    mask(0, &|x| if x < 9 { 2 } else { 1 });
    let said = plan();
    assert!(
        said.contains("masks: train has no pixel of class_2") && !said.contains("nothing can be measured"),
        "{said}"
    );
    (0..2).for_each(|number| mask(number, &|_| 255));
    let said = plan();
    assert!(said.contains("masks: validation has no pixel with a class"), "{said}");
}
