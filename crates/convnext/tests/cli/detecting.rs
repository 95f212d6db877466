//! `convnext finetune --task detect`, `evaluate` and `detect`: objects, from annotations to a report.

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::bench::{Bench, Refusal};
use super::cells::cells;

pub(super) const TRAIN: &str = "finetune --task detect --data cells --model micro --head-width 16 --box-width 32 --image-size 64 \
                     --regions 32 --set training.warmup_steps=0 --set from_scratch.warmup_steps=0";

#[test]
fn gates_and_batch_norms_in_the_blocks_learn() {
    let bench = cells();
    for (norm, name) in [("cbam", "stages.0.0.cbam.conv.weight"), ("bn", "stages.0.0.bn.num_batches_tracked")]
    {
        bench.succeed(&format!("{TRAIN} --response-norm {norm} --steps 2 --batch-size 2 --out {norm} -q"));
        let bytes = bench.read(&format!("{norm}/weights.safetensors"));
        let weights = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = weights.tensor(name).unwrap();
        match norm {
            "bn" => assert_eq!(tensor.data(), 2_i64.to_le_bytes()),
            _ => assert_eq!(tensor.shape(), [1, 2, 7, 7]),
        }
    }
    bench.succeed("detect cells/val/01.png --weights cbam/weights.safetensors --out out");
}

#[test]
fn a_detector_is_trained_measured_and_used() {
    let bench = cells();
    bench
        .run(&format!("{TRAIN} --steps 60 --batch-size 3 --lr 3e-3 --out run"))
        .success()
        .stdout(contains("validation box AP"))
        .stdout(contains("convnext detect IMAGE --weights run/"));
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["task"].as_str(), Some("detection"), "{config}");
    assert!(bench.read_text("run/report.html").contains("Worst images"));

    let evaluate = "evaluate --data cells --weights run/weights.safetensors";
    let result = bench.json(&format!("{evaluate} --json --write-predictions found.json"));
    assert_eq!((&result["kind"], &result["images"]), (&"detection".into(), &3.into()));
    for part in ["box", "mask"] {
        assert!(result[part]["AP50"].as_f64().unwrap() > 0.2, "{result}");
        assert!(result[part]["APl"].is_null(), "{result}");
    }
    let objects: Vec<&Value> =
        result["classes"].as_array().unwrap().iter().map(|class| &class["objects"]).collect();
    assert_eq!(objects, [4, 2]);
    assert!(!bench.exists("found.json.part"));
    bench.write("broken.png", "no image");
    bench.refuse(
        1,
        &[
            (&format!("{evaluate} --write-predictions cells"), &["it is a folder"]),
            (&format!("{evaluate} --write-predictions run/weights.safetensors"), &["over the weights"]),
            (&format!("{evaluate} --write-predictions cells/val/01.png"), &["over images"]),
            ("detect broken.png cells/val --weights run/weights.safetensors --out named", &["broken.png"]),
        ],
    );
    let found: Value = serde_json::from_str(&bench.read_text("found.json")).unwrap();
    let found = found.as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|found| found["category_id"].as_u64().unwrap() <= 2));
    for other in ["--nms soft-linear", "--tile 48", "--resize short:64 --max 5"] {
        let other_result = bench.json(&format!("{evaluate} {other} --json"));
        // Tiles are seen larger than what was learned from: boxes are found there less well than masks.
        let (part, least) = if other.starts_with("--tile") { ("mask", 0.0) } else { ("box", 0.1) };
        assert!(other_result[part]["AP50"].as_f64().unwrap() > least, "{other}: {other_result}");
    }
    bench.run(&format!("{evaluate} --html page.html")).success().stderr(contains("objects: COCO's JSON: "));

    let line = "detect cells/val --weights run/weights.safetensors --out out --score 0.2 --overlay --csv objects.csv --json";
    let answers = bench.json(line);
    assert_eq!((&answers[0]["image"], &answers[0]["size"]), (&"cells/val/00.png".into(), &json!([66, 70])));
    let results: Value = serde_json::from_str(&bench.read_text("out/results.json")).unwrap();
    let count = answers.as_array().unwrap().iter().map(|answer| answer["objects"].as_array().unwrap().len());
    let count: usize = count.sum();
    assert_eq!(
        (results.as_array().unwrap().len(), bench.read_text("objects.csv").lines().count()),
        (count, count + 1)
    );
    assert_eq!(results[0]["segmentation"]["size"], json!([66, 70]));
    assert!(
        bench.exists("out/00.png") && bench.exists("out/02.png") && !bench.exists("out/results.json.part")
    );
    export(&bench);
}

