//! `convnext classify`: thresholds, and copies in folders of classes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::classifier;

const CLASSIFY: &str = "classify photos --weights weights.safetensors";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("weights.safetensors", classifier());
    bench.draw_classes("photos", 3);
    bench
}

/// The files below a folder, with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn answers(bench: &Bench, line: &str) -> Vec<Value> {
    bench.json(line).as_array().unwrap().clone()
}

#[test]
fn an_improbable_answer_is_unsure_in_every_form() {
    let bench = bench();
    let best = |answer: &Value| answer["predictions"][0]["probability"].as_f64().unwrap();
    let plain = answers(&bench, &format!("{CLASSIFY} --json"));
    assert!(plain.iter().all(|answer| answer["answer"] == answer["predictions"][0]["label"]));
    let mut probabilities: Vec<f64> = plain.iter().map(best).collect();
    probabilities.sort_by(f64::total_cmp);
    let middle = (probabilities[3] + probabilities[4]) / 2.0;
    let asked = answers(&bench, &format!("{CLASSIFY} --threshold {middle} --json"));
    for (answer, before) in asked.iter().zip(&plain) {
        assert_eq!(answer["predictions"], before["predictions"]);
        assert_eq!(answer["answer"] == "unsure", best(before) < middle, "{answer}");
    }
    assert_eq!(asked.iter().filter(|answer| answer["answer"] == "unsure").count(), 4);
    let said = bench.succeed(&format!("{CLASSIFY} --threshold {middle} --top-k 1"));
    assert_eq!(said.matches(": unsure\n").count(), 4, "{said}");
    bench.succeed(&format!("{CLASSIFY} --threshold {middle} --top-k 1 --csv answers.csv"));
    assert_eq!(bench.read_text("answers.csv").matches(",unsure\n").count(), 4);
    bench.refuse(2, &[(&format!("{CLASSIFY} --threshold 1.5"), &["between 0 and 1"])]);
}

#[test]
fn images_are_copied_into_the_folders_of_their_answers() {
    let bench = bench();
    let before = files(&bench.path("photos"));
    let line = format!("{CLASSIFY} --copy-to sorted --json");
    let answers = answers(&bench, &line);
    let copies = files(&bench.path("sorted"));
    assert_eq!(copies.len(), 9, "{:?}", copies.keys());
    for class in CLASSES {
        let wanted = answers.iter().filter(|answer| answer["answer"] == class).count();
        assert_eq!(copies.keys().filter(|path| path.starts_with(&format!("{class}/"))).count(), wanted);
    }
    let sorted = |files: &BTreeMap<String, Vec<u8>>| {
        let mut bytes: Vec<Vec<u8>> = files.values().cloned().collect();
        bytes.sort_unstable();
        bytes
    };
    assert!(sorted(&copies) == sorted(&before) && files(&bench.path("photos")) == before);
    // All are called 00.png, 01.jpg or 02.png.
    let numbered =
        copies.keys().all(|path| path.contains("/00") || path.contains("/01") || path.contains("/02"));
    assert!(numbered, "{:?}", copies.keys());
    bench.refuse(
        1,
        &[
            (&line, &["sorted is not empty", "--overwrite"]),
            (&format!("{CLASSIFY} --copy-to photos/sorted"), &["lie one in the other"]),
            (&format!("{CLASSIFY} --copy-to ."), &["lie one in the other"]),
        ],
    );
    bench.succeed(&format!("{line} --overwrite"));
    assert_eq!(files(&bench.path("sorted")), copies);
}

#[test]
fn images_of_an_archive_are_copied_as_well() {
    let bench = bench();
    let mut archive = tar::Builder::new(fs::File::create(bench.path("photos.tar")).unwrap());
    archive.append_path_with_name(bench.path("photos/vertical/00.png"), "00.png").unwrap();
    archive.append_path_with_name(bench.path("photos/vertical/01.jpg"), "below/01.jpg").unwrap();
    archive.finish().unwrap();
    bench.succeed(
        "classify photos.tar --weights weights.safetensors --threshold 0.999999999 --copy-to sorted",
    );
    let copies = files(&bench.path("sorted"));
    assert_eq!(copies.keys().collect::<Vec<_>>(), ["unsure/00.png", "unsure/01.jpg"]);
    assert!(copies["unsure/00.png"] == bench.read("photos/vertical/00.png"));
}

#[test]
fn a_copy_replaces_a_link_and_never_what_it_leads_to() {
    let bench = bench();
    bench.make_folder("sorted/unsure");
    fs::hard_link(bench.path("photos/vertical/00.png"), bench.path("sorted/unsure/00.png")).unwrap();
    bench.draw("other/00.png", CLASSES[0], 77);
    let before = bench.read("photos/vertical/00.png");
    bench.succeed(
        "classify other/00.png --weights weights.safetensors --threshold 0.999999999 --copy-to sorted --overwrite",
    );
    assert!(bench.read("sorted/unsure/00.png") == bench.read("other/00.png"));
    assert!(bench.read("photos/vertical/00.png") == before, "the original was written over through a link");
}

#[test]
fn a_class_called_unsure_is_not_mixed_up_with_the_answer() {
    let bench = bench();
    bench.write("names.txt", "a\nunsure\nc\n");
    let line = format!("{CLASSIFY} --class-names names.txt");
    for form in ["", "--json", "--csv answers.csv"] {
        let asked = format!("{line} --threshold 0.5 {form}");
        bench.refuse(1, &[(&asked, &["a class is called 'unsure'", "--class-names"])]);
    }
    bench.succeed(&format!("{line} --csv answers.csv"));
}

#[test]
fn classes_that_would_share_a_folder_are_refused_before_the_first_copy() {
    let bench = bench();
    for (names, words) in [
        ("a/b\na_b\nc\n", ["'a/b' and 'a_b'", "a_b"]),
        ("Unsure\nb\nc\n", ["class 'Unsure'", "folder unsure"]),
    ] {
        bench.write("names.txt", names);
        let line = format!("{CLASSIFY} --class-names names.txt --copy-to sorted");
        bench.refuse(1, &[(&line, &words)]);
        assert!(!bench.exists("sorted"));
    }
}
