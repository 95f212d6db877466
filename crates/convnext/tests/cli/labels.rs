//! `--labels`: classes from a CSV file.

use super::bench::Bench;
use super::images::CLASSES;

fn bench() -> Bench {
    let bench = Bench::new();
    let mut rows = String::from("label,path,split\n");
    for class in CLASSES {
        for number in 0..8 {
            let name = format!("{class}-{number}.png");
            bench.draw(&format!("photos/{name}"), class, number);
            let split = if number < 6 { "train" } else { "val" };
            rows += &format!("a {class},{name},{split}\n");
        }
    }
    bench.write("labels.csv", rows);
    bench
}

const FINETUNE: &str = "finetune --data photos --labels labels.csv --model micro --image-size 32 --stem-stride 1 \
                        --batch-size 6 --epochs 2 --out run";

#[test]
fn a_file_of_labels_takes_the_place_of_folders() {
    let bench = bench();
    bench.succeed(FINETUNE);
    let config: toml::Table = bench.read_text("run/config.toml").parse().unwrap();
    assert_eq!(config["labels"].as_str(), Some("labels.csv"));
    let result =
        bench.json("evaluate --data photos --labels labels.csv --weights run/weights.safetensors --json");
    assert_eq!(result["images"], 2 * CLASSES.len(), "{result}");
    let labels: Vec<String> = CLASSES.iter().map(|class| format!("a {class}")).collect();
    for class in result["classes"].as_array().unwrap() {
        assert!(labels.iter().any(|label| class["label"] == **label), "{result}");
    }
    bench.write("labels.csv", bench.read_text("labels.csv").replace("a vertical", "a horizontal"));
    bench.refuse(1, &[(&format!("{FINETUNE} --resume"), &["started with other settings", "data_checksum"])]);
}

#[test]
fn mistakes_in_a_file_of_labels_are_named_by_line() {
    let bench = bench();
    let good = bench.read_text("labels.csv");
    for (text, words) in [
        (
            good.replace("vertical-3.png", "diagonal-3.png"),
            &["labels.csv, line", "no image 'diagonal-3.png'"][..],
        ),
        (good.replace("path", "colour"), &["labels.csv, line 1", "no column 'path'"]),
        (good.replace("label,path,split\n", ""), &["labels.csv, line 1", "must be a header"]),
        (
            good.replace("a vertical", "1.5").replace("a horizontal", "2.25").replace("a checkers", "3"),
            &["regression"],
        ),
        (good.replace("a vertical", "a;b"), &["'a;b'", "multi-label"]),
        (good.replace("a vertical", "a|b"), &["'a|b'", "multi-label"]),
        (
            good.replace("checkers-1.png,train", "checkers-0.png,train").replacen(
                "a checkers,checkers-0",
                "x,checkers-0",
                1,
            ),
            &["has a label already, in line"],
        ),
        (good.replace("train", "practice"), &["labels.csv, line 2", "'practice'"]),
        (String::new(), &["labels.csv"]),
    ] {
        bench.write("labels.csv", text);
        bench.refuse(1, &[(FINETUNE, words)]);
    }
    assert!(!bench.exists("run"));
    bench.refuse(1, &[(&FINETUNE.replace("labels.csv", "gone.csv"), &["gone.csv"])]);
}