#[test]
fn predictions_have_the_numbers_of_one_file() {
    let bench = cells();
    bench.succeed(&format!("{TRAIN} --steps 1 --batch-size 2 --out run"));
    let file = "cells/annotations/instances_val.json";
    let mut annotations: Value = serde_json::from_str(&bench.read_text(file)).unwrap();
    let images = annotations["images"].as_array_mut().unwrap();
    let last = images.pop().unwrap();
    let mut other = annotations.clone();
    other["images"] = json!([last]);
    for part in [&mut annotations, &mut other] {
        let ids: Vec<Value> =
            part["images"].as_array().unwrap().iter().map(|image| image["id"].clone()).collect();
        part["annotations"]
            .as_array_mut()
            .unwrap()
            .retain(|annotation| ids.contains(&annotation["image_id"]));
    }
    bench.write(file, annotations.to_string());
    bench.write("cells/annotations/instances_val_2.json", other.to_string());
    let evaluate = "evaluate --data cells --weights run";
    assert!(bench.succeed(evaluate).contains("3 images"));
    let writing = format!("{evaluate} --write-predictions found.json");
    bench.refuse(1, &[(&writing, &["one file of annotations", "has 2", "--annotations FILE"])]);
    bench.succeed(&format!("{writing} --annotations {file}"));
    assert!(bench.exists("found.json"));
}

/// What files compute is tested in `convnext-detect`.
fn export(bench: &Bench) {
    let line = "export --weights run --out model.onnx --image-size 66x70";
    assert_eq!(bench.succeed(&format!("{line} --nms hard --score 0.125 --max 9")), "model.onnx\n");
    let file = bench.read("model.onnx");
    for word in ["RoiAlign", "NonMaxSuppression", "masks", "0.125", r#"["red","green"]"#] {
        assert!(file.windows(word.len()).any(|part| part == word.as_bytes()), "no {word}");
    }
    bench.refuse(
        1,
        &[
            (&format!("{line} --nms soft-linear"), &["suppression is soft-linear", "--nms hard"]),
            (&format!("{line} --batch 2"), &["one image at a time"]),
            ("export --weights run --out model.onnx", &["--image-size"]),
        ],
    );
}

#[test]
fn training_needs_objects() {
    let bench = cells();
    let path = "cells/annotations/instances_train.json";
    let mut file: Value = serde_json::from_slice(&bench.read(path)).unwrap();
    file["annotations"] = json!([]);
    bench.write(path, file.to_string());
    bench.refuse(
        1,
        &[(&format!("{TRAIN} --steps 1 --out a"), &["number of objects to train on", "at least 1"])],
    );
}

#[test]
fn a_training_of_nothing_but_crowds_says_what_to_do() {
    let bench = cells();
    let path = "cells/annotations/instances_train.json";
    let mut file: Value = serde_json::from_slice(&bench.read(path)).unwrap();
    for annotation in file["annotations"].as_array_mut().unwrap() {
        annotation["iscrowd"] = json!(1);
    }
    bench.write(path, file.to_string());
    let line = format!("{TRAIN} --steps 1 --batch-size 2 --out a");
    bench.refuse(1, &[(&line, &["number of objects to train on", "are crowds", "say --crowd-as-object"])]);
    bench.succeed(&format!("{line} --crowd-as-object"));
}

