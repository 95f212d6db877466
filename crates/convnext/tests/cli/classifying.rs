//! `convnext classify`: images and folders; JSON, tables and text.

use serde_json::Value;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

fn photos() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.draw_classes("photos", 6);
    bench.draw("single.bmp", CLASSES[1], 3);
    bench
}

fn classify(bench: &Bench, what: &str) -> Vec<Value> {
    let answers = bench.json(&format!("classify {what} --weights weights.safetensors --json"));
    answers.as_array().unwrap().clone()
}

#[test]
fn each_image_gets_all_classes_the_likeliest_first() {
    let answers = classify(&photos(), "photos single.bmp --top-k 1000");
    assert_eq!(answers.len(), 19);
    for answer in &answers {
        let predictions = answer["predictions"].as_array().unwrap();
        let numbers =
            |key: &str| -> Vec<f64> { predictions.iter().map(|p| p[key].as_f64().unwrap()).collect() };
        assert_eq!(predictions.len(), CLASSES.len(), "{answer}");
        for prediction in predictions {
            let mut fields: Vec<&str> = prediction.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            assert_eq!(fields, ["index", "label", "logit", "probability"]);
            assert_eq!(prediction["label"], CLASSES[prediction["index"].as_u64().unwrap() as usize]);
        }
        let (probabilities, logits) = (numbers("probability"), numbers("logit"));
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{answer}");
        assert!(logits.is_sorted_by(|a, b| a >= b), "{answer}");
        let ratio = (logits[0] - logits[1]).exp();
        assert!((probabilities[0] / probabilities[1] / ratio - 1.0).abs() < 1e-6, "{answer}");
    }
}

#[test]
fn images_are_named_as_given_and_folders_in_order() {
    let answers = classify(&photos(), "single.bmp photos/vertical --top-k 1");
    let names: Vec<&str> = answers.iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    let expected = [
        "single.bmp",
        "photos/vertical/00.png",
        "photos/vertical/01.jpg",
        "photos/vertical/02.png",
        "photos/vertical/03.jpg",
        "photos/vertical/04.png",
        "photos/vertical/05.jpg",
    ];
    assert_eq!(names, expected);
    assert!(answers.iter().all(|answer| answer["predictions"].as_array().unwrap().len() == 1));
}

#[test]
fn a_image_has_the_same_answer_alone_and_in_a_folder() {
    let bench = photos();
    let name = "photos/checkers/04.png";
    let alone = classify(&bench, &format!("{name} --top-k 3"));
    let together = classify(&bench, "photos --top-k 3");
    let same = together.iter().find(|answer| answer["image"] == name).unwrap();
    let [alone, same] = [&alone[0], same].map(|answer| answer["predictions"].as_array().unwrap());
    for (a, b) in alone.iter().zip(same) {
        assert_eq!(a["label"], b["label"]);
        let difference = a["logit"].as_f64().unwrap() - b["logit"].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{a} {b}");
    }
}

/// JPEG files of the kinds that were decoded to other pixels than Pillow's, and what Pillow makes of them.
macro_rules! jpegs {
    ($($jpeg:literal as $png:literal),*) => {
        [$((
            $jpeg,
            &include_bytes!(concat!("../../../convnext-data/tests/jpegs/", $jpeg, ".jpg"))[..],
            &include_bytes!(concat!("../../../convnext-data/tests/jpegs/", $png, ".png"))[..],
        )),*]
    };
}

#[test]
fn a_jpeg_has_the_answer_of_what_pillow_makes_of_it() {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    for (name, jpeg, png) in jpegs![
        "grid-420" as "grid-420",
        "grid-440" as "grid-440",
        "one-by-one-444" as "grid-444",
        "one-by-one-422" as "grid-422",
        "pairs-420" as "grid-420",
        "progressive-420" as "grid-420",
        "arithmetic" as "grid-420",
        "cmyk" as "cmyk",
        "cmyk-halved" as "cmyk-halved",
        "ycck-halved" as "ycck-halved",
        "red-green-blue" as "red-green-blue"
    ] {
        bench.write(&format!("jpeg/{name}.jpg"), jpeg);
        bench.write(&format!("png/{name}.png"), png);
    }
    let [jpeg, png] = ["jpeg", "png"].map(|folder| classify(&bench, &format!("{folder} --top-k 3")));
    assert_eq!(jpeg.len(), 11);
    for (jpeg, png) in jpeg.iter().zip(&png) {
        assert_eq!(jpeg["predictions"], png["predictions"], "{}", jpeg["image"]);
    }
    let vectors = |folder: &str| {
        bench.succeed(&format!("embed {folder} --weights weights.safetensors --out {folder}.npy"));
        bench.read(&format!("{folder}.npy"))
    };
    assert_eq!(vectors("jpeg"), vectors("png"));
}

#[test]
fn a_table_can_be_written() {
    let bench = photos();
    let said = bench.succeed("classify photos --weights weights.safetensors --top-k 2 --csv answers.csv");
    assert_eq!(said, "");
    let mut reader = csv::Reader::from_path(bench.path("answers.csv")).unwrap();
    assert_eq!(
        reader.headers().unwrap(),
        vec!["image", "rank", "label", "index", "probability", "logit", "answer"]
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 18 * 2);
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(row[1], (place % 2 + 1).to_string(), "{row:?}");
    }

    let answers = classify(&bench, "photos --top-k 2");
    let first = &answers[0]["predictions"][0];
    assert_eq!(&rows[0][0], answers[0]["image"].as_str().unwrap());
    assert_eq!(&rows[0][2], first["label"].as_str().unwrap());
    assert_eq!(rows[0][4].parse::<f64>().unwrap(), first["probability"].as_f64().unwrap());
}

#[test]
fn a_table_replaces_neither_weights_nor_images_and_only_when_it_is_whole() {
    let bench = photos();
    bench.run("classify photos --weights weights.safetensors --top-k 1 --csv old.csv").success();
    bench.write("names.txt", "a\nb\nc\n");
    let read = ["weights.safetensors", "single.bmp", "photos/vertical/00.png", "names.txt"];
    let before = read.map(|name| bench.read(name));
    for name in read {
        let classify = "classify photos single.bmp --weights weights.safetensors --class-names names.txt";
        let line = format!("{classify} --csv ./{name}");
        bench.refuse(1, &[(&line, &["would be written over", "another name"])]);
    }
    assert!(before == read.map(|name| bench.read(name)));
    let old = bench.read("old.csv");
    bench.draw_truncated("cut.jpg");
    bench.run("classify single.bmp cut.jpg --weights weights.safetensors --csv old.csv").code(1);
    assert!(bench.read("old.csv") == old && !bench.exists("old.csv.part"));
}

#[test]
fn for_people_there_are_percentages() {
    let said = photos().succeed("classify single.bmp --weights weights.safetensors --top-k 2");
    assert!(said.starts_with("single.bmp\n") && said.matches('%').count() == 2, "{said}");
}