/// What a file of labels makes of the photos: images of train and validation or held out, and the classes.
fn checked(bench: &Bench, file: &str) -> (u64, u64, Vec<String>) {
    let found = bench.json(&format!("data check photos --labels {file} --json"));
    let images = |part: usize| found["parts"][part]["images"].as_u64().unwrap();
    let classes = found["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap().to_owned());
    (images(0), images(1), classes.collect())
}

#[test]
fn labels_are_read_as_people_write_them() {
    let bench = bench();
    let good = bench.read_text("labels.csv");
    let expected = checked(&bench, "labels.csv");
    assert_eq!((expected.0, expected.1), (18, 6));
    let folder = bench.path("photos");
    let absolute = good.replace(",checkers-", &format!(",{}/checkers-", folder.display()));
    for text in [
        good.replace(',', ";"),
        good.replace(',', "\t").replace("label\tpath", "Class\tFile Name"),
        good.replace("label,path", "target,filename"),
        good.replace("label,path", "class,image").replace(".png", ""),
        absolute,
        format!("\u{feff}{}\r\n\r\n,,\r\n", good.trim_end().replace('\n', "\r\n")),
        format!("{good}{}", good.lines().nth(3).unwrap()),
        good.replace("train", "Training").replace("val", "DEV"),
    ] {
        bench.write("other.csv", &text);
        assert_eq!(checked(&bench, "other.csv"), expected, "{text}");
    }
}

#[test]
fn rows_for_a_test_are_never_measured_on_while_training() {
    let bench = bench();
    bench.write("classifier.safetensors", super::weights::classifier());
    let good = bench
        .read_text("labels.csv")
        .replace("a checkers", "checkers")
        .replace("a hor", "hor")
        .replace("a ver", "ver");
    bench.write("labels.csv", good.replace("-7.png,val", "-7.png,test"));
    assert_eq!((checked(&bench, "labels.csv").0, checked(&bench, "labels.csv").1), (18, 3));
    let measured = |more: &str| {
        let line = "evaluate --data photos --labels labels.csv --weights classifier.safetensors --json";
        let result = bench.json(&format!("{line} {more}"));
        (result["part"]["split"].as_str().unwrap().to_owned(), result["images"].as_u64().unwrap())
    };
    assert_eq!(measured(""), ("validation".into(), 3));
    assert_eq!(measured("--split test"), ("test".into(), 3));
    bench.write("labels.csv", good.replace(",val", ",test"));
    // A fifth of the rest is held out.
    assert_eq!((checked(&bench, "labels.csv").0, checked(&bench, "labels.csv").1), (15, 3));
    assert_eq!(measured("--val-fraction 0.2"), ("held out".into(), 3));
    let line = "evaluate --data photos --labels labels.csv --weights classifier.safetensors";
    bench.refuse(1, &[(line, &["no validation part but test rows", "--split test"])]);
}

#[test]
fn files_that_are_no_utf_8_text_are_refused_in_words() {
    let bench = bench();
    let wide: Vec<u8> = bench.read_text("labels.csv").encode_utf16().flat_map(u16::to_le_bytes).collect();
    bench.write("labels.csv", [vec![0xff, 0xfe], wide].concat());
    bench.refuse(1, &[(FINETUNE, &["labels.csv, line 1", "UTF-16", "save it"])]);
}

#[test]
fn columns_that_are_called_like_a_split_hold_parts_or_none() {
    let bench = bench();
    let good = bench.read_text("labels.csv").replace("label,path,split", "label,path,Usage");
    bench.write("usage.csv", &good);
    assert_eq!(checked(&bench, "usage.csv"), checked(&bench, "labels.csv"));
    bench.write("usage.csv", good.replacen("checkers-7.png,val", "checkers-7.png,private", 1));
    let words = &["usage.csv, line", "'Usage'", "'private' is none of train, training, val"][..];
    bench.refuse(1, &[("data check photos --labels usage.csv", words)]);
    bench.write("folds.csv", good.replace("Usage", "fold").replace(",train", ",1").replace(",val", ",2"));
    bench
        .run("data check photos --labels folds.csv")
        .success()
        .stderr(predicates::str::contains("the column 'fold' is not taken for parts").count(1));
    // All rows are one part, of which a fifth of each class, rounded, is held out.
    assert_eq!((checked(&bench, "folds.csv").0, checked(&bench, "folds.csv").1), (18, 6));
}

#[test]
fn rows_in_folders_of_parts_are_not_pooled() {
    let bench = bench();
    let (mut rows, mut with_parts) = (String::from("path,label\n"), String::from("path,label,split\n"));
    for class in CLASSES {
        for part in ["train", "val"] {
            for number in 0..2 {
                let path = format!("{part}/{class}-{number}.png");
                bench.draw(&format!("parts/{path}"), class, number);
                rows += &format!("{path},{class}\n");
                with_parts += &format!("{path},{class},train\n");
            }
        }
    }
    bench.write("rows.csv", rows);
    bench.write("with_parts.csv", with_parts);
    let words = &["rows.csv", "train/checkers-0.png (train)", "(validation)", "add a column 'split'"][..];
    bench.refuse(1, &[("data check parts --labels rows.csv", words)]);
    let found = bench.json("data check parts --labels with_parts.csv --json");
    assert_eq!(found["parts"][1]["name"], "held out", "{found}");
}

#[test]
fn rows_for_a_test_may_lack_labels() {
    let bench = bench();
    let good = bench.read_text("labels.csv");
    let expected = checked(&bench, "labels.csv");
    bench.draw("photos/secret.png", CLASSES[0], 9);
    bench.write("labels.csv", format!("{good},secret.png,test\n"));
    assert_eq!(checked(&bench, "labels.csv"), expected);
    bench.write("labels.csv", format!("{good},secret.png,val\n"));
    bench.refuse(1, &[("data check photos --labels labels.csv", &["path or label is empty"])]);
}