#[test]
fn any_threads_and_a_repeated_run_give_the_same_bytes() {
    let bench = cells();
    let weights = |out: &str, settings: &str| {
        bench.succeed(&format!("{TRAIN} --steps 3 --batch-size 2 --out {out} {settings}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let whole = weights("a", "--threads 1");
    assert!(whole == weights("b", "--threads 3"), "threads change the weights");
    assert!(whole == weights("c", "--threads 2"), "threads change the weights");
    assert!(whole != weights("d", "--seed 1"));
    assert!(whole != weights("f", "--set augmentation.copy_paste=1.0"));
    // Four tiles of each of three images, and six of the three wider ones.
    let tiled = format!("{TRAIN} --steps 1 --batch-size 2 --out g --set augmentation.tile=40");
    bench.run(&tiled).success().stderr(
        contains("in 30 tiles of 6 images").and(contains("tiles: validation looks at tiles of 40 px")),
    );
    check_tiles(&bench);
    let again = bench.succeed("finetune --config a --out e");
    assert!(again.contains("validation box AP") && whole == bench.read("e/weights.safetensors"));
}

/// What was learned in tiles is looked for in tiles, unless they are refused.
fn check_tiles(bench: &Bench) {
    let found = |rest: &str| {
        bench.succeed(&format!(
            "detect cells/val/00.png --weights g/weights.safetensors --out out --overwrite --score 0 --json {rest}"
        ))
    };
    let as_learned = found("");
    assert_eq!(as_learned, found("--tile 40"));
    assert_ne!(as_learned, found("--tile 0"));
    bench.run("export --weights g --out model.onnx --image-size 66x70").success().stderr(contains("40 px"));
    // The default goes by what there is to learn from.
    let plan = "finetune --task detect --data cells --model micro --image-size 64 --out h --dry-run";
    assert!(bench.succeed(plan).contains("6 images: twice as many steps"));
    assert!(
        bench
            .succeed(&format!("{plan} --set augmentation.tile=40"))
            .contains("30 images: twice as many steps")
    );
}

/// Images with a turn in their EXIF data, and annotations of their pixels as they are stored.
#[test]
fn detect_is_told_to_ignore_a_turn_as_the_training_did() {
    use image::ImageEncoder;
    let bench = cells();
    let quarter_turn = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    for (part, count) in [("train", 6), ("val", 3)] {
        for number in 0..count {
            let path = format!("cells/{part}/{number:02}.png");
            let image = image::load_from_memory(&bench.read(&path)).unwrap().into_rgb8();
            let mut bytes = Vec::new();
            let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            encoder.set_exif_metadata(quarter_turn.to_vec()).unwrap();
            let (width, height) = image.dimensions();
            encoder.write_image(&image, width, height, image::ExtendedColorType::Rgb8).unwrap();
            bench.write(&path, bytes);
        }
    }
    let flag = "--ignore-orientation";
    bench
        .run(&format!("{TRAIN} --steps 1 --batch-size 2 --out run"))
        .success()
        .stdout(contains(format!("--out found --overlay {flag}")))
        .stderr(contains(format!("detect needs {flag}")));
    let detect = "detect cells/val/00.png --weights run/weights.safetensors --out out --overwrite --json";
    let size = |rest: &str| bench.json(&format!("{detect}{rest}"))[0]["size"].clone();
    assert_eq!([size(" --ignore-orientation"), size("")], [json!([66, 70]), json!([70, 66])]);
}

#[cfg(unix)]
#[test]
fn a_training_killed_at_random_moments_ends_with_the_same_bits() {
    let settings = "--batch-size 3 --steps 8 --set training.ema=0.9 --set training.validate_every.steps=5";
    super::resuming::check_killed(&cells(), &format!("{TRAIN} {settings}"));
}

#[test]
fn weights_of_other_tasks_are_a_start_and_boxes_alone_are_enough() {
    let bench = cells();
    bench.succeed(
        "pretrain --data cells/train --model micro --image-size 64 --steps 1 --batch-size 2 --out start",
    );
    for part in ["train", "val"] {
        let file = format!("cells/annotations/instances_{part}.json");
        let mut annotations: Value = serde_json::from_str(&bench.read_text(&file)).unwrap();
        for annotation in annotations["annotations"].as_array_mut().unwrap() {
            annotation.as_object_mut().unwrap().remove("segmentation");
        }
        bench.write(&file, annotations.to_string());
    }
    let said = bench.succeed(
        "finetune --task detect --data cells --init start --head-width 8 --box-width 16 --image-size 64 \
         --steps 1 --batch-size 2 --labelled-images 3 --freeze encoder --out run --set training.warmup_steps=0",
    );
    assert!(said.contains("validation box AP") && !said.contains("mask AP"), "{said}");
    assert!(bench.succeed("inspect run/weights.safetensors").contains("Faster R-CNN"));
    let shown = "recipes show auto --data cells --model micro --task detect";
    assert!(bench.succeed(shown).contains("[regions]"));
}

#[test]
fn what_does_not_fit_objects_is_refused() {
    let bench = cells();
    bench.write("classifier.safetensors", super::weights::classifier());
    let finetune = "finetune --task detect --data cells --model micro --out run";
    let with = |rest: &str| format!("{finetune} {rest}");
    let lines = [
        (with("--labels x.csv"), "--annotations FILE"),
        (with("--labels-per-class 2"), "--labelled-images"),
        (with("--ignore-index 3"), "--task segment"),
        (with("--labelled-images 90"), "number of labelled images"),
        (with("--regions 2"), "sampled regions"),
        (with("--set regions.count=1"), "unknown field"),
        (with("--recipe paper"), "base, large, huge"),
        (with("--stem-stride 2"), "stem stride of a detector"),
        (with("--annotations gone.json"), "gone.json"),
        ("finetune --data cells --model micro --regions 3 --out run".to_owned(), "--task detect"),
        ("evaluate --data cells --weights classifier.safetensors --nms hard".to_owned(), "no detector"),
        ("detect cells --weights classifier.safetensors --out out".to_owned(), "a detector is needed"),
    ];
    let refusals: Vec<(&str, [&str; 1])> =
        lines.iter().map(|(line, word)| (line.as_str(), [*word])).collect();
    let refusals: Vec<Refusal> = refusals.iter().map(|(line, words)| (*line, &words[..])).collect();
    bench.refuse(1, &refusals);
    bench.refuse(
        2,
        &[
            ("detect a.png --weights w --out out --score 1.5", &["from 0 to 1"]),
            ("detect a.png --weights w --out out --nms gentle", &["soft-linear"]),
            ("detect a.png --weights w --out out --overlap 0.3", &["--tile"]),
        ],
    );
}
