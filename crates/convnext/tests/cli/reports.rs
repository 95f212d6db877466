//! What reports say of a run, of an evaluation, and of several runs.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier};

const FINETUNE: &str =
    "finetune --data photos --model micro --image-size 32 --stem-stride 1 --batch-size 6 --val-fraction 0.25";

const PRETRAIN: &str = "pretrain --data photos --model micro --image-size 32 --stem-stride 1 --batch-size 6";

/// Twelve images of each class, a quarter of which is held out.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 12);
    bench
}

fn json(bench: &Bench, file: &str) -> Value {
    serde_json::from_str(&bench.read_text(file)).unwrap()
}

fn contains_all(page: &str, words: &[&str]) {
    for words in words {
        assert!(page.contains(words), "no '{words}'");
    }
}

#[test]
fn the_head_says_what_was_run_and_everything_is_shown() {
    let bench = bench();
    bench.succeed(&format!(
        "{FINETUNE} --epochs 2 --lr 0.001 --seed 3 --set mixing.mixup=0.8 --threads 1 --out run"
    ));
    let record = json(&bench, "run/run.json");
    assert_eq!(record["command"][1], "finetune", "{record}");
    assert_eq!((&record["total_steps"], &record["images"]), (&8.into(), &27.into()), "{record}");
    assert_eq!(
        (&record["validation_images"], &record["machine"]["threads"]),
        (&9.into(), &1.into()),
        "{record}"
    );
    let page = bench.read_text("run/report.html");
    contains_all(
        &page,
        &[
            "<dt>state</dt><dd>finished: 8 steps in 2 epochs of 27 images",
            "<dt>task</dt><dd>classification",
            "<dt>images</dt><dd>27 for training, 9 for validation, 3 classes",
            "<dt>initial weights</dt><dd>none: from scratch",
            "<dt>learning rate</dt><dd>0.001 at most (absolute)",
            "<dt>batch size</dt><dd>6<",
            "<dt>length</dt><dd>2 epochs, 8 steps",
            "<dt>machine</dt>",
            "1 thread,",
            "--seed 3 --set 'mixing.mixup=0.8'",
            "training, mean of the epoch",
            "macro average",
            "Sample predictions",
            "Training images as the network sees them",
            "Mixup and CutMix.",
        ],
    );
    assert!(!page.contains("<dt>claim") && bench.exists("run/images/batch-06.png"));
    assert!(!bench.exists("run/images/batch-07.png"), "a batch has 6 images");
    let evaluation = json(&bench, "run/evaluation.json");
    assert_eq!(evaluation["samples"].as_array().unwrap().len(), 9, "{evaluation}");
}

#[test]
fn what_is_shown_does_not_depend_on_threads_or_on_resuming() {
    let bench = bench();
    let line = format!("{FINETUNE} --epochs 2 --set mixing.cutmix=1");
    bench.succeed(&format!("{line} --threads 2 --out one"));
    bench.succeed(&format!("{} --threads 1 --out two", line.replace("--epochs 2", "--epochs 1")));
    let begun = json(&bench, "two/run.json");
    bench.succeed(&format!("{line} --threads 2 --resume --extend --out two"));
    for image in (1..=6).map(|number| format!("images/batch-0{number}.png")) {
        assert_eq!(bench.read(&format!("one/{image}")), bench.read(&format!("two/{image}")), "{image}");
    }
    let names = |run: &str| -> Vec<Value> {
        let samples = json(&bench, &format!("{run}/evaluation.json"))["samples"].clone();
        samples.as_array().unwrap().iter().map(|sample| sample["image"].clone()).collect()
    };
    assert_eq!(names("one"), names("two"));
    let extended = json(&bench, "two/run.json");
    assert_eq!(
        (&extended["started"], &extended["machine"], &extended["command"]),
        (&begun["started"], &begun["machine"], &begun["command"])
    );
    assert_eq!((&begun["total_steps"], &extended["total_steps"]), (&4.into(), &8.into()));
    // It decides nothing: without it, as a run of an earlier version is, the run goes on and has a report.
    std::fs::remove_file(bench.path("one/run.json")).unwrap();
    bench.succeed("report one");
    assert!(!bench.read_text("one/report.html").contains("<dt>machine"));
    bench.succeed(&format!("{line} --threads 2 --resume --out one"));
}

#[test]
fn a_pretraining_shows_its_batch() {
    let bench = bench();
    bench.succeed(&format!("{PRETRAIN} --steps 2 --out run"));
    let page = bench.read_text("run/report.html");
    contains_all(
        &page,
        &[
            "masked autoencoder (FCMAE)",
            "36 for training<",
            "as the network sees them",
            "after augmentation.",
        ],
    );
}

