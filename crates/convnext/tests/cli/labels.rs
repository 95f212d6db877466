//! `--labels`: classes from a CSV file.

use super::bench::Bench;
use super::pictures::CLASSES;

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
        (good.replace("path", "file"), &["labels.csv, line 1", "no column 'path'"]),
        (good.replace("train", "practice"), &["labels.csv, line 2", "'practice'"]),
        (String::new(), &["labels.csv"]),
    ] {
        bench.write("labels.csv", text);
        bench.refuse(1, &[(FINETUNE, words)]);
    }
    assert!(!bench.exists("run"));
    bench.refuse(1, &[(&FINETUNE.replace("labels.csv", "gone.csv"), &["gone.csv"])]);
}