#[test]
fn an_evaluation_has_a_page() {
    let bench = bench();
    bench.write("weights.safetensors", classifier());
    let line = "evaluate --data photos --weights weights.safetensors";
    let said = bench.succeed(&format!("{line} --html page.html"));
    assert!(said.contains("macro average") && said.contains("page: page.html"), "{said}");
    let page = bench.read_text("page.html");
    let shared =
        ["Sample predictions", "true \\ predicted", "<dt>image size</dt><dd>32 px", "F1", "macro average"];
    contains_all(&page, &shared);
    assert!(page.matches("data:image/png;base64,").count() >= 12, "no images");

    let result = bench.json(&format!("{line} --json"));
    for class in result["classes"].as_array().unwrap() {
        assert_eq!(class["recall"], class["accuracy"], "{class}");
        let predicted = (result["confusion"].as_array().unwrap().iter())
            .filter(|pair| pair["predicted"] == class["label"])
            .map(|pair| pair["images"].as_u64().unwrap());
        assert_eq!(class["predicted"], predicted.sum::<u64>(), "{class}");
    }
    assert!(result["macro_average"]["f1"].as_f64().unwrap() > 0.0, "{result}");

    bench.write("autoencoder.safetensors", autoencoder());
    bench.succeed(
        "evaluate --data photos --weights autoencoder.safetensors --knn --neighbours 3 --html neighbours.html",
    );
    let page = bench.read_text("neighbours.html");
    contains_all(&page, &["the nearest 3 training images", "Sample predictions"]);
    // Bug: a page that could not be written cost the result of hours.
    let run = bench.run(&format!("{line} --html missing/page.html")).code(1);
    run.stdout(contains("macro average").and(contains("page:").not()))
        .stderr(contains("missing/page.html").and(contains("cannot write")));
}

#[test]
fn runs_are_compared() {
    let bench = bench();
    bench.succeed(&format!("{FINETUNE} --epochs 1 --out runs/a"));
    bench.succeed(&format!("{FINETUNE} --epochs 2 --lr 0.002 --out runs/b"));
    let said = bench.succeed("compare runs/a runs/b");
    for words in
        ["training loss", "top-1", "best", "recipe.training.learning_rate", "0.002", "page: compare.html"]
    {
        assert!(said.contains(words), "no '{words}' in\n{said}");
    }
    let page = bench.read_text("compare.html");
    let words = [
        "Training loss</figcaption>",
        "Validation loss</figcaption>",
        "Top-1 on the validation images",
        "runs/b",
    ];
    contains_all(&page, &words);
    let found = bench.json("compare runs/a runs/b --json --out other.html");
    assert_eq!(
        (&found["runs"][0]["name"], &found["runs"][1]["epochs"]),
        (&"a".into(), &2.0.into()),
        "{found}"
    );
    let differ: Vec<&Value> =
        found["settings"].as_array().unwrap().iter().map(|setting| &setting["key"]).collect();
    assert!(
        differ.contains(&&"recipe.training.epochs".into()) && !differ.contains(&&"out".into()),
        "{found}"
    );
}

#[test]
fn runs_of_different_tasks_are_compared_in_what_they_share() {
    let bench = bench();
    bench.succeed(&format!("{FINETUNE} --epochs 1 --out runs/a"));
    bench.succeed(&format!("{PRETRAIN} --steps 2 --out runs/pretrained"));
    bench.succeed("compare runs/a runs/pretrained --out mixed.html");
    let words = ["different tasks", "Training loss, classification", "Training loss, masked autoencoder"];
    contains_all(&bench.read_text("mixed.html"), &words);
    bench.refuse(
        1,
        &[
            ("compare runs/a runs/a/", &["runs/a/", "the same run"]),
            ("compare runs/a photos", &["photos is no run folder"]),
            ("compare runs/a nowhere", &["nowhere is no run folder"]),
            ("compare runs/a runs/pretrained --out missing/x.html", &["missing/x.html"]),
        ],
    );
    bench.refuse(2, &[("compare runs/a", &["2 values required"]), ("compare", &["RUN"])]);
}

#[test]
fn one_of_a_kind_is_one() {
    let bench = Bench::new();
    bench.draw("photos/a.png", CLASSES[0], 1);
    std::fs::copy(bench.path("photos/a.png"), bench.path("photos/b.png")).unwrap();
    bench.run("data check photos --unlabelled").success().stdout(contains("\n1 duplicate group, 0 of them"));
    assert!(bench.read_text("check.html").contains("<h2>1 duplicate group</h2>"));
    bench.run("data pack photos packed").success().stdout(contains("to 1 shard in packed"));
}
